// The first rows of a file, how they are understood, and how to say otherwise.
import { rows } from './csv';
import { DATE_FORMATS, DELIMITERS, lacks, read, ROLES, type Preview, type Reading, type Role } from './sniff';
import { useId } from 'preact/hooks';

const SHOWN = 6;

const looks = (role?: Role) => `${role ? 'used' : ''} ${role === 'amount' || role === 'debit' || role === 'credit' ? 'n' : ''}`;

export function Table({ preview, reading: r, found, set }: { preview: Preview; reading: Reading; found: Reading; set: (r: Reading) => void }) {
  const id = useId();
  const table = rows(preview.text, r.delimiter, r.headerLine + SHOWN);
  const names = table[r.headerLine - 1] ?? [];
  const body = r.header ? table.slice(r.headerLine, r.headerLine + SHOWN) : table.slice(0, SHOWN);
  const missing = lacks(r);
  const role = (i: number, to: Role) => set({ ...r, roles: r.roles.map((x, j) => j === i ? to : x === to ? '' : x) });
  const select = (label: string, value: string, options: (string | [string, string])[], change: (v: string) => void) => (
    <label>{label}
      <select value={value} onChange={e => change(e.currentTarget.value)}>
        {options.map(o => typeof o === 'string' ? [o, o] : o).map(([v, text]) => <option key={v} value={v}>{text}</option>)}
      </select>
    </label>
  );
  return (
    <>
      <div class="scroll" role="region" tabIndex={0} aria-label="First rows">
        <table class="preview">
          <thead>
            <tr>{names.map((name, i) => (
              <th key={i} scope="col" class={looks(r.roles[i])}>
                <span class="cell" id={`${id}-${i}`}>{r.header ? name : `Column ${i + 1}`}</span>
                <select aria-label={`Column ${i + 1} ${r.header ? name : ''} is`} value={r.roles[i] ?? ''} onChange={e => role(i, e.currentTarget.value as Role)}>
                  {ROLES.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
                </select>
              </th>
            ))}</tr>
          </thead>
          <tbody>{body.map((row, n) => (
            <tr key={n}>{names.map((_, i) => <td key={i} class={looks(r.roles[i])}><span class="cell">{row[i] ?? ''}</span></td>)}</tr>
          ))}</tbody>
        </table>
      </div>
      {missing.length > 0
        ? <p class="warn" role="status">Please say {missing.join(' and ')}.</p>
        : <p class="good" role="status">Understood: account, date and amount are found.</p>}
      <div class="dialect">
        {!r.roles.includes('account_id') && <label>Account of every row<input value={r.account} placeholder="such as DE89 3704…" onInput={e => set({ ...r, account: e.currentTarget.value })} /></label>}
        {select('Dates', r.ambiguous ? '' : r.date, [...(r.ambiguous ? [['', 'choose…'] as [string, string]] : []), ...DATE_FORMATS], date => set({ ...r, date, ambiguous: false }))}
        {select('Decimals', r.decimal, [['.', '1.50'], [',', '1,50']], v => set({ ...r, decimal: v as '.' | ',', thousands: r.thousands === v ? '' : r.thousands }))}
        {select('Thousands', r.thousands, ([['', 'none'], [',', '1,000'], ['.', '1.000'], [' ', '1 000'], ["'", "1'000"]] as [string, string][]).filter(([v]) => v !== r.decimal), thousands => set({ ...r, thousands }))}
        {select('Fields end with', r.delimiter, DELIMITERS, d => set({ ...read(preview.text, d), account: r.account }))}
        {select('First row', r.header ? '1' : '', [['1', 'names the columns'], ['', 'is a transaction']], v => set({ ...r, header: v !== '', headerLine: v ? found.headerLine : 1 }))}
      </div>
      <p class="note">{preview.encoding}{preview.packed ? ', gzip' : ''}{r.header && r.headerLine > 1 ? `, ${r.headerLine - 1} rows before the header are left out` : ''}</p>
    </>
  );
}
