// The jobs there are, newest first.
import { useEffect, useState } from 'preact/hooks';
import { read } from './api';
import { actions } from './actions';
import { count, when } from './text';
import { moved } from './transfer';
import type { State, Status } from './types';
import { ended } from './types';

const PAGE = 25, AGAIN = 3000;

export function History({ shown }: { shown: boolean }) {
  const [query, setQuery] = useState('');
  const [state, setState] = useState<State | ''>('');
  const [cursors, setCursors] = useState(['']); // of the pages up to this one
  const [jobs, setJobs] = useState<Status[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [problem, setProblem] = useState('');
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!shown) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const load = async () => {
      try {
        const page = await read('/api/jobs/', { query: { q: query, state, limit: PAGE, cursor: cursors.at(-1)! } }, stop.signal);
        setJobs(page.jobs);
        setNext(page.next_cursor);
        // Jobs of others and those still moving: one look every few seconds, while somebody looks.
        if (!document.hidden) timer = setTimeout(load, page.jobs.every(ended) ? 3 * AGAIN : AGAIN);
      } catch { if (!stop.signal.aborted) timer = setTimeout(load, AGAIN); }
    };
    const visible = () => { clearTimeout(timer); if (!document.hidden) void load(); };
    timer = setTimeout(load, query ? 200 : 0); // not at each key
    document.addEventListener('visibilitychange', visible);
    return () => { stop.abort(); clearTimeout(timer); document.removeEventListener('visibilitychange', visible); };
  }, [shown, query, state, cursors, round, moved.value]);
  const act = async (run: () => Promise<unknown>) => {
    try { await run(); setProblem(''); } catch (error) { setProblem((error as Error).message); }
    setRound(round + 1);
  };
  return (
    <section aria-labelledby="history-title">
      <div class="line head">
        <h2 id="history-title">Jobs</h2>
        <input type="search" aria-label="Search by file name or id" placeholder="Search by name" value={query} onInput={e => { setQuery(e.currentTarget.value); setCursors(['']); }} />
        <select aria-label="State" value={state} onChange={e => { setState(e.currentTarget.value as State | ''); setCursors(['']); }}>
          <option value="">every state</option><option value="OPEN">arriving</option><option value="UPLOAD_COMPLETE">queued</option><option value="IN_PROGRESS">working</option>
          <option value="JOB_COMPLETE">completed</option><option value="FAILED">failed</option><option value="ABORTED">aborted</option>
        </select>
      </div>
      {problem && <p class="bad" role="alert">{problem}</p>}
      {jobs.length === 0
        ? <p class="note">{query || state ? 'Nothing matches.' : 'No file has been sent yet. The first one takes a second.'}</p>
        : (
          <div class="scroll" role="region" tabIndex={0} aria-label="Jobs">
            <table class="jobs">
              <thead><tr><th scope="col">File</th><th scope="col">State</th><th scope="col" class="n">Rows</th><th scope="col" class="n">Rejected</th><th scope="col">Sent</th><th><span class="visually-hidden">What can be done</span></th></tr></thead>
              <tbody>{jobs.map(j => (
                <tr key={j.job_id}>
                  <td><a class="cell" href={`#${j.job_id}`}>{j.filename || j.job_id}</a></td>
                  <td><span class={`badge ${j.status}`}>{j.status}</span></td>
                  <td class="n">{count(j.rows_accepted)}</td><td class="n">{count(j.rows_rejected)}</td>
                  <td class="note">{when(j.created_at)}</td>
                  <td class="acts">{actions(j).map(a => <button key={a.name} class="quiet" aria-label={`${a.name} ${j.filename || j.job_id}`} onClick={() => void act(() => a.run(j))}>{a.name}</button>)}</td>
                </tr>
              ))}</tbody>
            </table>
          </div>
        )}
      {(next || cursors.length > 1) && (
        <div class="line end">
          <button disabled={cursors.length < 2} onClick={() => setCursors(cursors.slice(0, -1))}>Newer</button>
          <button disabled={!next} onClick={() => setCursors([...cursors, next!])}>Older</button>
        </div>
      )}
    </section>
  );
}
