// JupyterLab behind the gate: whoever reaches it runs code, so that the gate is all there is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JupyterLab } from '../support/apps.mjs';
import { openAs, startBrowser } from '../support/browser.mjs';
import { exchange } from '../support/http.mjs';
import { world } from '../support/world.mjs';

// A name that is not this machine's to JupyterLab, as an operator's is not.
const HOST = 'lab.localhost';

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({
    host: HOST,
    app: (at) => new JupyterLab(at, [`--ServerApp.local_hostnames=${HOST}`]),
  });
});
after(async () => {
  await browser?.close();
  await given?.close();
});

/** Waits for an event of the page that has no event of its own here. */
async function until(otherwise, isSo) {
  const limit = Date.now() + 30_000;
  while (!isSo()) {
    assert.ok(Date.now() < limit, otherwise);
    await new Promise(setImmediate);
  }
}

test('a notebook that was opened through a login computes over its WebSocket', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  const sockets = [];
  page.on('websocket', (socket) => {
    const frames = [];
    socket.on('framereceived', ({ payload }) => frames.push(payload.toString()));
    sockets.push({ url: socket.url(), frames });
  });

  const landed = await openAs(page, given, 'alice', '/lab');
  assert.equal(landed.status(), 200);
  await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().click();
  const cell = page.locator('.jp-Notebook .jp-CodeCell').first();
  // The kernel answers after the notebook is shown; JupyterLab forgets what is run before that.
  await page.getByText('Python 3 (ipykernel) | Idle').waitFor();
  await until('no WebSocket was heard', () => sockets.some(({ frames }) => frames.length > 0));
  // The parts of the answer stand nowhere in the question.
  const question = 'import os; print("pid", os.getpid(), 6 * 7)';
  await cell.locator('.cm-content').fill(question);
  await cell.filter({ hasText: question }).waitFor();
  await cell.locator('.cm-content').press('Shift+Enter');
  const output = cell.locator('.jp-OutputArea-output');
  await output.filter({ hasText: /^pid \d+ 42\s*$/ }).waitFor();

  const [, pid] = /pid (\d+) 42/.exec(await output.innerText());
  const said = sockets.filter(({ frames }) => frames.some((frame) => frame.includes(`pid ${pid} 42`)));
  assert.equal(said.length, 1, 'the answer came over another way than one WebSocket');
  const { host, pathname } = new URL(said[0].url);
  assert.equal(host, new URL(given.url).host);
  assert.match(pathname, /^\/api\/kernels\/[\w-]+\/channels$/);

  // N1, N2: the same kernel is there for nobody without a session, and for no other site's page.
  const cookie = (await context.cookies(given.url)).map(({ name, value }) => `${name}=${value}`).join('; ');
  const handshake = async (headers) =>
    exchange({
      origin: given.gate.url,
      target: pathname,
      headers: {
        host,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        ...headers,
      },
    });
  assert.equal((await handshake({ origin: given.url })).status, 401);
  assert.equal((await handshake({ origin: 'http://evil.localhost', cookie })).status, 403);

  // Nothing that was started for this story outlives its app.
  await given.app.stop();
  assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
});
