// Does in a real Chromium what people do on the page. Called by browser_test.go:
//
//   node drive.js SCENARIO URL FOLDER
//
// FOLDER takes the browser's profile and the screenshots. It ends with 0 and a
// line of JSON, or says on standard error what does not hold.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [scenario, url, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { width: 390, height: 844 }, DESKTOP = { width: 1280, height: 900 };
const HOSTILE = '<img src=x onerror="window.hit=1">';

// csv makes rows of transactions of a year for some accounts; every bad-th row has a bad amount.
function csv(count, { accounts = 40, bad = 0, name = i => `ACC-${String(i).padStart(4, '0')}` } = {}) {
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
const drop = (page, ...files) => page.evaluate(files => {
  const data = new DataTransfer();
  for (const [name, content] of files) data.items.add(new File([content], name, { lastModified: 1_700_000_000_000 }));
  for (const type of ['dragenter', 'dragover', 'drop']) document.querySelector('.drop').dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}, files);

const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
const sendButton = page => page.getByRole('button', { name: /^Send / });
const phase = (page, name) => page.locator(`[data-phase="${name}"]`).first().waitFor();
const done = page => page.getByRole('heading', { name: 'Offers' }).waitFor();

async function accessible(page, where) {
  await page.evaluate(axe); // by the protocol: the policy of the page is for the page
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(v => v.impact === 'serious' || v.impact === 'critical');
  assert.deepEqual(serious.map(v => `${where}: ${v.id} ${v.nodes.map(n => n.html).slice(0, 3).join(' ')}`), []);
}

const scenarios = {
  // A file is dropped, looked at and sent; its job is followed to its offers.
  async drop(page) {
    await page.goto(url);
    await accessible(page, 'front door');
    await shot(page, 'front');
    await drop(page, ['march.csv', csv(4000)]);
    await page.getByText('Understood').waitFor();
    await shot(page, 'look');
    await accessible(page, 'look');
    await sendButton(page).click();
    await done(page);
    await page.locator('.chart').first().waitFor();
    await accessible(page, 'job');
    await shot(page, 'job');
    await page.getByRole('button', { name: 'ACC-0003' }).click();
    await page.locator('dialog .chart').waitFor();
    await accessible(page, 'account');
    await shot(page, 'account');
    await page.keyboard.press('Escape');
    await page.getByLabel('Account', { exact: true }).fill('ACC-0007');
    await page.getByLabel('Account', { exact: true }).press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('[aria-label="Offers"] tbody tr').length === 1);
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Daily sums, Parquet' }).click()]);
    assert.equal(readFileSync(await saved.path()).subarray(0, 4).toString(), 'PAR1');
    await page.emulateMedia({ colorScheme: 'dark' });
    await accessible(page, 'job in the dark');
    await shot(page, 'job-dark');
    await page.setViewportSize(PHONE);
    await shot(page, 'job-phone-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.goto(`${url}/#`);
    await page.getByRole('link', { name: 'march.csv' }).first().waitFor();
    await accessible(page, 'front door on a phone');
    await shot(page, 'front-phone');
    await wide(page);
    page.once('dialog', d => d.accept());
    await page.getByRole('button', { name: 'Delete march.csv' }).click();
    await page.getByText('No file has been sent yet').waitFor();
  },

  // The line goes away at 40 % and comes back: what was stored is not sent again.
  async offline(page, context) {
    const content = csv(160_000), network = await context.newCDPSession(page);
    const line = (offline, rate) => network.send('Network.emulateNetworkConditions', { offline, latency: 1, downloadThroughput: -1, uploadThroughput: rate });
    await network.send('Network.enable');
    await page.goto(url);
    await drop(page, ['year.csv', content]);
    await line(false, 2 << 20);
    await sendButton(page).click();
    await page.waitForFunction(() => { const p = document.querySelector('.going progress'); return p && p.value > 0.4 * p.max; });
    await line(true, -1);
    await phase(page, 'waiting');
    await shot(page, 'offline');
    await line(false, -1);
    await done(page);
    return { rows: 160_000 };
  },

  // The tab is closed in the middle. The next one says so, and goes on with the same file.
  async reload(page, context) {
    const content = csv(160_000), network = await context.newCDPSession(page);
    await network.send('Network.enable');
    await page.goto(url);
    await drop(page, ['year.csv', content]);
    await network.send('Network.emulateNetworkConditions', { offline: false, latency: 1, downloadThroughput: -1, uploadThroughput: 2 << 20 });
    await sendButton(page).click();
    await page.waitForFunction(() => { const p = document.querySelector('.going progress'); return p && p.value > 0.4 * p.max; });
    await page.getByRole('button', { name: 'Pause year.csv' }).click();
    await phase(page, 'paused');
    await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
    await page.reload();
    await page.getByText('are stored. Drop or choose the same file again').waitFor();
    await shot(page, 'unfinished');
    // Another file of that name is not taken for it.
    await drop(page, ['year.csv', csv(50)]);
    await page.getByText('This one is not the same').waitFor();
    await page.getByRole('button', { name: 'Remove year.csv' }).click();
    await drop(page, ['year.csv', content]);
    await done(page);
    return { rows: 160_000 };
  },

  // What is no table is refused with words, and nothing is sent.
  async wrong(page) {
    await page.goto(url);
    await drop(page, ['book.xlsx', 'PK\u0003\u0004rest of a workbook']);
    await page.getByText('This is an Excel workbook').waitFor();
    assert.equal(await sendButton(page).count(), 0);
    await shot(page, 'wrong');
    await accessible(page, 'wrong file');
    await page.getByRole('button', { name: 'Remove book.xlsx' }).click();
    // A column that nothing gives away, and days that could be months: both are said by hand.
    await drop(page, ['odd.csv', 'who;when;how much\n' + Array.from({ length: 60 }, (_, i) => `A${i % 3};0${1 + i % 9}/0${1 + i % 7}/2024;1.234,5${i % 10}`).join('\n') + '\n']);
    await page.getByText('Please say').waitFor();
    await page.getByLabel('Column 1 who is').selectOption('account_id');
    await page.getByLabel('Column 3 how much is').selectOption('amount');
    await page.getByLabel('Dates').selectOption('DD/MM/YYYY');
    await page.getByLabel('Decimals').selectOption(',');
    await page.getByLabel('Thousands').selectOption('.');
    await page.getByText('Understood').waitFor();
    await shot(page, 'corrected');
    await sendButton(page).click();
    await done(page);
    return { rows: 60 };
  },

  // Rows that cannot be booked are shown with their cell marked.
  async rejects(page) {
    await page.goto(url);
    await drop(page, ['some.csv', csv(300, { bad: 50 })]);
    await sendButton(page).click();
    await page.locator('mark', { hasText: '12x.50' }).first().waitFor();
    assert.equal(await page.locator('mark').count(), 6);
    await accessible(page, 'rejects');
    await shot(page, 'rejects');
    return { rows: 294 };
  },

  // Names and cells that would run are text.
  async hostile(page) {
    await page.goto(url);
    await drop(page, [`${HOSTILE}.csv`, csv(300, { accounts: 5, bad: 40, name: i => `"${HOSTILE.replaceAll('"', '""')}${i}"` })]);
    await page.getByText('Understood').waitFor();
    await sendButton(page).click();
    await done(page);
    await page.getByRole('button', { name: HOSTILE }).first().click();
    await page.locator('dialog .chart').waitFor();
    await shot(page, 'hostile');
    await page.keyboard.press('Escape');
    await page.goto(`${url}/#`);
    await page.getByRole('link', { name: HOSTILE }).first().waitFor();
    await page.goto(`${url}/#job_"><script>window.hit=1</script>`);
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.equal(await page.locator('img').count(), 0);
  },

  // The reading page of the contract.
  async docs(page) {
    await page.goto(`${url}/docs`);
    await page.locator('.operation').first().waitFor();
    await page.locator('.operation', { hasText: '/api/jobs/{id}/status/' }).first().locator('summary').click();
    await accessible(page, 'docs');
    await shot(page, 'docs');
  },
};

// wide fails where the page is wider than its window.
const wide = async page => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page scrolls sideways');

const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
  executablePath: process.env.CHROMIUM, headless: true, viewport: DESKTOP, acceptDownloads: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const complaints = [];
try {
  const page = context.pages()[0] ?? await context.newPage();
  page.setDefaultTimeout(120_000);
  page.on('pageerror', e => complaints.push(`error: ${e.message}`));
  page.on('console', m => { if (/Content.Security.Policy/i.test(m.text())) complaints.push(m.text()); });
  await page.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI}`)));
  const found = await scenarios[scenario](page, context).catch(async e => { await shot(page, 'failed').catch(() => {}); throw e; });
  const id = page.url().split('#')[1] ?? '';
  assert.deepEqual(complaints, []);
  console.log(JSON.stringify({ id, ...found }));
} finally {
  await context.close();
}
