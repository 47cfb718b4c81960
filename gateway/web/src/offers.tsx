// The decisions, page by page, and one account in full.
import { useEffect, useRef, useState } from 'preact/hooks';
import { read } from './api';
import { Bars } from './chart';
import { amount, count, percent, plural, reason, words } from './text';
import type { Day, Offer, OfferPage } from './types';

const PAGE = 20;

export function Offers({ id, onFirst }: { id: string; onFirst: (p: OfferPage) => void }) {
  const [decision, setDecision] = useState('all');
  const [risk, setRisk] = useState('');
  const [account, setAccount] = useState('');
  const [cursors, setCursors] = useState(['']); // of the pages up to this one
  const [page, setPage] = useState<OfferPage>();
  const [problem, setProblem] = useState('');
  const [open, setOpen] = useState<Offer>();
  useEffect(() => setCursors(['']), [decision, risk, account]);
  useEffect(() => {
    const stop = new AbortController();
    const query = new URLSearchParams({ decision, limit: String(PAGE), cursor: cursors.at(-1)! });
    if (risk) query.set('risk_level', risk);
    if (account) query.set('account_id', account);
    read<OfferPage>(`/api/jobs/${id}/offers/?${query}`, stop.signal).then(p => { setPage(p); setProblem(''); onFirst(p); },
      error => { if (!stop.signal.aborted) setProblem((error as Error).message); });
    return () => stop.abort();
  }, [id, decision, risk, cursors]);
  const from = (cursors.length - 1) * PAGE;
  return (
    <>
      <div class="filters">
        <label>Decision<select value={decision} onChange={e => setDecision(e.currentTarget.value)}><option value="all">all</option><option value="approved">approved</option><option value="declined">declined</option></select></label>
        <label>Risk<select value={risk} onChange={e => setRisk(e.currentTarget.value)}><option value="">any</option><option>LOW</option><option>MEDIUM</option><option>HIGH</option></select></label>
        <label>Account<input type="search" placeholder="whole id" value={account} onChange={e => setAccount(e.currentTarget.value.trim())} /></label>
      </div>
      {problem && <p class="bad" role="alert">{problem}</p>}
      {page && (
        <>
          <div class="scroll" role="region" tabIndex={0} aria-label="Offers">
            <table>
              <thead><tr><th scope="col">Account</th><th scope="col">Decision</th><th scope="col" class="n">Amount</th><th scope="col" class="n">Interest</th><th scope="col" class="n">Score</th><th scope="col">Risk</th><th scope="col">Reasons</th></tr></thead>
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
            <button disabled={cursors.length < 2} onClick={() => setCursors(cursors.slice(0, -1))}>Back</button>
            <button disabled={!page.next_cursor} onClick={() => setCursors([...cursors, page.next_cursor!])}>Next</button>
          </div>
        </>
      )}
      {open && <Account id={id} offer={open} months={Number(page?.credit_model_results.config_used.rolling_period ?? 12)} close={() => setOpen(undefined)} />}
    </>
  );
}

function Account({ id, offer: o, months, close }: { id: string; offer: Offer; months: number; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [days, setDays] = useState<Day[]>();
  useEffect(() => { dialog.current?.showModal(); }, []);
  useEffect(() => {
    read<{ aggregates: Day[] }>(`/api/jobs/${id}/aggregates/?limit=1000&account_id=${encodeURIComponent(o.account_id!)}`).then(a => setDays(a.aggregates), () => setDays([]));
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
