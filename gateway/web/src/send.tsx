// The front door: files are dropped, looked at, and sent.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { PreviousUpload } from 'tus-js-client';
import { rows } from './csv';
import { aggregateConfig, creditConfig, Model } from './model';
import { look, parseConfig, read, type Preview, type Reading } from './sniff';
import { Table } from './preview';
import { bytes, duration, percent, plural } from './text';
import { discard, fingerprintOf, hold, previousOf, Transfer, unfinished, type Settings, type Unfinished } from './transfer';

interface Waiting { file: File; fingerprint: string; preview: Preview; found: Reading; reading: Reading; changed: Unfinished | undefined }

const waiting = signal<Waiting[]>([]);
const transfers = signal<Transfer[]>([]);
const left = signal<Unfinished[]>([]);
const notice = signal('');

async function add(files: Iterable<File>) {
  notice.value = '';
  for (const file of files) {
    const fingerprint = await fingerprintOf(file).catch(() => '');
    if (!fingerprint) {
      notice.value = `${file.name} cannot be read. A folder cannot be sent; its files can.`;
      continue;
    }
    if (waiting.value.some(w => w.fingerprint === fingerprint) || transfers.value.some(t => t.fingerprint === fingerprint && t.phase.value !== 'cancelled' && t.phase.value !== 'stored')) {
      notice.value = `${file.name} is here already.`;
      continue;
    }
    const before = left.value.find(u => u.previous.urlStorageKey.includes(fingerprint));
    if (before) {
      left.value = left.value.filter(u => u !== before);
      await begin(file, fingerprint, {}, await previousOf(fingerprint));
      continue;
    }
    const preview = await look(file);
    const found = read(preview.text);
    waiting.value = [...waiting.value, { file, fingerprint, preview, found, reading: found, changed: left.value.find(u => u.name === file.name) }];
  }
}

// begin sends a file, unless another tab does.
async function begin(file: File, fingerprint: string, settings: Settings, previous?: PreviousUpload) {
  const letGo = await hold(fingerprint);
  if (!letGo) {
    notice.value = `${file.name} is being sent in another tab.`;
    return;
  }
  const t = new Transfer(file, fingerprint, settings, letGo, previous);
  transfers.value = [t, ...transfers.value];
  // One file and nothing else to look at: its job is what its sender waits for.
  const stop = t.phase.subscribe(phase => {
    if (phase !== 'stored') return;
    queueMicrotask(() => stop());
    const alone = transfers.value.length === 1 && waiting.value.length === 0 && location.hash.length <= 1;
    if (alone) location.hash = t.id.value;
  });
}

async function send() {
  const ready = waiting.value.filter(sendable);
  waiting.value = waiting.value.filter(w => !sendable(w));
  for (const w of ready) {
    const names = w.reading.header ? rows(w.preview.text, w.reading.delimiter, 200)[w.reading.headerLine - 1] ?? [] : [];
    const parse = w.preview.kind === 'text' ? parseConfig(w.reading, names, w.found) : '';
    const settings: Settings = {
      ...(parse && { parse_config: parse }),
      ...(creditConfig() && { credit_model_config: creditConfig() }),
      ...(aggregateConfig() && { aggregate_config: aggregateConfig() }),
    };
    await begin(w.file, w.fingerprint, settings);
  }
}

const sendable = (w: Waiting) => w.preview.kind === 'text' || w.preview.kind === 'packed';

export function Send() {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const depth = useRef(0);
  useEffect(() => {
    void unfinished().then(found => { left.value = found; });
    // A file dropped beside the field must not replace the page.
    const stop = (e: DragEvent) => e.preventDefault();
    addEventListener('dragover', stop);
    const drop = (e: DragEvent) => { e.preventDefault(); depth.current = 0; setOver(false); void add(e.dataTransfer?.files ?? []); };
    const enter = () => { depth.current++; setOver(true); };
    const leave = () => { if (--depth.current <= 0) setOver(false); };
    addEventListener('drop', drop);
    addEventListener('dragenter', enter);
    addEventListener('dragleave', leave);
    return () => { removeEventListener('dragover', stop); removeEventListener('drop', drop); removeEventListener('dragenter', enter); removeEventListener('dragleave', leave); };
  }, []);
  const ready = waiting.value.filter(sendable);
  return (
    <section aria-labelledby="send-title">
      <h1 id="send-title" class="visually-hidden">Send transactions</h1>
      <div class={`drop ${over ? 'over' : ''} ${waiting.value.length ? 'small' : ''}`}>
        <svg viewBox="0 0 48 48" aria-hidden="true"><path d="M24 32V10m0 0-8 8m8-8 8 8M8 30v8h32v-8" /></svg>
        <p class="lead">Drop files of transactions here</p>
        <p class="note">CSV in any dialect, also gzip or zstd. A broken line or a closed tab loses nothing.</p>
        <button class={ready.length ? '' : 'primary'} onClick={() => input.current?.click()}>Choose files</button>
        <input ref={input} hidden type="file" multiple
          onChange={e => { void add([...e.currentTarget.files ?? []]); e.currentTarget.value = ''; }} />
      </div>
      <p class="bad" role="alert">{notice.value}</p>
      {left.value.map(u => <Left key={u.id} upload={u} />)}
      {waiting.value.map(w => <Look key={w.fingerprint} waiting={w} />)}
      {ready.length > 0 && (
        <div class="card">
          <Model />
          <div class="line end">
            <button onClick={() => { waiting.value = []; }}>Do not send</button>
            <button class="primary" autofocus onClick={() => void send()}>Send {ready.length === 1 ? bytes(ready[0]!.file.size) : plural(ready.length, 'file')}</button>
          </div>
        </div>
      )}
      {transfers.value.length > 0 && <h2>Sent from here</h2>}
      {transfers.value.map(t => <Going key={t.key} transfer={t} />)}
    </section>
  );
}

function Look({ waiting: w }: { waiting: Waiting }) {
  const set = (reading: Reading) => { waiting.value = waiting.value.map(x => x === w ? { ...w, reading } : x); };
  return (
    <article class="card" aria-label={w.file.name}>
      <div class="line">
        <h2 class="name">{w.file.name}</h2>
        <span class="note">{bytes(w.file.size)}</span>
        <button class="quiet" aria-label={`Remove ${w.file.name}`} onClick={() => { waiting.value = waiting.value.filter(x => x !== w); }}>✕</button>
      </div>
      {w.changed && (
        <p class="warn">A file of this name was being sent and is not finished ({percent(Math.floor(100 * w.changed.offset / w.changed.size) / 100)}). This one is not the same, so it is sent from its beginning.</p>
      )}
      {w.preview.kind === 'excel' && <p class="bad" role="alert">This is an Excel workbook. Save it as CSV (File, Save as, CSV UTF-8) and drop that file.</p>}
      {w.preview.kind === 'binary' && <p class="bad" role="alert">This is no text file of transactions. A CSV export of the same data is.</p>}
      {w.preview.kind === 'packed' && <p class="note">A zstd file is sent as it is; the server looks into it.</p>}
      {w.preview.kind === 'text' && (w.preview.text.trim() ? <Table preview={w.preview} reading={w.reading} found={w.found} set={set} /> : <p class="warn">The file is empty.</p>)}
    </article>
  );
}

function Left({ upload: u }: { upload: Unfinished }) {
  return (
    <article class="card" aria-label={`Unfinished: ${u.name}`}>
      <div class="line">
        <h2 class="name">{u.name}</h2>
        <button onClick={() => void discard(u).then(() => { left.value = left.value.filter(x => x !== u); }, error => { notice.value = (error as Error).message; })}>Discard</button>
      </div>
      <p>{bytes(u.offset)} of {bytes(u.size)} are stored. Drop or choose the same file again, and it goes on from there.</p>
      <progress max={u.size} value={u.offset} aria-label={`Stored of ${u.name}`} />
    </article>
  );
}

function Going({ transfer: t }: { transfer: Transfer }) {
  const phase = t.phase.value, sent = t.sent.value, size = t.file.size;
  const left = t.left.value;
  const now = {
    queued: 'Waits for its turn', sending: left === null ? 'Sending' : `${bytes(Math.round(t.speed.value))}/s, ${duration(left)} left`,
    paused: 'Paused', waiting: 'No connection. It goes on by itself when the line is back.', cancelling: 'Being cancelled. The server is told as soon as it answers.',
    stored: t.problem.value || 'Stored', failed: t.problem.value, cancelled: 'Cancelled',
  }[phase];
  return (
    <article class="card going" aria-label={t.file.name}>
      <div class="line">
        <h3 class="name">{t.file.name}</h3>
        {phase === 'sending' && <button onClick={() => t.pause()} aria-label={`Pause ${t.file.name}`}>Pause</button>}
        {phase === 'paused' && <button onClick={() => t.resume()} aria-label={`Resume ${t.file.name}`}>Resume</button>}
        {phase === 'failed' && <button onClick={() => t.resume()} aria-label={`Try ${t.file.name} again`}>Try again</button>}
        {(phase === 'queued' || phase === 'sending' || phase === 'paused' || phase === 'waiting') && <button onClick={() => void t.cancel()} aria-label={`Cancel ${t.file.name}`}>Cancel</button>}
        {phase === 'stored' && <a class="button" href={`#${t.id.value}`}>Show its job</a>}
        {(phase === 'failed' || phase === 'cancelled') && <button class="quiet" aria-label={`Remove ${t.file.name}`} onClick={() => { t.forget(); transfers.value = transfers.value.filter(x => x !== t); }}>✕</button>}
      </div>
      {phase !== 'stored' && <progress max={size || 1} value={size ? sent : 1} aria-label={`Sent of ${t.file.name}`} />}
      <p class={phase === 'failed' ? 'bad' : phase === 'waiting' ? 'warn' : 'note'} data-phase={phase}>
        <span class="n">{phase === 'stored' ? bytes(size) : `${bytes(sent)} of ${bytes(size)}`}</span> · <span role="status">{now}</span>
      </p>
    </article>
  );
}
