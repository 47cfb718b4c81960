// What the first bytes of a file say about how it will be read. The server finds
// the same for itself; this is for the eye, before anything is sent, and what
// is corrected here goes along as parse_config.
import { rows } from './csv';

export type Role = '' | 'account_id' | 'date' | 'amount' | 'debit' | 'credit' | 'description' | 'is_revenue';
export const ROLES: [Role, string][] = [['', 'not used'], ['account_id', 'Account'], ['date', 'Date'], ['amount', 'Amount'],
  ['debit', 'Debit'], ['credit', 'Credit'], ['description', 'Description'], ['is_revenue', 'Is revenue']];
export const DATE_FORMATS = ['YYYY-MM-DD', 'DD.MM.YYYY', 'DD/MM/YYYY', 'MM/DD/YYYY', 'DD-MM-YYYY', 'YYYY/MM/DD', 'YYYYMMDD', 'YYMMDD'];
export const DELIMITERS: [string, string][] = [[',', 'comma ,'], [';', 'semicolon ;'], ['\t', 'tab'], ['|', 'bar |']];

export interface Reading {
  delimiter: string;
  header: boolean;
  headerLine: number; // 1-based row that holds the header
  roles: Role[];
  date: string;
  decimal: '.' | ',';
  thousands: string;
  account: string; // of every row, where no column has it
  ambiguous: boolean; // 01/02/2024 throughout: the day's place is for the user to say
}

export interface Preview { text: string; encoding: string; kind: 'text' | 'excel' | 'binary' | 'packed'; packed: boolean }

const HEAD_BYTES = 64 << 10;

export async function look(file: File): Promise<Preview> {
  let head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const begins = (...bytes: number[]) => bytes.every((b, i) => head[i] === b);
  if (begins(0x50, 0x4b, 3, 4) || begins(0xd0, 0xcf, 0x11, 0xe0)) return { text: '', encoding: '', kind: 'excel', packed: false };
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return { text: '', encoding: '', kind: 'packed', packed: true };
  const packed = begins(0x1f, 0x8b);
  if (packed) head = await inflate(head);
  if (begins(0x25, 0x50, 0x44, 0x46)) return { text: '', encoding: '', kind: 'binary', packed };
  const [text, encoding] = decode(head);
  if (text.includes('\0')) return { text: '', encoding, kind: 'binary', packed };
  return { text, encoding, kind: 'text', packed };
}

async function inflate(head: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([head]).stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  try { // the head of a file ends in the middle of it, which is an error
    for (let n = 0; n < HEAD_BYTES;) {
      const { value, done } = await reader.read();
      if (done) break;
      parts.push(value as Uint8Array<ArrayBuffer>);
      n += value.length;
    }
  } catch { /* what came until then is the preview */ }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function decode(head: Uint8Array): [string, string] {
  const as = (name: string, fatal = false) => new TextDecoder(name, { fatal }).decode(head, { stream: true });
  if (head[0] === 0xff && head[1] === 0xfe) return [as('utf-16le'), 'UTF-16'];
  if (head[0] === 0xfe && head[1] === 0xff) return [as('utf-16be'), 'UTF-16'];
  try {
    return [as('utf-8', true), 'UTF-8'];
  } catch {
    return [as('windows-1252'), 'Windows-1252'];
  }
}

// read makes the best of the text; delimiter, where given, is the user's.
export function read(text: string, delimiter?: string): Reading {
  const d = delimiter ?? likeliest(text);
  const table = rows(text, d, 200);
  const at = headerAt(table);
  const names = table[at] ?? [];
  const body = table.slice(at + 1).filter(r => r.length === names.length);
  const column = (i: number) => body.map(r => r[i]?.trim() ?? '').filter(Boolean).slice(0, 100);
  const roles = names.map((n): Role => role(n));
  const first = (r: Role) => roles.indexOf(r);
  roles.forEach((r, i) => { if (r && first(r) !== i) roles[i] = ''; }); // the first of a name has it
  if (first('amount') >= 0) roles.forEach((r, i) => { if (r === 'debit' || r === 'credit') roles[i] = ''; });
  if (first('date') < 0) {
    const i = names.findIndex((_, i) => !roles[i] && column(i).length > 0 && formatsOf(column(i)).length > 0);
    if (i >= 0) roles[i] = 'date';
  }
  const amounts = roles.flatMap((r, i) => r === 'amount' || r === 'debit' || r === 'credit' ? column(i) : []);
  const decimal = amounts.some(v => /,\d{1,2}$/.test(v)) && !amounts.some(v => /\.\d{1,2}$/.test(v)) ? ',' : '.';
  const other = decimal === ',' ? '.' : ',';
  const thousands = amounts.some(v => v.includes(other)) ? other : amounts.some(v => /\d[ \u00a0]\d/.test(v)) ? ' ' : amounts.some(v => v.includes("'")) ? "'" : '';
  const formats = formatsOf(first('date') >= 0 ? column(first('date')) : []);
  return {
    delimiter: d, header: true, headerLine: at + 1, roles, decimal, thousands, account: '',
    date: formats[0] ?? 'YYYY-MM-DD', ambiguous: formats.includes('DD/MM/YYYY') && formats.includes('MM/DD/YYYY'),
  };
}

// likeliest is the delimiter that most lines have equally often, at least once.
function likeliest(text: string): string {
  let best = ',', score = 0;
  for (const [d] of DELIMITERS) {
    const widths = rows(text, d, 50).map(r => r.length).filter(n => n > 1);
    const common = widths.sort((a, b) => a - b)[widths.length >> 1] ?? 0;
    const s = widths.filter(n => n === common).length * Math.min(common, 8);
    if (s > score) [best, score] = [d, s];
  }
  return best;
}

const NAMES: [Role, RegExp][] = [
  ['account_id', /^(accountid|account|accountnumber|accountname|accountno|iban|customerid|auftragskonto|auftraggeberkonto|kontonummer|rekening|rekeningnummer|номерсчета)$/],
  ['date', /^(date|bookingdate|postingdate|transactiondate|completeddate|created|buchungstag|buchung|datum|transaktionsdatum|dato|bokföringsdag|dataoperacji|датаоперации)$/],
  ['amount', /^(amount|amounteur|value|betrag|betrageur|betragineur|bedrag|bedrageur|belopp|beløb|kwota|kwotaoperacji|netamount|gross)$/],
  ['debit', /^(debit|withdrawal|withdrawals|soll|расход)$/],
  ['credit', /^(credit|deposit|deposits|haben|приход)$/],
  ['is_revenue', /^(isrevenue|revenue)$/],
  ['description', /^(description|desc|details|payee|text|memo|verwendungszweck|buchungstext|omschrijving|tekst)$/],
];

function role(name: string): Role {
  const folded = name.toLowerCase().replace(/[\s_()\-.]/g, '');
  return NAMES.find(([, names]) => names.test(folded))?.[0] ?? '';
}

// headerAt finds the row that names the most columns: banks put a preamble before it.
function headerAt(table: string[][]): number {
  const known = table.slice(0, 64).map(r => new Set(r.map(role).filter(Boolean)).size);
  const best = Math.max(0, ...known);
  return best > 1 ? known.indexOf(best) : 0;
}

function formatsOf(values: string[]): string[] {
  const fits = (f: string) => values.length > 0 && values.every(v => {
    const pattern = new RegExp(`^${f.replace(/[./-]/g, '\\$&').replace('YYYY', '(?<y>\\d{4})').replace('YY', '(?<y>\\d{2})').replace('MM', '(?<m>\\d{1,2})').replace('DD', '(?<d>\\d{1,2})')}([T ].*)?$`);
    const g = pattern.exec(v)?.groups;
    return g && Number(g.m) >= 1 && Number(g.m) <= 12 && Number(g.d) >= 1 && Number(g.d) <= 31;
  });
  return DATE_FORMATS.filter(fits);
}

// lacks says what is still missing for the file to be read.
export function lacks(r: Reading): string[] {
  const has = (role: Role) => r.roles.includes(role);
  return [
    !has('date') && 'which column is the date', !has('amount') && !(has('debit') && has('credit')) && 'which column is the amount',
    !has('account_id') && !r.account.trim() && 'the account', r.ambiguous && 'whether 01/02 is in January or in February',
  ].filter(x => x !== false);
}

// parseConfig is what was corrected: the server finds the rest by itself, over
// more rows than a preview has.
export function parseConfig(r: Reading, names: string[], found: Reading): string {
  const c: Record<string, unknown> = {};
  if (r.delimiter !== found.delimiter) c.delimiter = r.delimiter;
  if (!r.header) c.has_header = false;
  if (r.date !== found.date || r.ambiguous !== found.ambiguous) c.date_format = r.date;
  if (r.decimal !== found.decimal) c.decimal_separator = r.decimal;
  if (r.thousands && r.thousands !== found.thousands) c.thousands_separator = r.thousands;
  if (!r.roles.includes('account_id') && r.account.trim()) c.account_id = r.account.trim();
  const columns: Record<string, unknown> = {};
  r.roles.forEach((role, i) => {
    if (role && (!r.header || role !== found.roles[i])) columns[role] = r.header && names[i]?.trim() ? names[i] : i + 1;
  });
  // A column that was found by its values is not what its name says: it is named.
  const date = r.roles.indexOf('date');
  if (r.header && date >= 0 && role(names[date] ?? '') !== 'date') columns.date = names[date];
  if (Object.keys(columns).length) c.columns = columns;
  return Object.keys(c).length ? JSON.stringify(c) : '';
}
