// The portfolio at a glance.
import { useEffect, useState } from 'preact/hooks';
import { read } from './api';
import { Bars, type Bar } from './chart';
import { amount, count, plural, round } from './text';
import type { Portfolio } from './types';

const WIDTHS = [5, 10, 25, 50], MOST = 24; // points of score per bar, and bars

export function Pictures({ id }: { id: string }) {
  const [p, setP] = useState<Portfolio>();
  useEffect(() => { read('/api/jobs/{id}/portfolio/', { path: { id } }).then(setP, () => {}); }, [id]); // the tables say it all without
  if (!p || p.scores.length === 0) return null;
  const months = p.months.slice(-36);
  return (
    <div class="pictures">
      <figure class="card">
        <figcaption>Scores <span class="key approved">approved</span> <span class="key declined">declined</span></figcaption>
        <Bars bars={scores(p)} label={`How many accounts have which score: ${scores(p).map(b => b.title).join('; ')}`} />
      </figure>
      {p.amounts.length > 0 && (
        <figure class="card">
          <figcaption>Amounts of the offers</figcaption>
          <Bars bars={amounts(p)} label={`How many offers have which amount: ${amounts(p).filter(b => b.parts[0]!.value).map(b => b.title).join('; ')}`} />
        </figure>
      )}
      {months.length > 0 && (
        <figure class="card wide">
          <figcaption>By month <span class="key revenue">revenue</span> <span class="key expense">expense</span></figcaption>
          <Bars bars={months.map(m => ({
            label: m.month, title: `${m.month}: revenue ${amount(m.revenue_amount)}, net ${amount(m.total_amount)}, ${plural(m.transaction_count, 'transaction')}`,
            parts: [{ value: m.revenue_amount, kind: 'revenue' }, { value: m.total_amount - m.revenue_amount, kind: 'expense' }],
          }))} label={`Revenue and expense of ${plural(months.length, 'month')}, ${months[0]!.month} to ${months.at(-1)!.month}`} />
        </figure>
      )}
    </div>
  );
}

function scores(p: Portfolio): Bar[] {
  const found = p.scores.map(s => s.credit_score);
  const range = Math.max(...found) - Math.min(...found);
  const width = WIDTHS.find(w => range / w < MOST) ?? 100;
  const bin = (s: number) => Math.floor(s / width) * width;
  const all = found.map(bin);
  const bars: Bar[] = [];
  for (let from = Math.min(...all); from <= Math.max(...all); from += width) {
    const of = (decision: string) => p.scores.filter(s => bin(s.credit_score) === from && s.decision === decision).reduce((n, s) => n + s.offers, 0);
    const approved = of('approved'), declined = of('declined');
    bars.push({
      label: String(from), title: `${from} to ${from + width - 1}: ${count(approved)} approved, ${count(declined)} declined`,
      parts: [{ value: approved, kind: 'approved' }, { value: declined, kind: 'declined' }],
    });
  }
  return bars;
}

function amounts(p: Portfolio): Bar[] {
  const first = p.amounts[0]!, width = first.to - first.from, bars: Bar[] = [];
  const offers = new Map(p.amounts.map(a => [Math.round(a.from / width), a.offers]));
  for (let i = Math.round(first.from / width); i <= Math.round(p.amounts.at(-1)!.from / width); i++) {
    const n = offers.get(i) ?? 0;
    bars.push({ label: round(i * width), title: `from ${amount(i * width)} to less than ${amount((i + 1) * width)}: ${plural(n, 'offer')}`, parts: [{ value: n, kind: 'approved' }] });
  }
  return bars;
}
