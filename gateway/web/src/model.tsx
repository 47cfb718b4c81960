// The settings of the credit model, with their defaults. Only what differs is
// sent, its digits as they were typed.
import { signal } from '@preact/signals';

interface Field { path: string; label: string; value: string; hint?: string; text?: boolean }
interface Group { title: string; fields: Field[] }

const GROUPS: Group[] = [
  { title: 'What is looked at', fields: [
    { path: 'rolling_period', label: 'Months', value: '12' }, { path: 'currency', label: 'Currency', value: 'USD', text: true },
    { path: 'min_history_months', label: 'Fewest months', value: '1' }, { path: 'min_transactions', label: 'Fewest transactions', value: '1' },
  ] },
  { title: 'What counts how much', fields: [
    { path: 'credit_score_weights.transaction_volume', label: 'Volume', value: '0.4' }, { path: 'credit_score_weights.revenue_ratio', label: 'Revenue ratio', value: '0.3' },
    { path: 'credit_score_weights.consistency', label: 'Consistency', value: '0.3' },
  ] },
  { title: 'Risk, from 0 to 1', fields: [
    { path: 'risk_threshold', label: 'Low from', value: '0.7' }, { path: 'medium_threshold', label: 'Medium from', value: '0.5' }, { path: 'decline_threshold', label: 'Declined below', value: '0.3' },
  ] },
  { title: 'Interest', fields: [
    { path: 'interest_rates.LOW', label: 'Low risk', value: '0.05' }, { path: 'interest_rates.MEDIUM', label: 'Medium risk', value: '0.09' }, { path: 'interest_rates.HIGH', label: 'High risk', value: '0.15' },
  ] },
  { title: 'Amounts', fields: [
    { path: 'min_amount', label: 'Least', value: '500' }, { path: 'max_amount', label: 'Most', value: '250000' }, { path: 'amount_step', label: 'Step', value: '100' },
  ] },
];

const given = signal<Record<string, string>>({});
const BY_DAY = 'account_id,date';
const grouping = signal(BY_DAY);

const NUMBER = /^-?\d+(\.\d+)?$/;
const wrong = (f: Field) => { const v = given.value[f.path]; return v !== undefined && !f.text && !NUMBER.test(v.trim()); };

export function creditConfig(): string {
  const tree: Record<string, string | Record<string, string>> = {};
  for (const f of GROUPS.flatMap(g => g.fields)) {
    const v = given.value[f.path]?.trim();
    if (!v || v === f.value || wrong(f)) continue;
    const text = f.text ? JSON.stringify(v) : v; // a number keeps its digits
    const [key, member] = f.path.split('.') as [string, string?];
    if (!member) tree[key] = text;
    else tree[key] = { ...tree[key] as Record<string, string>, [member]: text };
  }
  // Weights and rates are given whole: one that is left out would be missing.
  for (const [key, members] of Object.entries(tree)) {
    if (typeof members === 'string') continue;
    for (const f of GROUPS.flatMap(g => g.fields)) {
      const [k, member] = f.path.split('.') as [string, string?];
      if (k === key && member && !(member in members)) members[member] = f.value;
    }
  }
  const object = (o: Record<string, string | Record<string, string>>): string =>
    `{${Object.entries(o).map(([k, v]) => `${JSON.stringify(k)}:${typeof v === 'string' ? v : object(v)}`).join(',')}}`;
  return Object.keys(tree).length ? object(tree) : '';
}

export const aggregateConfig = () => grouping.value === BY_DAY ? '' : JSON.stringify({ group_by: grouping.value.split(',') });

export function Model() {
  const changed = Object.entries(given.value).filter(([path, v]) => v.trim() && v !== GROUPS.flatMap(g => g.fields).find(f => f.path === path)?.value).length
    + (grouping.value === BY_DAY ? 0 : 1);
  return (
    <details class="model">
      <summary>Model settings <span class="note">{changed ? `${changed} changed` : 'the defaults'}</span></summary>
      <div class="groups">
        <fieldset>
          <legend>One offer for</legend>
          <label>Group<select value={grouping.value} onChange={e => { grouping.value = e.currentTarget.value; }}>
            <option value={BY_DAY}>each account, by day</option><option value="account_id">each account</option><option value="date">each day of all accounts</option>
          </select></label>
        </fieldset>
        {GROUPS.map(g => (
          <fieldset key={g.title}>
            <legend>{g.title}</legend>
            {g.fields.map(f => (
              <label key={f.path}>{f.label}
                <input inputMode={f.text ? 'text' : 'decimal'} value={given.value[f.path] ?? f.value} aria-invalid={wrong(f)}
                  onInput={e => { given.value = { ...given.value, [f.path]: e.currentTarget.value }; }} />
              </label>
            ))}
          </fieldset>
        ))}
      </div>
      <button onClick={() => { given.value = {}; grouping.value = BY_DAY; }}>Back to the defaults</button>
    </details>
  );
}
