// Streamlit behind the gate: the page is an empty frame, and everything in it comes over a WebSocket.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Streamlit } from '../support/apps.mjs';
import { openAs, startBrowser } from '../support/browser.mjs';
import { world } from '../support/world.mjs';

const HOST = 'clicks.localhost';

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({ host: HOST, app: (at) => new Streamlit(at) });
});
after(async () => {
  await browser?.close();
  await given?.close();
});

test('an app that lives in its WebSocket renders after a login, and knows who clicks', async (t) => {
  const seen = {};
  for (const person of ['alice', 'bob']) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    const sockets = [];
    page.on('websocket', (socket) => sockets.push(socket.url()));

    const landed = await openAs(page, given, person, '/');
    assert.equal(landed.status(), 200);
    await page.getByRole('heading', { name: 'Clicks' }).waitFor();
    await page.getByText(`0 clicks by ${person}@example.test`).waitFor();
    assert.deepEqual(sockets, [`${given.url.replace('http', 'ws')}/_stcore/stream`]);
    seen[person] = page;
  }
  const click = (person) => seen[person].getByRole('button', { name: 'Click' }).click();
  for (const clicks of [1, 2]) {
    await click('alice');
    await seen.alice.getByText(`${clicks} clicks by alice@example.test`).waitFor();
  }
  await click('bob');
  await seen.bob.getByText('1 clicks by bob@example.test').waitFor();
});
