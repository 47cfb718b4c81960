import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { keyNeeded, useKey } from './api';
import { History } from './history';
import { Job } from './job';
import { Send } from './send';

// The place is the hash: #job_… shows a job, anything else the front door.
const place = signal(location.hash.slice(1));
addEventListener('hashchange', () => { place.value = location.hash.slice(1); });

export function App() {
  const docs = location.pathname.replace(/\/$/, '') === '/docs';
  const id = place.value.startsWith('job_') ? place.value : '';
  return (
    <>
      <a class="skip" href="#main" onClick={e => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to content</a>
      <header class="top">
        <a class="brand" href="/#" aria-label="Sluice, to the start">
          <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M6 3v26M26 3v26M6 9h20" /><path class="water" d="M6 19c3.3-3 6.700 3 10 0s6.700 3 10 0M6 25c3.300-3 6.700 3 10 0s6.700 3 10 0" /></svg>
          Sluice
        </a>
        <span class="tagline">Bank transactions in, credit offers out</span>
        <nav><a href="/docs" aria-current={docs ? 'page' : undefined}>API</a></nav>
      </header>
      <main id="main" tabIndex={-1}>
        {keyNeeded.value && <KeyForm />}
        {docs ? <Docs /> : (
          <>
            {/* Kept while a job is shown: its uploads go on. */}
            <div hidden={id !== ''}><Send /><History shown={id === ''} /></div>
            {id && <Job key={id} id={id} />}
          </>
        )}
      </main>
    </>
  );
}

function KeyForm() {
  const [key, setKey] = useState('');
  return (
    <form class="card key" onSubmit={e => { e.preventDefault(); useKey(key); location.reload(); }}>
      <label for="key">This server asks for an API key</label>
      <div class="line">
        <input id="key" type="password" autocomplete="off" required value={key} onInput={e => setKey(e.currentTarget.value)} />
        <button class="primary">Use it</button>
      </div>
      <p class="note">It is kept in this tab only.</p>
    </form>
  );
}

function Docs() {
  const [View, setView] = useState<ComponentType | null>(null);
  useEffect(() => { void import('./docs').then(m => setView(() => m.Docs)); }, []);
  return View ? <View /> : <p role="status">Loading…</p>;
}
