'use strict';
const $ = id => document.getElementById(id);
const CHUNK = 8 << 20, RETRIES = 8;
const TUS = { 'Tus-Resumable': '1.0.0' };
const TERMINAL = ['JOB_COMPLETE', 'FAILED', 'ABORTED'];
const pause = ms => new Promise(done => setTimeout(done, ms));
const base64 = text => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const plural = (n, one) => `${Number(n).toLocaleString()} ${one}${n === 1 ? '' : 's'}`;

const headers = more => {
  const key = sessionStorage.getItem('key');
  return { ...(key && { Authorization: `Bearer ${key}` }), ...more };
};

class Refused extends Error {}

// call asks the server; what it refuses is thrown in its own words.
async function call(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers) });
  if (answer.ok) return answer;
  if (answer.status === 401) $('key-form').hidden = false;
  const problem = await answer.json().catch(() => ({}));
  const error = new Refused(problem.detail || `HTTP ${answer.status}`);
  error.status = answer.status;
  throw error;
}

const say = (text, bad) => { $('message').textContent = text; $('message').className = bad ? 'bad' : ''; };

function element(tag, text, className) {
  const e = document.createElement(tag);
  e.textContent = text ?? '';
  e.className = className ?? '';
  return e;
}

function button(text, onclick) {
  const b = element('button', text, 'link');
  b.type = 'button';
  b.onclick = () => Promise.resolve(onclick()).catch(error => say(error.message, true));
  return b;
}

// --- upload: tus 1.0, one PATCH after the other, resumed from the offset the server has.

async function offsetOf(url) {
  const answer = await call(url, { method: 'HEAD', headers: TUS });
  return Number(answer.headers.get('Upload-Offset'));
}

async function create(file, settings) {
  const metadata = { filename: file.name, ...settings };
  const answer = await call('/files/', { method: 'POST', headers: { ...TUS, 'Upload-Length': String(file.size),
    'Upload-Metadata': Object.entries(metadata).map(([k, v]) => `${k} ${base64(v)}`).join(',') } });
  return new URL(answer.headers.get('Location'), location.href).pathname;
}

// patch sends one chunk; fetch tells no upload progress, so this is an XMLHttpRequest.
const patch = (url, file, offset) => new Promise((done, lost) => {
  const request = new XMLHttpRequest();
  request.open('PATCH', url);
  for (const [k, v] of Object.entries(headers({ ...TUS, 'Upload-Offset': offset, 'Content-Type': 'application/offset+octet-stream' }))) request.setRequestHeader(k, v);
  request.upload.onprogress = e => { $('progress').value = (offset + e.loaded) / file.size; };
  request.onload = () => request.status === 204 ? done(Number(request.getResponseHeader('Upload-Offset'))) : lost(new Error(`HTTP ${request.status}`));
  request.onerror = () => lost(new Error('connection lost'));
  request.send(file.slice(offset, offset + CHUNK));
});

async function upload(file, settings) {
  const memory = `upload:${JSON.stringify([file.name, file.size, file.lastModified, settings])}`;
  let url = localStorage.getItem(memory);
  let offset = url ? await offsetOf(url).catch(() => -1) : -1;
  if (offset < 0) {
    url = await create(file, settings);
    localStorage.setItem(memory, url);
    offset = 0;
  }
  for (let tries = 0; offset < file.size;) {
    say(`Uploading: ${Math.floor(100 * offset / file.size)} % is stored.`);
    try {
      offset = await patch(url, file, offset);
      tries = 0;
    } catch (error) {
      if (++tries > RETRIES) throw error;
      say(`${error.message}; going on in a moment.`, true);
      await pause(Math.min(500 * 2 ** tries, 15000));
      offset = await offsetOf(url).catch(problem => { if (problem instanceof Refused && problem.status < 423) throw problem; return offset; });
    }
  }
  localStorage.removeItem(memory);
  return url.split('/').pop();
}

$('upload-form').onsubmit = async event => {
  event.preventDefault();
  $('send').disabled = true;
  $('progress').hidden = false;
  try {
    const settings = Object.fromEntries([...new FormData(event.target)].filter(([, text]) => typeof text === 'string' && text.trim()));
    const id = await upload($('file').files[0], settings);
    $('progress').value = 1;
    say('All bytes are stored.');
    show(id).catch(error => say(error.message, true));
  } catch (error) {
    say(`${error.message} Choose the same file again to go on.`, true);
  }
  $('send').disabled = false;
};

// --- a job: followed to its end, then its offers.

let shown;

async function show(id) {
  shown = id;
  $('offers').hidden = $('more').hidden = true;
  $('job-files').replaceChildren();
  for (;; await pause(1000)) {
    const answer = await call(`/api/jobs/${id}/status/`).catch(error => { if (error instanceof Refused) throw error; });
    if (shown !== id) return;
    if (!answer) continue; // no connection just now
    const job = await answer.json();
    $('job').hidden = false;
    $('job-name').textContent = job.filename || id;
    $('job-state').textContent = `${job.message} ${plural(job.rows_accepted, 'row')} accepted, ${plural(job.rows_rejected, 'row')} rejected.`;
    $('job-state').className = job.state === 'FAILED' ? 'bad' : '';
    if (TERMINAL.includes(job.state)) return finish(id, job);
  }
}

async function finish(id, job) {
  recent();
  const complete = job.state === 'JOB_COMPLETE';
  const files = [[complete, 'offers', 'csv', 'text/csv'], [complete, 'aggregates', 'csv', 'text/csv'],
    [complete, 'aggregates', 'parquet', 'application/vnd.apache.parquet'], [job.rows_rejected > 0, 'rejects', 'csv', 'text/csv']];
  $('job-files').replaceChildren(...files.filter(([there]) => there).map(([, what, extension, type]) =>
    button(`${what}.${extension}`, () => download(`/api/jobs/${id}/${what}/${what === 'offers' ? '?decision=all' : ''}`, `${id}-${what}.${extension}`, type))));
  if (!complete) return;
  $('offers').tBodies[0].replaceChildren();
  await page(id, '');
}

async function download(path, name, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await (await call(path, { headers: { Accept: type } })).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Numbers pass through a double here, for the eye; the files hold them as they are.
async function page(id, cursor) {
  const { offers, next_cursor } = await (await call(`/api/jobs/${id}/offers/?decision=all&limit=50&cursor=${cursor}`)).json();
  if (shown !== id) return;
  for (const o of offers) {
    const tr = document.createElement('tr');
    tr.append(element('td', o.account_id ?? o.date), element('td', o.decision), element('td', o.amount, 'n'), element('td', o.interest_rate, 'n'),
      element('td', o.credit_score, 'n'), element('td', o.risk_level), element('td', o.reason_codes.join(', ')));
    $('offers').tBodies[0].append(tr);
  }
  $('offers').hidden = false;
  $('more').hidden = !next_cursor;
  $('more').onclick = () => page(id, next_cursor);
}

async function recent() {
  const { jobs } = await (await call('/api/jobs/?limit=10')).json();
  $('jobs').tBodies[0].replaceChildren(...jobs.map(job => {
    const tr = document.createElement('tr'), name = element('td');
    name.append(button(job.filename || job.job_id, () => show(job.job_id)));
    tr.append(name, element('td', job.status), element('td', plural(job.rows_accepted, 'row'), 'n'), element('td', new Date(job.created_at).toLocaleString(), 'n'));
    return tr;
  }));
}

$('key-form').onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem('key', $('key').value);
  $('key-form').hidden = true;
  say('');
  recent().catch(error => say(error.message, true));
};

for (const memory of Object.keys(localStorage).filter(k => k.startsWith('upload:')).slice(0, 1)) {
  say(`${JSON.parse(memory.slice('upload:'.length))[0]} was not finished: choose it again to go on.`);
}
recent().catch(error => say(error.message, true));
