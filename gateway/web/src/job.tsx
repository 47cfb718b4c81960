// One job: live until it has ended, then what came of it.
import { useEffect, useState } from 'preact/hooks';
import { download, follow } from './api';
import { actions } from './actions';
import { Offers } from './offers';
import { Pictures } from './pictures';
import { Reasons, Rejects } from './rejects';
import { bytes, count, duration, plural, when } from './text';
import type { OfferPage, Status } from './types';
import { ended } from './types';

const STEPS = [['uploading', 'Arriving'], ['queued', 'Queued'], ['parsing', 'Reading'], ['scoring', 'Scoring'], ['persisting', 'Storing'], ['completed', 'Done']] as const;

export function Job({ id }: { id: string }) {
  const [status, setStatus] = useState<Status>();
  const [problem, setProblem] = useState('');
  const [round, setRound] = useState(0); // a retry is followed anew
  useEffect(() => {
    const stop = new AbortController();
    setProblem('');
    follow(id, setStatus, stop.signal).catch(error => setProblem((error as Error).message));
    return () => stop.abort();
  }, [id, round]);
  if (problem) return <><a href="#">← All jobs</a><p class="bad" role="alert">{problem}</p></>;
  if (!status) return <p role="status">Loading…</p>;
  const act = async (run: () => Promise<unknown>) => {
    try { await run(); setRound(round + 1); } catch (error) { setProblem((error as Error).message); }
  };
  return (
    <section aria-labelledby="job-title">
      <a href="#">← All jobs</a>
      <div class="line head">
        <h1 id="job-title" class="name">{status.filename || id}</h1>
        {actions(status).map(a => <button key={a.name} class={a.danger ? 'danger' : ''} onClick={() => void act(async () => { if (await a.run(status) && a.gone) location.hash = ''; })}>{a.name}</button>)}
      </div>
      <Live status={status} />
      {status.state === 'JOB_COMPLETE' && <Results status={status} />}
      {status.rows_rejected > 0 && ended(status) && <Rejects status={status} />}
    </section>
  );
}

function Live({ status: s }: { status: Status }) {
  const failed = s.state === 'FAILED' || s.state === 'ABORTED';
  const at = failed ? -1 : STEPS.findIndex(([key]) => key === (s.state === 'IN_PROGRESS' ? s.stage : s.status));
  return (
    <div class="card live">
      {!failed && (
        <ol class="steps">{STEPS.map(([key, text], i) => <li key={key} class={i < at || s.state === 'JOB_COMPLETE' ? 'done' : i === at ? 'now' : ''} aria-current={i === at ? 'step' : undefined}>{text}</li>)}</ol>
      )}
      <p role="status" class={s.state === 'FAILED' ? 'bad' : ''}>{s.error ?? s.message}</p>
      {!ended(s) && <progress max={100} value={s.progress.percentage} aria-label="Progress" />}
      <p class="note">
        {s.state === 'OPEN'
          ? <span class="n">{bytes(s.progress.bytes_received)}{s.progress.bytes_total !== null && ` of ${bytes(s.progress.bytes_total)}`} stored</span>
          : <><span class="n">{count(s.rows_accepted)}</span> rows accepted · <span class="n">{count(s.rows_rejected)}</span> rejected · {bytes(s.progress.bytes_received)}</>}
        {' · '}since {when(s.created_at)}
        {s.estimated_remaining_seconds !== null && !ended(s) && <> · about {duration(s.estimated_remaining_seconds)} left</>}
      </p>
      {!ended(s) && s.rows_rejected > 0 && <Reasons counts={s.rejects_by_reason} />}
    </div>
  );
}

function Results({ status }: { status: Status }) {
  const id = status.job_id;
  const [first, setFirst] = useState<OfferPage>();
  const [problem, setProblem] = useState('');
  const failed = (error: unknown) => setProblem((error as Error).message);
  const offers = () => download('/api/jobs/{id}/offers/', { path: { id }, query: { decision: 'all' } }, `${id}-offers.csv`, 'text/csv').catch(failed);
  const sums = (extension: string, type: string) => download('/api/jobs/{id}/aggregates/', { path: { id } }, `${id}-aggregates.${extension}`, type).catch(failed);
  const s = first?.pipeline_summary;
  return (
    <>
      {s && (
        <dl class="tiles">
          <div><dt>Approved</dt><dd class="good">{count(s.offers_generated)}</dd></div>
          <div><dt>Declined</dt><dd>{count(s.declined)}</dd></div>
          <div><dt>Transactions</dt><dd>{count(s.transactions_processed)}</dd></div>
          <div><dt>Rejected rows</dt><dd class={s.rows_rejected ? 'warn' : ''}>{count(s.rows_rejected)}</dd></div>
          <div><dt>Worked for</dt><dd>{s.duration_seconds.toFixed(2)} s</dd></div>
        </dl>
      )}
      <Pictures id={id} />
      <div class="line head">
        <h2>Offers</h2>
        <button onClick={offers}>Offers, CSV</button>
        <button onClick={() => sums('csv', 'text/csv')}>Daily sums, CSV</button>
        <button onClick={() => sums('parquet', 'application/vnd.apache.parquet')}>Daily sums, Parquet</button>
      </div>
      {problem && <p class="bad" role="alert">{problem}</p>}
      <Offers id={id} onFirst={setFirst} />
      {s && s.skipped > 0 && <p class="note">{plural(s.skipped, 'account')} had no row to decide on.</p>}
    </>
  );
}
