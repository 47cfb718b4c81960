// duckdb.mjs MODE FILE: DuckDB's side of `make bench-parse`, with as many
// threads as THREADS says. "ordered" fetches the groups by account and date, as
// Sluice gives them, and prints their number: to add them up here would be work
// that is not DuckDB's. "sum" prints the totals of the groups in no order, "dump"
// every group, and "idle" does nothing but start. It runs where node_modules is.
import { createRequire } from 'node:module';
const { DuckDBInstance } = createRequire(process.cwd() + '/')('@duckdb/node-api');

const [mode, file] = process.argv.slice(2);
const instance = await DuckDBInstance.create(':memory:', { threads: process.env.THREADS });
const db = await instance.connect();
const groups = `SELECT account_id, date, sum(amount) AS total,
  coalesce(sum(amount) FILTER (WHERE is_revenue), 0)::DECIMAL(38,2) AS revenue, count(*) AS rows
  FROM read_csv('${file}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', columns = {
    account_id: 'VARCHAR', date: 'DATE', amount: 'DECIMAL(18,2)', is_revenue: 'BOOLEAN', description: 'VARCHAR'})
  GROUP BY ALL`;
const ordered = `${groups} ORDER BY account_id, date`;
if (mode === 'dump') {
  await db.run(`COPY (${ordered}) TO '/dev/stdout' (FORMAT csv, HEADER false)`);
} else if (mode === 'sum') {
  const rows = (await db.runAndReadAll(`SELECT count(*), sum(total), sum(revenue), sum(rows) FROM (${groups})`)).getRows();
  console.log(rows[0].join(' '));
} else if (mode === 'ordered') {
  const result = await db.stream(ordered);
  let rows = 0;
  for (let chunk; (chunk = await result.fetchChunk())?.rowCount > 0;) rows += chunk.rowCount;
  console.log(rows);
}
