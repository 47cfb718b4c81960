// Numbers, sizes, times and reasons as people read them.
const whole = new Intl.NumberFormat('en');
const money = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const edge = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 3 });

export const count = (n: number) => whole.format(n);
export const amount = (n: number) => Number.isInteger(n) ? whole.format(n) : money.format(n);
export const compact = (n: number) => short.format(n);
export const round = (n: number) => edge.format(n); // of a bin's edge, which neighbours must not share
export const percent = (n: number) => `${+(n * 100).toFixed(2)} %`;
export const plural = (n: number, word: string) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;

export function bytes(n: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i ? n.toFixed(1) : n} ${units[i]}`;
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}

export const when = (time: string) => new Date(time).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });

const REASONS: Record<string, string> = {
  NO_REVENUE: 'No revenue deposits in the review period',
  INSUFFICIENT_HISTORY: 'Length of transaction history',
  SHORT_HISTORY: 'Length of transaction history',
  INSUFFICIENT_TRANSACTIONS: 'Number of transactions in the review period',
  NO_RECENT_ACTIVITY: 'No recent account activity',
  AMOUNT_BELOW_MINIMUM: 'Average monthly revenue insufficient for the minimum line',
  NEGATIVE_NET_CASH_FLOW: 'Outflows exceed inflows',
  LOW_TRANSACTION_VOLUME: 'Average monthly revenue or number of transactions',
  LOW_REVENUE_RATIO: 'Non-revenue flows high in relation to revenue',
  INCONSISTENT_REVENUE: 'Month-to-month variation of revenue',
};
export const reason = (code: string) => REASONS[code] ?? code;
export const words = (code: string) => code.replace(/_/g, ' ');
