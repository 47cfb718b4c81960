// The rows that were not booked, why, and the cell at fault.
import { useEffect, useState } from 'preact/hooks';
import { ask, download } from './api';
import { rows } from './csv';
import { count, words } from './text';
import type { Status } from './types';

const SHOWN = 100, READ_BYTES = 1 << 20;

// Reasons counts the rejected rows by reason, most first.
export const Reasons = ({ counts }: { counts: Status['rejects_by_reason'] }) => (
  <p class="chips">{Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([r, n]) => <span key={r} class="chip">{words(r)} <b>{count(n)}</b></span>)}</p>
);

export function Rejects({ status: { job_id: id, rows_rejected: total, rejects_by_reason: counts } }: { status: Status }) {
  const [table, setTable] = useState<string[][]>([]);
  const [cut, setCut] = useState(false);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    const stop = new AbortController();
    head(id, stop.signal).then(([text, more]) => { setTable(rows(text, ',', Infinity)); setCut(more); },
      error => { if (!stop.signal.aborted) setProblem((error as Error).message); });
    return () => stop.abort();
  }, [id]);
  const [header = [], ...body] = table;
  const whole = cut ? body.slice(0, -1) : body; // the last one may be cut
  return (
    <section aria-labelledby="rejects-title">
      <div class="line head">
        <h2 id="rejects-title">Rejected rows</h2>
        <button onClick={() => void download('/api/jobs/{id}/rejects/', { path: { id } }, `${id}-rejects.csv`, 'text/csv').catch(e => setProblem((e as Error).message))}>All {count(total)}, CSV</button>
      </div>
      {problem && <p class="bad" role="alert">{problem}</p>}
      <Reasons counts={counts} />
      <p class="note">Mend the marked cells in the downloaded file and drop it above: its own columns come after the first three, which are ignored.</p>
      <div class="scroll" role="region" tabIndex={0} aria-label="Rejected rows">
        <table>
          <thead><tr>{header.map((h, i) => <th key={i} scope="col" class={i === 0 ? 'n' : ''}><span class="cell">{h}</span></th>)}</tr></thead>
          <tbody>{whole.slice(0, SHOWN).map((r, n) => (
            <tr key={n}>{r.map((c, i) => {
              const fault = i > 2 && atFault(header[i] ?? '', r[2] ?? '');
              return <td key={i} class={i === 0 ? 'n' : ''}>{fault ? <mark class="cell">{c || 'empty'}</mark> : <span class="cell">{i === 1 ? words(c) : c}</span>}</td>;
            })}</tr>
          ))}</tbody>
        </table>
      </div>
      {total > SHOWN && <p class="note">The first {SHOWN} of {count(total)} are shown.</p>}
    </section>
  );
}

// atFault tells whether the detail names the column: "amount: 12x" or "date is empty".
const atFault = (name: string, detail: string) => name !== '' && (detail.startsWith(`${name}: `) || detail === `${name} is empty`);

// head reads the beginning of a job's rejects and hangs up.
async function head(id: string, signal: AbortSignal): Promise<[string, boolean]> {
  const reader = (await ask('get', '/api/jobs/{id}/rejects/', { path: { id } }, { signal })).body!.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let text = '';
  while (text.length < READ_BYTES) {
    const { value, done } = await reader.read();
    if (done) return [text, false];
    text += value;
  }
  await reader.cancel();
  return [text, true];
}
