// What an operator sees of the queue: River UI, behind the admin key.
import assert from 'node:assert/strict';
import { shot, url } from './tools.js';

// A library of River UI asks by new Function('') whether text may become a script. It may not, and it does without.
export const tolerated = { queue: /script-src eval|evaluat/ };

export const queue = {
  async queue(page, context) {
    const stranger = await fetch(`${url}/admin/queue/`, { headers: { Authorization: 'Bearer browser-key' } });
    assert.equal(stranger.status, 401);
    await page.goto(`${url}/admin/queue/jobs?state=completed`);
    const job = page.getByRole('link', { name: 'ingest' }).first();
    await job.waitFor();
    await shot(page, 'queue');
    await job.click();
    await page.getByText('job_', { exact: false }).first().waitFor(); // the args name our job
    await shot(page, 'queue-job');
    // Its buttons change nothing, and the answer says where to do it instead.
    const answer = page.waitForResponse(r => r.request().method() === 'POST');
    await page.getByRole('button', { name: 'Delete' }).click();
    const confirm = page.getByRole('button', { name: 'Delete' }).last();
    await confirm.click().catch(() => {}); // where it asks once more
    assert.equal((await answer).status(), 405);
    assert.match((await (await answer).json()).detail, /api\/jobs/);
    await page.goto(`${url}/admin/queue/queues`);
    await page.getByText('webhook').first().waitFor();
    await shot(page, 'queue-queues');
  },
};
