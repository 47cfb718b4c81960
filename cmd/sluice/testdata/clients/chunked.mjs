// Sends a CSV file in ten chunks of JSON and waits for its offers, as a client of the
// older system did: node chunked.mjs http://127.0.0.1:8080 FILE
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const [, , base, path] = process.argv;
const door = `${base}/api/financial-transactions/`;
const chunks = 10;

async function call(url, init) {
  const answer = await fetch(new URL(url, base), init);
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status}: ${told.error}`);
  return { status: answer.status, ...told, state_of_job: told.status };
}

// The text of the JSON is put together by hand: a number of JavaScript would be a float.
function transaction(line) {
  const [account, date, amount] = line.split(',');
  return `{"account_id":${JSON.stringify(account)},"date":"${date}","amount":${amount}}`;
}

const lines = (await readFile(path, 'utf8')).trim().split('\n').slice(1);
const size = Math.ceil(lines.length / chunks);
const session = crypto.randomUUID();

function send(number) {
  const data = lines.slice((number - 1) * size, number * size).map(transaction);
  return call(`${door}upload-chunked/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: `{"session_id":"${session}","chunk_number":${number},"total_chunks":${chunks},
      "credit_model_config":{"model_version":"v2.1"},"chunk_data":[${data}]}`,
  });
}

// It goes by what the server says is missing, from one chunk of its own choice on.
let told = await send(chunks);
for (let sent = 1; told.job_id === undefined; sent++) {
  assert.equal(told.status, 202);
  assert.equal(told.progress, sent * 10);
  told = await send(told.next_chunk);
}
assert.equal(told.total_transactions, lines.length);
const session_now = await call(`${door}upload-chunked/${session}/`);
assert.equal(session_now.job_id, told.job_id);
assert.deepEqual(session_now.missing, []);

let job;
do {
  await new Promise((resolve) => setTimeout(resolve, 100));
  job = await call(told.status_url);
} while (!['completed', 'failed', 'aborted'].includes(job.state_of_job));
assert.equal(job.state_of_job, 'completed', job.error);
const offers = await call(`${door}jobs/${told.job_id}/offers/?limit=1`);
assert.equal(offers.pipeline_summary.transactions_processed, lines.length);
console.log(told.job_id);
