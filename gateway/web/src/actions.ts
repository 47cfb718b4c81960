// What can be done to a job in its state.
import { call } from './api';
import type { Status } from './types';

interface Action {
  name: string;
  danger?: boolean;
  gone?: boolean; // the job is not there afterwards
  run: (s: Status) => Promise<boolean>; // false: the user thought better of it
}

const post = (what: string) => async (s: Status) => { await call(`/api/jobs/${s.job_id}/${what}/`, { method: 'POST' }); return true; };

const cancel: Action = { name: 'Cancel', run: post('cancel') };
const retry: Action = { name: 'Try again', run: post('retry') };
const remove: Action = {
  name: 'Delete', danger: true, gone: true,
  run: async s => {
    if (!confirm(`Delete ${s.filename || s.job_id} with its offers, sums and rejects?`)) return false;
    await call(`/api/jobs/${s.job_id}/`, { method: 'DELETE' });
    return true;
  },
};

export function actions(s: Status): Action[] {
  switch (s.state) {
    case 'OPEN': case 'UPLOAD_COMPLETE': case 'IN_PROGRESS': return [cancel];
    default: return s.can_retry ? [retry, remove] : [remove];
  }
}
