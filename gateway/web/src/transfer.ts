// One file on its way: tus by tus-js-client, which remembers in localStorage
// where an upload lives, so that it goes on after a reload or a crash.
import { computed, signal } from '@preact/signals';
import { Upload, defaultOptions, type PreviousUpload } from 'tus-js-client';
import { ask, keyNeeded, pause, Refused } from './api';

export type Phase = 'queued' | 'sending' | 'paused' | 'waiting' | 'cancelling' | 'stored' | 'failed' | 'cancelled';
export interface Settings { credit_model_config?: string; aggregate_config?: string; parse_config?: string }

const FIRST_WAIT = 500, MAX_WAIT = 15_000;

// A browser holds six connections to a server; those that are left are for the
// rest of the page. What waits for its turn is sent in the order it came.
const AT_ONCE = 4;
const turns = { going: new Set<Transfer>(), next: [] as Transfer[] };

// moved counts what this page has done that the list of jobs shows.
export const moved = signal(0);

let made = 0;

export class Transfer {
  readonly key = ++made; // tells two transfers of one file apart
  readonly phase = signal<Phase>('queued');
  readonly sent = signal(0);
  readonly speed = signal(0); // bytes per second, lately
  readonly problem = signal('');
  readonly id = signal(''); // of the upload and its job, once it is created
  readonly left = computed(() => this.speed.value > 0 ? (this.file.size - this.sent.value) / this.speed.value : null);

  private readonly upload: Upload;
  private wait = FIRST_WAIT;
  private timer?: ReturnType<typeof setTimeout>;
  private mark = { at: performance.now(), bytes: -1 };

  // letGo lets another tab send the file once this one is done with it. With previous the upload goes on; should the server have it no more, it is
  // begun anew with the settings it had.
  constructor(readonly file: File, readonly fingerprint: string, settings: Settings, private readonly letGo: () => void, previous?: PreviousUpload) {
    this.upload = new Upload(file, {
      endpoint: '/files/',
      retryDelays: null, // ours below wait for the network, however long
      fingerprint: async () => fingerprint,
      removeFingerprintOnSuccess: true,
      metadata: { ...previous?.metadata, filename: file.name, filetype: file.type, ...settings },
      onUploadUrlAvailable: () => { this.id.value = idOf(this.upload.url); moved.value++; },
      onProgress: sent => this.progress(sent),
      onSuccess: () => this.end('stored'),
      onError: error => this.lost(error),
    });
    if (previous) this.upload.resumeFromPreviousUpload(previous);
    addEventListener('online', this.again);
    addEventListener('offline', this.offline);
    this.resume();
  }

  pause() {
    clearTimeout(this.timer);
    void this.upload.abort();
    this.speed.value = 0;
    this.phase.value = 'paused';
    this.yield();
  }

  // resume sends from where the server stands, once it is this one's turn.
  resume() {
    this.problem.value = '';
    if (!turns.going.has(this)) {
      if (turns.going.size >= AT_ONCE) {
        turns.next.push(this);
        this.phase.value = 'queued';
        return;
      }
      turns.going.add(this);
    }
    this.mark.bytes = -1;
    this.phase.value = 'sending';
    this.upload.start();
  }

  private yield() {
    turns.going.delete(this);
    turns.next = turns.next.filter(t => t !== this);
    if (turns.going.size < AT_ONCE) turns.next.shift()?.resume();
  }

  // forget leaves one that failed as it is on the server, for another visit.
  forget() {
    removeEventListener('online', this.again);
    removeEventListener('offline', this.offline);
    this.letGo();
  }

  private end(phase: 'stored' | 'cancelled') {
    if (phase === 'stored') this.sent.value = this.file.size;
    this.phase.value = phase;
    moved.value++;
    this.forget();
    this.yield();
  }

  // cancel ends the upload here at once and on the server as soon as that can be told: its last byte may be there, though
  // no answer is. What was done before anybody said so is not taken back.
  async cancel() {
    clearTimeout(this.timer);
    this.phase.value = 'cancelling';
    this.speed.value = 0;
    void this.upload.abort();
    this.yield();
    for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, MAX_WAIT)) {
      try {
        const done = this.id.value !== '' && !await abortJob(this.id.value);
        await forgetUpload(this.fingerprint);
        if (done) this.problem.value = 'It was stored before it could be cancelled';
        return this.end(done ? 'stored' : 'cancelled');
      } catch (error) {
        if (error instanceof Refused && !passing(error.status)) {
          this.problem.value = error.message;
          this.phase.value = 'failed';
          return;
        }
      }
      await pause(wait);
    }
  }

  private progress(sent: number) {
    this.sent.value = sent;
    this.wait = FIRST_WAIT;
    const now = performance.now(), elapsed = (now - this.mark.at) / 1000;
    if (this.mark.bytes < 0 || sent < this.mark.bytes) this.mark = { at: now, bytes: sent };
    else if (elapsed > 0.5) {
      const rate = (sent - this.mark.bytes) / elapsed;
      this.speed.value = this.speed.value ? 0.7 * this.speed.value + 0.3 * rate : rate;
      this.mark = { at: now, bytes: sent };
    }
  }

  private lost(error: Error) {
    if (this.phase.value !== 'sending') return;
    this.speed.value = 0;
    const answer = (error as { originalResponse?: { getStatus(): number; getBody(): string } | null }).originalResponse;
    const status = answer?.getStatus() ?? 0;
    if (status >= 400 && !passing(status)) {
      let detail = '';
      try { detail = (JSON.parse(answer!.getBody()) as { detail?: string }).detail ?? ''; } catch { /* no problem document */ }
      if (status === 401) keyNeeded.value = true;
      this.problem.value = detail || `The server answered ${status}.`;
      this.phase.value = 'failed';
      this.yield();
      return;
    }
    this.phase.value = 'waiting';
    this.timer = setTimeout(this.again, this.wait);
    this.wait = Math.min(this.wait * 2, MAX_WAIT);
  }

  private again = () => {
    if (this.phase.value !== 'waiting') return;
    clearTimeout(this.timer);
    this.resume();
  };

  // A browser that knows it is offline need not wait for the request to find out.
  private offline = () => {
    if (this.phase.value !== 'sending') return;
    void this.upload.abort();
    this.speed.value = 0;
    this.phase.value = 'waiting';
  };
}

export const idOf = (url: string | null) => url?.replace(/\/$/, '').split('/').pop() ?? '';

// fingerprintOf names a file by what it is called, its size and time, and its
// first and last 64 KiB, so that a file changed in between is another.
export async function fingerprintOf(file: File): Promise<string> {
  const EDGE = 64 << 10;
  let h = 0xcbf29ce484222325n; // FNV-1a, 64 bits: tells apart, protects from nobody
  for (const part of [file.slice(0, EDGE), file.slice(Math.max(0, file.size - EDGE))]) {
    for (const byte of new Uint8Array(await part.arrayBuffer())) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  }
  return `sluice-${file.name}-${file.size}-${file.lastModified}-${h.toString(16)}`;
}

// hold keeps a file to this tab while it is being sent: two that send the same
// upload would take it from each other for ever. It returns what lets go, or
// nothing where another tab has it. A tab that is closed lets go by itself. Only
// over https and from this machine do browsers have locks.
export const hold = (fingerprint: string): Promise<(() => void) | undefined> => new Promise(held => {
  if (!isSecureContext) return held(() => {});
  void navigator.locks.request(fingerprint, { ifAvailable: true }, lock =>
    lock ? new Promise<void>(letGo => held(letGo)) : held(undefined));
});

const elsewhere = async () => isSecureContext ? (await navigator.locks.query()).held?.map(l => l.name!) ?? [] : [];

const storage = defaultOptions.urlStorage;

export interface Unfinished { previous: PreviousUpload; name: string; id: string; size: number; offset: number }

// unfinished lists what an earlier visit left behind and no other tab is sending,
// as far as the server still has it; the rest is forgotten.
export async function unfinished(): Promise<Unfinished[]> {
  const found: Unfinished[] = [], locks = await elsewhere();
  for (const previous of await storage.findAllUploads()) {
    if (locks.some(name => previous.urlStorageKey.includes(name))) continue;
    const id = idOf(previous.uploadUrl);
    try {
      const head = await ask('head', '/files/{id}', { path: { id } }, { headers: { 'Tus-Resumable': '1.0.0' } });
      const offset = Number(head.headers.get('Upload-Offset')), size = previous.size ?? 0;
      if (offset < size) {
        found.push({ previous, id, size, offset, name: previous.metadata.filename ?? id });
        continue;
      }
    } catch (error) {
      if (![404, 410].includes((error as { status?: number }).status ?? 0)) continue; // ask another time
    }
    await storage.removeUpload(previous.urlStorageKey);
  }
  return found;
}

// discard gives up an unfinished upload, on the server and then here.
export async function discard(u: Unfinished) {
  await abortJob(u.id);
  await storage.removeUpload(u.previous.urlStorageKey);
}

// abortJob cancels the job of an upload, and tells whether it was still there to be
// cancelled: false means that it had ended with all its bytes.
async function abortJob(id: string): Promise<boolean> {
  try {
    await ask('post', '/api/jobs/{id}/cancel/', { path: { id } });
  } catch (error) {
    if (!(error instanceof Refused) || ![404, 409].includes(error.status)) throw error;
    return error.status === 404;
  }
  return true;
}

async function forgetUpload(fingerprint: string) {
  for (const u of await storage.findUploadsByFingerprint(fingerprint)) await storage.removeUpload(u.urlStorageKey);
}

// passing tells a refusal that another try can mend.
const passing = (status: number) => status >= 500 || [408, 409, 423, 429].includes(status);

export const previousOf = async (fingerprint: string): Promise<PreviousUpload | undefined> =>
  (await storage.findUploadsByFingerprint(fingerprint))[0];
