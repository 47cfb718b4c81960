// Does in a real Chromium what people do on the page. Called by browser_test.go:
//
//   node drive.js SCENARIO URL FOLDER
//
// FOLDER takes the browser's profile and the screenshots. It ends with 0 and a
// line of JSON, or says on standard error what does not hold.
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { cancelling } from './cancelling.js';
import { large } from './large.js';
import { queue, tolerated } from './queue.js';
import { results } from './results.js';
import { sending } from './sending.js';
import { DESKTOP, folder, scenario, shot } from './tools.js';

const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
  executablePath: process.env.CHROMIUM, headless: true, viewport: DESKTOP, reducedMotion: 'reduce', acceptDownloads: true,
  httpCredentials: process.env.ADMIN_KEY && { username: 'operator', password: process.env.ADMIN_KEY },
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--enable-precise-memory-info'],
});
const complaints = [];
try {
  const page = context.pages()[0] ?? await context.newPage();
  context.setDefaultTimeout(scenario in large ? 600_000 : 90_000);
  page.on('pageerror', e => complaints.push(`error: ${e.message}`));
  page.on('console', m => { if (/Content.Security.Policy/i.test(m.text())) complaints.push(m.text()); });
  await page.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI}`)));
  const found = await { ...sending, ...cancelling, ...results, ...large, ...queue }[scenario](page, context).catch(async e => { await shot(page, 'failed').catch(() => {}); throw e; });
  const id = page.url().split('#')[1] ?? '';
  assert.deepEqual(complaints.filter(c => !tolerated[scenario]?.test(c)), []);
  console.log(JSON.stringify({ id, ...found }));
} finally {
  await context.close();
}
