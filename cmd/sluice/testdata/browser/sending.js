// How files come in.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { accessible, cable, csv, done, drop, folder, jobs, line, phase, reaches, sendButton, url, views } from './tools.js';

// sorted has the server sort the offers, and pages through them: every one is there once, in that order.
async function sorted(page) {
  const table = page.getByRole('region', { name: 'Offers' }), header = name => table.getByRole('columnheader', { name });
  const numbers = column => table.locator(`tbody td:nth-child(${column})`).allInnerTexts().then(all => all.map(text => Number(text.replace(/[^0-9.]/g, ''))));
  for (const [name, column, clicks] of [['Amount', 3, ['descending', 'ascending']], ['Score', 5, ['descending', 'ascending']]]) {
    for (const order of clicks) {
      await header(name).getByRole('button').click();
      await table.locator(`th[aria-sort=${order}]`, { hasText: name }).waitFor();
      const rows = async which => {
        await page.locator('[aria-busy=false]').and(table).waitFor();
        await page.getByText(which).waitFor();
        return [await numbers(column), await table.locator('tbody td:first-child button').allInnerTexts()];
      };
      const [first, names] = await rows('1 to 20');
      await page.getByRole('button', { name: 'Next' }).click();
      const [second, others] = await rows('21 to 40'), all = [...first, ...second];
      assert.deepEqual(all, all.toSorted((a, b) => order === 'ascending' ? a - b : b - a));
      assert.equal(new Set([...names, ...others]).size, 40);
      await page.getByRole('button', { name: 'Back' }).click();
      await rows('1 to 20');
    }
  }
}

export const sending = {
  // A file is dropped, looked at and sent; its job is followed to its offers.
  async drop(page) {
    await page.goto(url);
    await accessible(page, 'front door');
    await views(page, 'front');
    await drop(page, ['march.csv', csv(4000)]);
    await page.getByText('Understood').waitFor();
    await views(page, 'look');
    await accessible(page, 'look');
    await sendButton(page).click();
    await done(page);
    await page.locator('.chart').first().waitFor();
    await accessible(page, 'job');
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(folder, 'readme.png') }); // what its window shows: the picture in README.md
    await views(page, 'job');
    await page.getByRole('button', { name: 'ACC-0003' }).click();
    await page.locator('dialog .chart').waitFor();
    await accessible(page, 'account');
    await views(page, 'account');
    await page.keyboard.press('Escape');
    await sorted(page);
    await page.getByLabel('Account', { exact: true }).fill('ACC-0007');
    await page.getByLabel('Account', { exact: true }).press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('[aria-label="Offers"] tbody tr').length === 1);
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Daily sums, Parquet' }).click()]);
    assert.equal(readFileSync(await saved.path()).subarray(0, 4).toString(), 'PAR1');
    await page.goto(`${url}/#`);
    await page.getByRole('link', { name: 'march.csv' }).first().waitFor();
    await accessible(page, 'front door with a job');
    await views(page, 'front-one');
    page.once('dialog', d => d.accept());
    await page.getByRole('button', { name: 'Delete march.csv' }).click();
    await page.getByText('No file has been sent yet').waitFor();
  },

  // The line goes away at 40 % and comes back: what was stored is not sent again.
  async offline(page) {
    const content = csv(640_000), network = await line(page), wire = await cable(4 << 20), offsets = [];
    page.on('request', r => { if (r.method() === 'PATCH') offsets.push(Number(r.headers()['upload-offset'])); });
    await page.goto(wire.url);
    await drop(page, ['year.csv', content]);
    await sendButton(page).click();
    const sent = await reaches(page, 0.4);
    wire.pull();
    await network(true);
    assert.ok(sent < 0.46, `offline at ${sent}`);
    await phase(page, 'waiting');
    await views(page, 'offline');
    wire.plug();
    await network(false);
    await done(page);
    // It went on at what the server had of it, which is less by what browser and systems buffer, some MiB on a
    // busy machine, and the rest came in one go.
    const [from, on, ...more] = offsets;
    assert.deepEqual([from, more], [0, []], `PATCH from ${offsets}`);
    assert.ok(on >= 1 << 20 && on <= sent * content.length + (64 << 10), `went on at ${on} of ${content.length}, pulled at ${sent}`);
    return { rows: 640_000 };
  },

  // The tab is closed in the middle. The next one says so, and goes on with the same file.
  async reload(page) {
    const content = csv(640_000), wire = await cable(4 << 20);
    await page.goto(wire.url);
    await drop(page, ['year.csv', content]);
    await sendButton(page).click();
    await reaches(page, 0.2);
    wire.hold();
    await views(page, 'sending');
    wire.letGo();
    await reaches(page, 0.4);
    await page.getByRole('button', { name: 'Pause year.csv' }).click();
    await phase(page, 'paused');
    await accessible(page, 'paused');
    await views(page, 'paused');
    await page.getByRole('button', { name: 'Resume year.csv' }).click();
    await reaches(page, 0.6);
    wire.hold();
    await page.reload(); // in the middle of a request
    wire.letGo();
    await page.getByText('are stored. Drop or choose the same file again').waitFor();
    await accessible(page, 'unfinished');
    await views(page, 'unfinished');
    // Another file of that name is not taken for it.
    await drop(page, ['year.csv', csv(50)]);
    await page.getByText('This one is not the same').waitFor();
    await views(page, 'changed');
    await page.getByRole('button', { name: 'Remove year.csv' }).click();
    const goesOn = page.waitForRequest(r => r.method() === 'PATCH');
    await drop(page, ['year.csv', content]);
    const from = Number((await goesOn).headers()['upload-offset']);
    // At what the server had of it: less by what browser and systems buffer, some MiB.
    assert.ok(from > 0.2 * content.length, `went on from ${from} of ${content.length}`);
    await done(page);
    return { rows: 640_000 };
  },

  // A second tab does not fight for an upload; it watches, and both see the end.
  async tabs(page, context) {
    const content = csv(400_000), network = await line(page);
    await page.goto(url);
    await drop(page, ['year.csv', content]);
    await network(false, 1 << 20);
    await sendButton(page).click();
    await reaches(page, 0.02);
    const second = await context.newPage();
    await second.goto(url);
    await second.getByRole('link', { name: 'year.csv' }).waitFor();
    assert.equal(await second.getByText('are stored. Drop or choose').count(), 0, 'the second tab takes it for left behind');
    await drop(second, ['year.csv', content]);
    await sendButton(second).click();
    await second.getByText('year.csv is being sent in another tab').waitFor();
    await second.getByRole('link', { name: 'year.csv' }).click();
    await second.locator('.live progress').waitFor();
    await accessible(second, 'live');
    await second.waitForFunction(() => document.querySelector('.live progress')?.value > 0); // the first part of 8 MiB is stored
    await views(second, 'live');
    assert.equal(await page.locator('[data-phase="sending"]').count(), 1, 'the first tab no longer sends');
    await network(false);
    await Promise.all([done(page), done(second)]);
    // Both watch what a third party does, too.
    await fetch(`${url}/api/jobs/${page.url().split('#')[1]}/`, { method: 'DELETE' });
    assert.deepEqual(await jobs(), []);
  },

  // Fifty files at once, a few of them under way at any time; what is there besides still answers.
  async fifty(page) {
    await page.goto(url);
    const names = Array.from({ length: 50 }, (_, i) => `branch-${String(i + 1).padStart(2, '0')}.csv`);
    await drop(page, ...names.map((name, i) => [name, csv(1000 + i)]));
    await page.getByRole('button', { name: 'Send 50 files' }).waitFor();
    await page.evaluate(() => {
      window.most = 0;
      new MutationObserver(() => { window.most = Math.max(window.most, document.querySelectorAll('[data-phase="sending"]').length); })
        .observe(document.body, { subtree: true, childList: true, attributes: true });
    });
    await sendButton(page).click();
    await page.waitForFunction(() => document.querySelectorAll('[data-phase="stored"]').length === 50);
    const most = await page.evaluate(() => window.most);
    assert.ok(most > 1 && most <= 4, `${most} at once`);
    await views(page, 'fifty');
    await accessible(page, 'fifty files');
    await page.waitForFunction(async () => (await (await fetch('/api/jobs/?limit=200&state=JOB_COMPLETE')).json()).jobs.length === 50);
    const rows = Object.fromEntries((await jobs()).map(j => [j.filename, j.rows_accepted]));
    assert.deepEqual(rows, Object.fromEntries(names.map((name, i) => [name, 1000 + i])));
  },

  // What is no table is refused with words, and nothing is sent.
  async wrong(page) {
    await page.goto(url);
    await drop(page, ['book.xlsx', 'PK\u0003\u0004rest of a workbook']);
    await page.getByText('This is an Excel workbook').waitFor();
    assert.equal(await sendButton(page).count(), 0);
    await views(page, 'wrong');
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
    await accessible(page, 'corrected');
    await views(page, 'corrected');
    await sendButton(page).click();
    await done(page);
    return { rows: 60 };
  },
};
