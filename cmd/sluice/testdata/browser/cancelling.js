// What is given up on its way, when its last byte may have arrived already.
import assert from 'node:assert/strict';
import { api, csv, drop, jobs, line, phase, reaches, sendButton, views, url } from './tools.js';

// held lets the server take a file and keeps its answer from the page. It returns the job's id, and what lets go.
async function held(page, name, content) {
  let letGo, taken;
  const go = new Promise(done => { letGo = done; }), arrived = new Promise(done => { taken = done; });
  await page.route('**/files/**', async route => {
    if (route.request().method() !== 'PATCH') return route.continue();
    await route.fetch();
    taken(route.request().url().split('/').pop());
    await go;
    await route.abort().catch(() => {}); // the page may have given it up
  });
  await drop(page, [name, content]);
  await sendButton(page).click();
  return [await arrived, letGo];
}

export const cancelling = {
  // A job that is done is not taken back, and the page does not say so.
  async toolate(page) {
    await page.goto(url);
    await page.evaluate(() => { location.hash = '#still'; });
    const [id, letGo] = await held(page, 'done.csv', csv(300));
    for (let state; state !== 'JOB_COMPLETE';) ({ state } = await api(`/api/jobs/${id}/status/`));
    await page.getByRole('button', { name: 'Cancel done.csv' }).first().click();
    await phase(page, 'stored');
    await page.getByText('It was stored before it could be cancelled').waitFor();
    await views(page, 'toolate');
    letGo();
    assert.deepEqual((await jobs()).map(j => [j.filename, j.state]), [['done.csv', 'JOB_COMPLETE']]);
    assert.equal(await page.evaluate(() => localStorage.length), 0, 'it is remembered as unfinished');
    return { id, rows: 300 };
  },

  // One that waits is cancelled, as the page says; and a page that cannot tell the server so says that.
  async cancel(page) {
    const network = await line(page);
    await page.goto(url);
    await page.evaluate(() => { location.hash = '#still'; });
    const [id, letGo] = await held(page, 'queued.csv', csv(300));
    await page.getByRole('article', { name: 'queued.csv' }).getByRole('button', { name: 'Cancel queued.csv' }).click();
    await phase(page, 'cancelled');
    letGo();
    assert.equal((await api(`/api/jobs/${id}/status/`)).state, 'ABORTED');
    await page.getByRole('article', { name: 'queued.csv' }).getByRole('button', { name: 'Remove queued.csv' }).click();
    await page.unroute('**/files/**');

    await drop(page, ['away.csv', csv(160_000)]);
    await network(false, 1 << 20);
    await sendButton(page).click();
    await reaches(page, 0.05);
    await network(true);
    await page.getByRole('article', { name: 'away.csv' }).getByRole('button', { name: 'Cancel away.csv' }).click();
    await phase(page, 'cancelling');
    await views(page, 'cancelling');
    await network(false);
    await phase(page, 'cancelled');
    assert.deepEqual((await jobs()).map(j => [j.filename, j.state]), [['away.csv', 'ABORTED'], ['queued.csv', 'ABORTED']]);
    assert.equal(await page.evaluate(() => localStorage.length), 0, 'it is remembered as unfinished');
    return { id };
  },
};
