// The decisions, page by page, and one account in full.
import { useEffect, useRef, useState } from 'preact/hooks';
import { read } from './api';
import { Bars } from './chart';
import { amount, count, percent, plural, reason, words } from './text';
import type { Day, Offer, OfferPage, Query } from './types';

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
      <button class="sort" onClick={() => set(next)}>{children}<span aria-hidden="true">{order === 'ascending' ? '▲' : order === 'descending' ? '▼' : ''}</span></button>
    </th>
  );
}

function Account({ id, offer: o, months, close }: { id: string; offer: Offer; months: number; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [days, setDays] = useState<Day[]>();
  useEffect(() => { dialog.current?.showModal(); }, []);
  useEffect(() => {
    read('/api/jobs/{id}/aggregates/', { path: { id }, query: { limit: 1000, account_id: o.account_id! } }).then(a => setDays(a.aggregates), () => setDays([]));
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
      {days?.length === 1000 && <p class="note">The first 1,000 days are drawn.</p>}
    </dialog>
  );
}

// Flow draws the days on which something moved, in their order; the window the
// decision looked at is shaded.
function Flow({ days, asOf, months }: { days: Day[]; asOf: string | null; months: number }) {
  const begin = asOf ? new Date(Date.UTC(Number(asOf.slice(0, 4)), Number(asOf.slice(5, 7)) - months, 1)).toISOString().slice(0, 10) : '';
  const within = days.map((d, i) => d.date && d.date >= begin && (!asOf || d.date <= asOf) ? i : -1).filter(i => i >= 0);
  return (
    <Bars label={`Daily flow on ${plural(days.length, 'day')}`} {...(within.length ? { shade: [within[0]!, within.at(-1)!] as [number, number] } : {})}
      bars={days.map(d => ({
        label: d.date ?? 'all', title: `${d.date}: in ${amount(d.revenue_amount)}, net ${amount(d.total_amount)}`,
        parts: [{ value: d.revenue_amount, kind: 'revenue' }, { value: d.total_amount - d.revenue_amount, kind: 'expense' }],
      }))} />
  );
}
