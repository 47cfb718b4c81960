// The decisions, page by page, and one account in full.
import { useEffect, useRef, useState } from 'preact/hooks';
import { read } from './api';
import { Bars } from './chart';
import { amount, count, percent, plural, reason, words } from './text';
import type { Answer, Day, Offer, OfferPage, Query } from './types';

const PAGE = 20;

type Asked = Query<'/api/jobs/{id}/offers/'>;
type Sort = NonNullable<Asked['sort']>;

export function Offers({ id, onFirst }: { id: string; onFirst: (p: OfferPage) => void }) {
  // The cursors are those of the pages up to this one, and good for nothing else than what they were given out for.
  const [asked, setAsked] = useState<{ filter: Asked; cursors: string[] }>({ filter: { decision: 'all', sort: 'account_id' }, cursors: [''] });
  const [page, setPage] = useState<{ of: typeof asked } & OfferPage>();
  const [problem, setProblem] = useState('');
  const [open, setOpen] = useState<Offer>();
  useEffect(() => {
    const stop = new AbortController();
    const query = { ...asked.filter, limit: PAGE, cursor: asked.cursors.at(-1)! };
    read('/api/jobs/{id}/offers/', { path: { id }, query }, stop.signal).then(p => { setPage({ ...p, of: asked }); setProblem(''); onFirst(p); },
      error => { if (!stop.signal.aborted) setProblem((error as Error).message); });
    return () => stop.abort();
  }, [id, asked]);
  const { filter, cursors } = asked, sort = filter.sort!;
  const choose = (change: Asked) => setAsked({ filter: { ...filter, ...change }, cursors: [''] });
  const setSort = (sort: Sort) => choose({ sort });
  const from = (cursors.length - 1) * PAGE;
  return (
    <>
      <div class="filters">
        <label>Decision<select value={filter.decision} onChange={e => choose({ decision: e.currentTarget.value as 'all' })}><option value="all">all</option><option value="approved">approved</option><option value="declined">declined</option></select></label>
        <label>Risk<select value={filter.risk_level ?? ''} onChange={e => choose({ risk_level: (e.currentTarget.value || undefined) as 'LOW' })}><option value="">any</option><option>LOW</option><option>MEDIUM</option><option>HIGH</option></select></label>
        <label>Account<input type="search" placeholder="whole id" value={filter.account_id ?? ''} onChange={e => choose({ account_id: e.currentTarget.value.trim() })} /></label>
      </div>
      {problem && <p class="bad" role="alert">{problem}</p>}
      {page && (
        <>
          <div class="scroll" role="region" tabIndex={0} aria-label="Offers" aria-busy={page.of !== asked}>
            <table>
              <thead><tr>
                <Head by="account_id" now={sort} set={setSort}>Account</Head><th scope="col">Decision</th><Head by="amount" now={sort} set={setSort} number>Amount</Head><th scope="col" class="n">Interest</th>
                <Head by="credit_score" now={sort} set={setSort} number>Score</Head><Head by="risk_level" now={sort} set={setSort}>Risk</Head><th scope="col">Reasons</th>
              </tr></thead>
              <tbody>{page.offers.map(o => (
                <tr key={`${o.account_id} ${o.date}`}>
                  <td>{o.account_id === null ? o.date : <button class="link cell" onClick={() => setOpen(o)}>{o.account_id}</button>}{o.account_id !== null && o.date && <span class="note"> {o.date}</span>}</td>
                  <td><span class={`badge ${o.decision}`}>{o.decision}</span></td>
                  <td class="n">{o.decision === 'approved' ? amount(o.amount) : '–'}</td>
                  <td class="n">{o.interest_rate === null ? '–' : percent(o.interest_rate)}</td>
                  <td class="n"><span class="score" data-level={o.risk_level}>{o.credit_score}</span></td>
                  <td>{o.risk_level.toLowerCase()}</td>
                  <td class="note reasons">{o.reason_codes.map(c => words(c.toLowerCase())).join(', ')}</td>
                </tr>
              ))}</tbody>
            </table>
          </div>
          {page.offers.length === 0 && <p class="note">Nothing matches.</p>}
          <div class="line end">
            <span class="note" role="status">{page.offers.length > 0 && `${count(from + 1)} to ${count(from + page.offers.length)}`}</span>
            <button disabled={cursors.length < 2} onClick={() => setAsked({ filter, cursors: cursors.slice(0, -1) })}>Back</button>
            <button disabled={!page.next_cursor} onClick={() => setAsked({ filter, cursors: [...cursors, page.next_cursor!] })}>Next</button>
          </div>
        </>
      )}
      {open && <Account id={id} offer={open} months={Number(page?.credit_model_results.config_used.rolling_period ?? 12)} close={() => setOpen(undefined)} />}
    </>
  );
}

// Head sorts by its column, numbers from the greatest on, and the other way round when it does already.
function Head({ by, now, set, number, children }: { by: Exclude<Sort, `-${string}`>; now: Sort; set: (s: Sort) => void; number?: boolean; children: string }) {
  const down: Sort = `-${by}`, order = now === by ? 'ascending' : now === down ? 'descending' : undefined;
  const next = order === 'ascending' ? down : order === 'descending' ? by : number ? down : by;
  return (
    <th scope="col" class={number ? 'n' : ''} aria-sort={order ?? 'none'}>
      <button class="sort" onClick={() => set(next)}>{children}</button>
    </th>
  );
}

function Account({ id, offer: o, months, close }: { id: string; offer: Offer; months: number; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [days, setDays] = useState<Day[]>();
  useEffect(() => { dialog.current?.showModal(); }, []);
  useEffect(() => {
    const stop = new AbortController();
    daysOf(id, o.account_id!, stop.signal).then(setDays, () => { if (!stop.signal.aborted) setDays([]); });
    return () => stop.abort();
  }, [id, o]);
  return (
    <dialog ref={dialog} onClose={close} onClick={e => { if (e.target === dialog.current) dialog.current?.close(); }} aria-labelledby="account-title">
      <div class="line"><h2 id="account-title" class="name">{o.account_id}</h2><button class="quiet" aria-label="Close" onClick={() => dialog.current?.close()}>✕</button></div>
      <p><span class={`badge ${o.decision}`}>{o.decision}</span> {o.decision === 'approved' && <b>{amount(o.amount)} at {percent(o.interest_rate!)}</b>} Score <b>{o.credit_score}</b>, {o.risk_level.toLowerCase()} risk, from {plural(o.transaction_count, 'transaction')} in {plural(o.months, 'month')}.</p>
      <dl class="factors">{([['Volume', o.factors.transaction_volume], ['Revenue ratio', o.factors.revenue_ratio], ['Consistency', o.factors.consistency]] as const).map(([name, v]) => (
        <div key={name}><dt>{name}</dt><dd><meter min={0} max={1} value={v} aria-label={name} /> {percent(v)}</dd></div>
      ))}</dl>
      {o.reason_codes.length > 0 && <><h3>Reasons</h3><ul>{o.reason_codes.map(c => <li key={c}>{reason(c)}</li>)}</ul></>}
      <h3>Daily flow <span class="key revenue">in</span> <span class="key expense">out</span> <span class="key shade">window of {plural(months, 'month')}</span></h3>
      {days && days.length > 0 && <Flow days={days} asOf={o.as_of} months={months} />}
      {days?.length === 0 && <p class="note">There are no daily sums of this account.</p>}
    </dialog>
  );
}

// daysOf reads the daily sums of an account, all of them that have a date.
async function daysOf(id: string, account: string, signal: AbortSignal): Promise<Day[]> {
  const days: Day[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Answer<'/api/jobs/{id}/aggregates/'> = await read('/api/jobs/{id}/aggregates/', { path: { id }, query: { limit: 1000, account_id: account, cursor } }, signal);
    days.push(...page.aggregates.filter(d => d.date));
    cursor = page.next_cursor;
  }
  return days;
}

const DAY = 86_400_000, MOST = 120; // milliseconds, and bars
const dayNumber = (date: string) => Date.parse(date) / DAY;
const civil = (day: number) => new Date(day * DAY).toISOString().slice(0, 10);

// Flow draws an account's life, as many days to a bar as it takes; the window
// that the decision looked at is shaded.
function Flow({ days, asOf, months }: { days: Day[]; asOf: string | null; months: number }) {
  const first = dayNumber(days[0]!.date!), last = dayNumber(days.at(-1)!.date!);
  const width = Math.ceil((last - first + 1) / MOST), bin = (day: number) => Math.floor((day - first) / width);
  const flow = Array.from({ length: bin(last) + 1 }, () => ({ in: 0, out: 0 }));
  for (const d of days) {
    const b = flow[bin(dayNumber(d.date!))]!;
    b.in += d.revenue_amount;
    b.out += d.total_amount - d.revenue_amount;
  }
  const begin = asOf ? Math.max(first, Date.UTC(Number(asOf.slice(0, 4)), Number(asOf.slice(5, 7)) - months, 1) / DAY) : first;
  const end = asOf ? Math.min(last, dayNumber(asOf)) : last;
  const label = (i: number) => { const from = first + i * width, to = Math.min(last, from + width - 1); return from === to ? civil(from) : `${civil(from)} to ${civil(to)}`; };
  return (
    <Bars label={`Flow from ${civil(first)} to ${civil(last)}, ${plural(days.length, 'day')} with transactions`} {...(begin <= end ? { shade: [bin(begin), bin(end)] as [number, number] } : {})}
      bars={flow.map((b, i) => ({
        label: civil(first + i * width), title: `${label(i)}: in ${amount(b.in)}, out ${amount(-b.out)}`,
        parts: [{ value: b.in, kind: 'revenue' }, { value: b.out, kind: 'expense' }],
      }))} />
  );
}
