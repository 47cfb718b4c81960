// One file on its way: tus by tus-js-client, which remembers in localStorage
// where an upload lives, so that it goes on after a reload or a crash.
import { computed, signal } from '@preact/signals';
import { Upload, defaultOptions, type PreviousUpload } from 'tus-js-client';
import { authorization, call } from './api';

export type Phase = 'sending' | 'paused' | 'waiting' | 'stored' | 'failed' | 'cancelled';
export interface Settings { credit_model_config?: string; aggregate_config?: string; parse_config?: string }

const FIRST_WAIT = 500, MAX_WAIT = 15_000;

let made = 0;

export class Transfer {
  readonly key = ++made; // tells two transfers of one file apart
  readonly phase = signal<Phase>('sending');
  readonly sent = signal(0);
  readonly speed = signal(0); // bytes per second, lately
  readonly problem = signal('');
  readonly id = signal(''); // of the upload and its job, once it is created
  readonly left = computed(() => this.speed.value > 0 ? (this.file.size - this.sent.value) / this.speed.value : null);

  private readonly upload: Upload;
  private wait = FIRST_WAIT;
  private timer?: ReturnType<typeof setTimeout>;
  private mark = { at: performance.now(), bytes: -1 };

  // With previous the upload goes on; should the server have it no more, it is
  // begun anew with the settings it had.
  constructor(readonly file: File, readonly fingerprint: string, settings: Settings, previous?: PreviousUpload) {
    this.upload = new Upload(file, {
      endpoint: '/files/',
      retryDelays: null, // ours below wait for the network, however long
      fingerprint: async () => fingerprint,
      removeFingerprintOnSuccess: true,
      metadata: { ...previous?.metadata, filename: file.name, filetype: file.type, ...settings },
      onBeforeRequest: request => Object.entries(authorization()).forEach(([name, value]) => request.setHeader(name, value)),
      onUploadUrlAvailable: () => { this.id.value = idOf(this.upload.url); },
      onProgress: sent => this.progress(sent),
      onSuccess: () => { this.sent.value = file.size; this.phase.value = 'stored'; },
      onError: error => this.lost(error),
    });
    if (previous) this.upload.resumeFromPreviousUpload(previous);
    addEventListener('online', this.again);
    addEventListener('offline', this.offline);
    this.upload.start();
  }

  pause() {
    clearTimeout(this.timer);
    void this.upload.abort();
    this.speed.value = 0;
    this.phase.value = 'paused';
  }

  resume() {
    this.mark.bytes = -1;
    this.problem.value = '';
    this.phase.value = 'sending';
    this.upload.start();
  }

  // cancel ends the upload here and on the server. It does not fail: what a
  // broken line keeps from being deleted expires there by itself.
  cancel() {
    clearTimeout(this.timer);
    this.phase.value = 'cancelled';
    removeEventListener('online', this.again);
    removeEventListener('offline', this.offline);
    void this.upload.abort(true).catch(() => {});
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
    if (status >= 400 && status < 500 && ![408, 409, 423, 429].includes(status)) {
      let detail = '';
      try { detail = (JSON.parse(answer!.getBody()) as { detail?: string }).detail ?? ''; } catch { /* no problem document */ }
      this.problem.value = detail || `The server answered ${status}.`;
      this.phase.value = 'failed';
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

const storage = defaultOptions.urlStorage;

export interface Unfinished { previous: PreviousUpload; name: string; id: string; size: number; offset: number }

// unfinished lists what an earlier visit left behind, as far as the server still
// has it; the rest is forgotten.
export async function unfinished(): Promise<Unfinished[]> {
  const found: Unfinished[] = [];
  for (const previous of await storage.findAllUploads()) {
    const id = idOf(previous.uploadUrl);
    try {
      const head = await call(`/files/${id}`, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
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

// discard gives up an unfinished upload, here and on the server.
export async function discard(u: Unfinished) {
  await storage.removeUpload(u.previous.urlStorageKey);
  await call(`/files/${u.id}`, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } }).catch(() => {});
}

export const previousOf = async (fingerprint: string): Promise<PreviousUpload | undefined> =>
  (await storage.findUploadsByFingerprint(fingerprint))[0];
