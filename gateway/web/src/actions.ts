// What can be done to a job in its state.
import { ask } from './api';
import type { Status } from './types';

interface Action {
  name: string;
  danger?: boolean;
  gone?: boolean; // the job is not there afterwards
  run: (s: Status) => Promise<boolean>; // false: the user thought better of it
}

const post = (what: '/api/jobs/{id}/cancel/' | '/api/jobs/{id}/retry/') => async (s: Status) => { await ask('post', what, { path: { id: s.job_id } }); return true; };

const cancel: Action = { name: 'Cancel', run: post('/api/jobs/{id}/cancel/') };
const retry: Action = { name: 'Try again', run: post('/api/jobs/{id}/retry/') };
const remove: Action = {
  name: 'Delete', danger: true, gone: true,
  run: async s => {
    if (!confirm(`Delete ${s.filename || s.job_id} with its offers, sums and rejects?`)) return false;
    await ask('delete', '/api/jobs/{id}/', { path: { id: s.job_id } });
    return true;
  },
};

export function actions(s: Status): Action[] {
  switch (s.state) {
    case 'OPEN': case 'UPLOAD_COMPLETE': case 'IN_PROGRESS': return [cancel];
    default: return s.can_retry ? [retry, remove] : [remove];
  }
}
