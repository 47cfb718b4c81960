// Every request of the page but those of tus. Where a key is asked for it is
// traded for a cookie, which no script can read and no other site can use.
import { signal } from '@preact/signals';
import type { paths } from './openapi.gen';
import type { Answer, Given, Status } from './types';
import { ended } from './types';

export const keyNeeded = signal(false);
export const loggedIn = signal(false);

export async function checkSession() {
  const s = await read('/session', {});
  loggedIn.value = s.expires_at !== null;
  keyNeeded.value = s.key_needed && !loggedIn.value;
}

export async function logIn(key: string) {
  await ask('post', '/session', {}, { headers: { Authorization: `Bearer ${key}` } });
  location.reload();
}

export async function logOut() {
  await ask('delete', '/session', {});
  location.reload();
}

// Refused is an answer that says no; anything else that fends a request off is
// the line, and worth another try.
export class Refused extends Error {
  constructor(message: string, readonly status: number) { super(message); }
}

// ask sends a request that openapi.yaml has, and no other compiles. Its query is sent as far as it has values.
export async function ask<P extends keyof paths, M extends 'get' | 'head' | 'post' | 'delete'>(method: M, path: P, given: Given<P, M>, options: RequestInit = {}): Promise<Response> {
  const { path: ids, query } = given as { path?: Record<string, string>; query?: Record<string, string | number | undefined> };
  const place = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ids![name]!));
  const values = Object.entries(query ?? {}).filter(([, v]) => v !== undefined && v !== '').map(([k, v]) => [k, String(v)]);
  const answer = await fetch(values.length ? `${place}?${new URLSearchParams(values)}` : place, { ...options, method: method.toUpperCase() });
  if (answer.ok) return answer;
  if (answer.status === 401) keyNeeded.value = true;
  const problem = await answer.json().catch(() => ({})) as { detail?: string };
  throw new Refused(problem.detail || `The server answered ${answer.status}.`, answer.status);
}

export const read = async <P extends keyof paths>(path: P, given: Given<P, 'get'>, signal?: AbortSignal): Promise<Answer<P>> =>
  (await ask('get', path, given, signal ? { signal } : {})).json() as Promise<Answer<P>>;

export const pause = (ms: number, signal?: AbortSignal) => new Promise<void>(done => {
  const timer = setTimeout(done, ms);
  signal?.addEventListener('abort', () => { clearTimeout(timer); done(); });
});

// follow calls each with the job as it changes until it has ended: by its event
// stream, taken up after the last event whenever the line breaks, and between
// two streams by one look at the status. EventSource hides why it was refused.
export async function follow(id: string, each: (s: Status) => void, signal: AbortSignal): Promise<void> {
  let last = '';
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 10_000)) {
    try {
      const headers = { Accept: 'text/event-stream', ...(last && { 'Last-Event-ID': last }) };
      const answer = await ask('get', '/api/jobs/{id}/events/', { path: { id } }, { signal, headers });
      if (answer.status === 200 && answer.body) {
        for await (const e of events(answer.body)) {
          wait = 500;
          last = e.id;
          const status = JSON.parse(e.data) as Status;
          each(status);
          if (ended(status)) return;
        }
      }
      const status = await read('/api/jobs/{id}/status/', { path: { id } }, signal);
      each(status);
      if (ended(status)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status < 500 && error.status !== 429) throw error;
    }
    await pause(wait, signal);
  }
}

async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ id: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => block.split('\n').find(l => l.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field('data');
      if (data) yield { id: field('id') ?? '', data };
    }
  }
}

// download saves an answer as a file. It goes through the page because a link
// cannot ask for a media type.
export async function download<P extends keyof paths>(path: P, given: Given<P, 'get'>, name: string, accept: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await (await ask('get', path, given, { headers: { Accept: accept } })).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
