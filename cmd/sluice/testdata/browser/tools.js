// What scenarios have in common.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import assert from 'node:assert/strict';

export const [scenario, url, folder] = process.argv.slice(2);
export const PHONE = { width: 390, height: 844 }, DESKTOP = { width: 1280, height: 900 };
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// csv makes rows of transactions of a year for some accounts; every bad-th row has a bad amount.
export function csv(count, { accounts = 40, bad = 0, name = i => `ACC-${String(i).padStart(4, '0')}` } = {}) {
  const lines = ['account_id,date,amount,description'];
  for (let i = 0; i < count; i++) {
    const month = 1 + i % 12, day = 1 + Math.floor(i / 12) % 28, of = i % accounts;
    const revenue = i % 3 !== 0, size = (900 + of * 37 + i * 7919 % 1900) / (revenue ? 1 : 1.7);
    const amount = bad && i % bad === bad - 1 ? '12x.50' : (revenue ? '' : '-') + size.toFixed(2);
    lines.push(`${name(of)},2024-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')},${amount},${revenue ? 'Sale' : 'Supplier'} ${i}`);
  }
  return lines.join('\n') + '\n';
}

// drop lets files fall on the page, as a hand does. Their times are fixed, so
// that the same file can fall again after a reload.
export const drop = (page, ...files) => page.evaluate(files => {
  const data = new DataTransfer();
  for (const [name, content] of files) data.items.add(new File([content], name, { lastModified: 1_700_000_000_000 }));
  for (const type of ['dragenter', 'dragover', 'drop']) document.querySelector('.drop').dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}, files);

export const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });

// views takes a view's pictures: by day, in the dark and on a phone, where it must not scroll sideways.
export async function views(page, name) {
  await shot(page, name);
  await page.emulateMedia({ colorScheme: 'dark' });
  await shot(page, `${name}-dark`);
  await page.setViewportSize(PHONE);
  await shot(page, `${name}-phone-dark`);
  await page.emulateMedia({ colorScheme: 'light' });
  await shot(page, `${name}-phone`);
  await wide(page);
  await page.setViewportSize(DESKTOP);
}

export const sendButton = page => page.getByRole('button', { name: /^Send / });
export const phase = (page, name) => page.locator(`[data-phase="${name}"]`).first().waitFor();
export const done = page => page.getByRole('heading', { name: 'Offers' }).waitFor();

// accessible has axe look for what keeps somebody out, by day and in the dark.
export async function accessible(page, where) {
  await page.evaluate(axe); // by the protocol: the policy of the page is for the page
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => window.axe.run());
    const serious = violations.filter(v => v.impact === 'serious' || v.impact === 'critical');
    assert.deepEqual(serious.map(v => `${where}, ${colorScheme}: ${v.id} ${v.nodes.map(n => n.html).slice(0, 3).join(' ')}`), []);
  }
}

// wide fails where the page is wider than its window.
export const wide = async page => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${page.url()} scrolls sideways`);

// line makes the page's connection slow, by bytes a second upwards, or takes it away.
export async function line(page) {
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  return (offline, rate = -1) => network.send('Network.emulateNetworkConditions', { offline, latency: rate < 0 ? 0 : 1, downloadThroughput: -1, uploadThroughput: rate });
}

// cable is a way to the server of so many bytes a second upwards, which can be pulled out and put in again. What
// Chromium calls offline lets all arrive that it has taken, at times the rest of a file. Held, it lets no file on.
export async function cable(rate) {
  const { hostname, port } = new URL(url), ends = new Set();
  let out = false, held = Promise.resolve(), letGo;
  const server = createServer(near => {
    if (out) return near.destroy();
    const far = connect(port, hostname);
    let sent = 0;
    ends.add(near);
    for (const end of [near, far]) end.on('error', () => {}).on('close', () => { near.destroy(); far.destroy(); ends.delete(near); });
    far.pipe(near);
    near.on('data', async bytes => {
      far.write(bytes);
      near.pause();
      sent += bytes.length;
      await sleep(1000 * bytes.length / rate);
      if (sent > 1 << 20) await held; // a file's: whatever else the page asks goes its way
      near.resume();
    });
  });
  await new Promise(listening => server.listen(0, '127.0.0.1', listening));
  server.unref();
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    pull() { out = true; for (const end of ends) end.destroy(); },
    plug() { out = false; },
    hold() { held = new Promise(go => { letGo = go; }); },
    letGo() { letGo(); },
  };
}

// reaches waits until that part of the one upload is sent, and returns how much is.
export const reaches = (page, part) => page.waitForFunction(part => {
  const p = document.querySelector('.going progress');
  return p && p.value >= part * p.max && p.value / p.max;
}, part).then(h => h.jsonValue());

// api asks the server beside the page, which must answer.
export async function api(path, options) {
  const answer = await fetch(url + path, options);
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

export const jobs = async () => (await api('/api/jobs/?limit=200')).jobs;
