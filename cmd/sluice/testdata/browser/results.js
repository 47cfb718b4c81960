// What comes of them, and what can be done to them.
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { accessible, api, csv, done, drop, jobs, line, reaches, sendButton, views, url } from './tools.js';

const HOSTILE = '<img src=x onerror="window.hit=1">';

export const results = {
  // Rows that cannot be booked are shown with their cell marked.
  async rejects(page) {
    await page.goto(url);
    await drop(page, ['some.csv', csv(300, { bad: 50 })]);
    await sendButton(page).click();
    await page.locator('mark', { hasText: '12x.50' }).first().waitFor();
    assert.equal(await page.locator('mark').count(), 6);
    assert.deepEqual(await page.locator('.chip').allInnerTexts(), ['bad amount 6']);
    await accessible(page, 'rejects');
    await views(page, 'rejects');
    // What is saved is mended by hand and falls on the page as it is.
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'All 6, CSV' }).click()]);
    const mended = readFileSync(await saved.path(), 'utf8').replaceAll('12x.50', '12.50');
    await page.getByRole('link', { name: 'All jobs' }).click();
    await drop(page, ['mended.csv', mended]);
    await page.getByText('Understood').waitFor();
    await sendButton(page).click();
    await page.getByRole('article', { name: 'mended.csv' }).getByRole('link', { name: 'Show its job' }).click();
    await page.locator('#job-title', { hasText: 'mended.csv' }).waitFor();
    await done(page);
    assert.equal(await page.locator('mark').count(), 0);
    return { rows: 6 };
  },

  // Why rows are rejected is told while the file is read, though it has no other rows. The server is kept from the
  // second half of it.
  async rejecting(page) {
    const rows = 360_000, bad = ['2024-13-01,5.00', '2024-01-05,12x.50', '2024-01-05,1.2.3'];
    await page.goto(url);
    await drop(page, ['broken.csv', 'account_id,date,amount,description\n' + Array.from({ length: rows }, (_, i) => `ACC-${i % 40},${bad[i % 3]},Sale ${i}\n`).join('')]);
    await sendButton(page).click();
    const told = () => page.evaluate(() => {
      const number = text => Number(text.replace(/[^0-9]/g, ''));
      const [accepted, rejected] = [...document.querySelectorAll('.live .note .n')].map(n => number(n.textContent));
      return { accepted, rejected, reasons: Object.fromEntries([...document.querySelectorAll('.live .chip')].map(c => [c.firstChild.textContent.trim(), number(c.querySelector('b').textContent)])) };
    });
    await page.waitForFunction(() => document.querySelectorAll('.live .chip').length === 2);
    const { accepted, rejected, reasons } = await told();
    assert.deepEqual(Object.keys(reasons), ['bad amount', 'bad date']); // the most first
    assert.equal(accepted, 0);
    assert.ok(rejected < rows && rejected === reasons['bad amount'] + reasons['bad date'], `${rejected} of ${rows}, ${JSON.stringify(reasons)}`);
    assert.equal((await jobs())[0].state, 'IN_PROGRESS');
    assert.equal(await page.getByRole('heading', { name: 'Rejected rows' }).count(), 0, 'the job has ended');
    await accessible(page, 'rejecting');
    await views(page, 'rejecting');
    await fetch(process.env.GATE);
    await page.getByRole('heading', { name: 'Rejected rows' }).waitFor();
    assert.deepEqual(await page.locator('.chip').allInnerTexts(), ['bad amount 240,000', 'bad date 120,000']);
    await page.locator('mark', { hasText: '12x.50' }).first().waitFor();
    await accessible(page, 'nothing but rejects');
    await views(page, 'nothing');
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
    await views(page, 'hostile');
    await page.keyboard.press('Escape');
    await page.goto(`${url}/#`);
    await page.getByRole('link', { name: HOSTILE }).first().waitFor();
    await page.goto(`${url}/#job_"><script>window.hit=1</script>`);
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.equal(await page.locator('img').count(), 0);
  },

  // What is chosen, set, cancelled, tried again, found and deleted, with no worker there.
  async control(page) {
    const network = await line(page);
    await page.goto(url);
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Choose files' }).click()]);
    await chooser.setFiles([{ name: 'chosen.csv', mimeType: 'text/csv', buffer: Buffer.from(csv(100)) }, { name: 'other.csv', mimeType: 'text/csv', buffer: Buffer.from(csv(60)) }]);
    await page.getByRole('button', { name: 'Remove other.csv' }).click();
    await page.getByText('Model settings').click();
    await page.getByLabel('Months', { exact: true }).fill('6');
    await page.getByLabel('Low risk', { exact: true }).fill('x');
    assert.equal(await page.getByLabel('Low risk', { exact: true }).getAttribute('aria-invalid'), 'true');
    await page.getByLabel('Low risk', { exact: true }).fill('0.0410');
    await page.getByLabel('Group').selectOption('account_id');
    await page.getByText('3 changed').waitFor();
    await accessible(page, 'model settings');
    await views(page, 'settings');
    const creation = page.waitForRequest(r => r.method() === 'POST' && r.url().endsWith('/files/'));
    await sendButton(page).click();
    const sent = Object.fromEntries((await creation).headers()['upload-metadata'].split(',').map(pair => pair.split(' ')).map(([k, v]) => [k, Buffer.from(v ?? '', 'base64').toString()]));
    assert.equal(sent.credit_model_config, '{"rolling_period":6,"interest_rates":{"LOW":0.0410,"MEDIUM":0.09,"HIGH":0.15}}');
    assert.equal(sent.aggregate_config, '{"group_by":["account_id"]}');

    // Queued, for nobody works: cancelled, and tried again.
    await page.locator('#job-title', { hasText: 'chosen.csv' }).waitFor(); // its card on the front door has a Cancel, too
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    await views(page, 'cancelled');
    await accessible(page, 'cancelled');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: 'Cancel' }).waitFor();
    const [queued] = await jobs();
    assert.equal(queued.state, 'UPLOAD_COMPLETE');

    // An upload that is given up on its way.
    await page.getByRole('link', { name: 'All jobs' }).click();
    await drop(page, ['late.csv', csv(160_000)]);
    await network(false, 1 << 20);
    await sendButton(page).click();
    await reaches(page, 0.05);
    await page.getByRole('article', { name: 'late.csv' }).getByRole('button', { name: 'Cancel late.csv' }).click();
    await network(false);
    await page.locator('tr', { hasText: 'late.csv' }).getByText('aborted').waitFor();

    // The history is searched and filtered, and acted on.
    const listed = names => page.waitForFunction(names => JSON.stringify([...document.querySelectorAll('.jobs tbody a')].map(a => a.textContent)) === names, JSON.stringify(names));
    await listed(['late.csv', 'chosen.csv']);
    await page.getByLabel('Search by file name or id').fill('CHOS');
    await listed(['chosen.csv']);
    await page.getByLabel('Search by file name or id').fill('nothing');
    await page.getByText('Nothing matches').waitFor();
    await page.getByLabel('Search by file name or id').fill('');
    await page.getByLabel('State', { exact: true }).selectOption('ABORTED');
    await listed(['late.csv']);
    page.once('dialog', d => d.dismiss());
    await page.getByRole('button', { name: 'Delete late.csv' }).click();
    await page.getByLabel('State', { exact: true }).selectOption('');
    await listed(['late.csv', 'chosen.csv']);
    page.once('dialog', d => d.accept());
    await page.getByRole('button', { name: 'Delete late.csv' }).click();
    await listed(['chosen.csv']);
    await page.getByRole('button', { name: 'Cancel chosen.csv' }).click();
    await page.getByRole('button', { name: 'Try again chosen.csv' }).click();
    await page.getByRole('button', { name: 'Cancel chosen.csv' }).waitFor();
    const left = await jobs();
    assert.deepEqual(left.map(j => [j.filename, j.state]), [['chosen.csv', 'UPLOAD_COMPLETE']]);
  },

  // Where a key is asked for it becomes a session: no script can read it, and it ends at a click.
  async key(page, context) {
    await page.goto(url);
    await page.getByLabel('This server asks for an API key').fill('not-it');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('does not know this key').waitFor();
    await accessible(page, 'key form');
    await views(page, 'key');
    await page.getByLabel('This server asks for an API key').fill('browser-key');
    await page.getByLabel('This server asks for an API key').press('Enter');
    await page.getByRole('button', { name: 'Log out' }).waitFor();
    assert.equal(await page.evaluate(() => document.cookie + Object.keys(sessionStorage) + Object.keys(localStorage)), '');
    await drop(page, ['keyed.csv', csv(200)]);
    await sendButton(page).click();
    await done(page);
    const id = page.url().split('#')[1];
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Offers, CSV' }).click()]);
    assert.match(readFileSync(await saved.path(), 'utf8'), /^account_id,date,offer_type/);
    // Another site's page gets nothing done with it.
    const elsewhere = await context.newPage();
    await elsewhere.goto(url.replace('127.0.0.1', 'localhost') + '/healthz');
    await elsewhere.evaluate(to => fetch(to, { method: 'POST', credentials: 'include', mode: 'no-cors' }).catch(() => {}), `${url}/api/jobs/${id}/cancel/`);
    await elsewhere.close();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('This server asks for an API key').waitFor();
    assert.deepEqual((await context.cookies()).map(c => c.name), []);
    const answer = await fetch(`${url}/api/jobs/`);
    assert.equal(answer.status, 401);
  },

  // A customer of the tenant's sends from the tenant's own page, on another origin, with a token of its own.
  async elsewhere(page, context) {
    const refused = [];
    page.on('console', m => { if (/CORS policy/.test(m.text())) refused.push(m.text()); });
    const token = page.waitForResponse(r => r.url().endsWith('/upload-token'));
    await page.goto(`${process.env.ELSEWHERE}/`);
    await page.getByLabel('Your transactions').setInputFiles({ name: 'mine.csv', mimeType: 'text/csv', buffer: Buffer.from(csv(20_000)) });
    await page.getByText('Received, and completed.').waitFor();
    await views(page, 'elsewhere');
    assert.deepEqual(refused, []);
    const headers = { Authorization: `Bearer ${(await (await token).json()).token}` };
    const id = await page.evaluate(() => performance.getEntriesByType('resource').map(e => e.name.match(/job_\w+/)?.[0]).find(Boolean));
    // Of the results it sees nothing, and a page of an origin that is not listed sees nothing at all.
    const see = (from, path) => from.evaluate(([to, headers]) => fetch(to, { headers }).then(a => a.status, e => e.name), [url + path, headers]);
    assert.equal(await see(page, `/api/jobs/${id}/status/`), 200);
    assert.equal(await see(page, `/api/jobs/${id}/offers/`), 403);
    const stranger = await context.newPage();
    await stranger.goto(process.env.ELSEWHERE.replace('127.0.0.1', 'localhost') + '/');
    assert.equal(await see(stranger, `/api/jobs/${id}/status/`), 'TypeError');
    const status = await api(`/api/jobs/${id}/status/`, { headers: { Authorization: 'Bearer browser-key' } });
    assert.deepEqual([status.filename, status.rows_accepted], ['mine.csv', 20_000]);
  },

  // The reading page of the contract.
  async docs(page) {
    await page.goto(`${url}/docs`);
    await page.locator('.operation').first().waitFor();
    await page.locator('.operation', { hasText: '/api/jobs/{id}/status/' }).first().locator('summary').click();
    await accessible(page, 'docs');
    await views(page, 'docs');
  },
};
