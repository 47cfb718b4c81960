import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { checkSession, keyNeeded, loggedIn, logIn, logOut } from './api';
import { History } from './history';
import { Job } from './job';
import { Send } from './send';

// The place is the hash: #job_… shows a job, anything else the front door.
const place = signal(location.hash.slice(1));
addEventListener('hashchange', () => { place.value = location.hash.slice(1); });

export function App() {
  const docs = location.pathname.replace(/\/$/, '') === '/docs';
  const id = place.value.startsWith('job_') ? place.value : '';
  useEffect(() => { void checkSession().catch(() => {}); }, []); // whoever is refused later is told so then
  return (
    <>
      <a class="skip" href="#main" onClick={e => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to content</a>
      <header class="top">
        <a class="brand" href="/#" aria-label="Sluice, to the start">
          <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M6 3v26M26 3v26M6 9h20" /><path class="water" d="M6 19c3.3-3 6.700 3 10 0s6.700 3 10 0M6 25c3.300-3 6.700 3 10 0s6.700 3 10 0" /></svg>
          Sluice
        </a>
        <span class="tagline">Bank transactions in, credit offers out</span>
        <nav>
          <a href="/docs" aria-current={docs ? 'page' : undefined}>API</a>
          {loggedIn.value && <button class="link" onClick={() => void logOut()}>Log out</button>}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {keyNeeded.value && <KeyForm />}
        {docs ? <Docs /> : (
          <>
            {/* Kept while a job is shown, or the key asked for anew: its uploads go on. */}
            <div hidden={id !== '' || keyNeeded.value}><Send /><History shown={id === '' && !keyNeeded.value} /></div>
            {id && !keyNeeded.value && <Job key={id} id={id} />}
          </>
        )}
      </main>
    </>
  );
}

function KeyForm() {
  const [key, setKey] = useState('');
  const [problem, setProblem] = useState('');
  return (
    <form class="card" onSubmit={e => { e.preventDefault(); logIn(key.trim()).catch(() => setProblem('The server does not know this key.')); }}>
      <label for="key">This server asks for an API key</label>
      <div class="line">
        <input id="key" type="password" autocomplete="off" required value={key} onInput={e => setKey(e.currentTarget.value)} aria-invalid={problem !== ''} />
        <button class="primary">Log in</button>
      </div>
      {problem && <p class="bad" role="alert">{problem}</p>}
      <p class="note">It is not kept: this browser gets a session of 12 hours for it.</p>
    </form>
  );
}

function Docs() {
  const [View, setView] = useState<ComponentType | null>(null);
  useEffect(() => { void import('./docs').then(m => setView(() => m.Docs)); }, []);
  return View ? <View /> : <p role="status">Loading…</p>;
}
