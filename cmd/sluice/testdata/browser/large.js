// One large file, on the page and, to compare, by tus-js-client on an empty one.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { phase, sendButton, shot, url } from './tools.js';

// watch counts from now on what keeps the page from answering, and what its scripts hold.
const watch = page => page.evaluate(() => {
  window.found = { longTasks: 0, longMS: 0, heapBytes: [] };
  new PerformanceObserver(list => list.getEntries().forEach(e => { found.longTasks++; found.longMS += e.duration; })).observe({ type: 'longtask' });
  setInterval(() => { found.heapBytes.push(performance.memory.usedJSHeapSize); }, 250);
});

export const large = {
  async large(page) {
    await page.goto(url);
    await page.locator('input[type=file]').setInputFiles(process.env.FILE);
    await sendButton(page).waitFor();
    // It is one of several, so that the page stays where it is.
    await page.evaluate(() => { location.hash = '#still'; });
    await watch(page);
    await sendButton(page).click();
    await phase(page, 'stored');
    await shot(page, 'large');
    const id = await page.getByRole('link', { name: 'Show its job' }).evaluate(a => a.hash.slice(1));
    return { id, ...await page.evaluate(() => window.found) };
  },

  async bare(page) {
    await page.route(`${url}/bare`, route => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>bare</title><input type=file>' }));
    await page.goto(`${url}/bare`);
    await page.unroute(`${url}/bare`); // what is intercepted passes through the protocol, and 1 GiB does not
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('tus-js-client/dist/tus.min.js'), 'utf8'));
    assert.equal(await page.evaluate(() => typeof tus), 'object');
    await page.locator('input[type=file]').setInputFiles(process.env.FILE);
    await watch(page);
    const sent = await page.evaluate(() => new Promise((done, lost) => {
      const upload = new tus.Upload(document.querySelector('input').files[0], { endpoint: '/files/', retryDelays: null, onSuccess: () => done(upload.url), onError: lost });
      upload.start();
    }));
    await shot(page, 'bare');
    return { id: sent.split('/').pop(), ...await page.evaluate(() => window.found) };
  },
};
