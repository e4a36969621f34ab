// Gradio behind the gate: work waits in a queue, and what comes of it comes over an event stream.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Gradio } from '../support/apps.mjs';
import { openAs, startBrowser } from '../support/browser.mjs';
import { world } from '../support/world.mjs';

const HOST = 'counting.localhost';

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({ host: HOST, app: (at) => new Gradio(at) });
});
after(async () => {
  await browser?.close();
  await given?.close();
});

test('work that waits in a queue is told piece by piece to whoever asked for it', async (t) => {
  const pages = {};
  for (const person of ['alice', 'bob']) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    const streams = [];
    page.on('response', (response) => {
      const kind = response.headers()['content-type'] ?? '';
      if (kind.startsWith('text/event-stream')) streams.push(new URL(response.url()));
    });
    const landed = await openAs(page, given, person, '/');
    assert.equal(landed.status(), 200);
    await page.getByRole('heading', { name: 'Counting' }).waitFor();
    pages[person] = { page, streams };
  }
  // Both ask at once; one of them waits for the other.
  const people = Object.entries(pages);
  await Promise.all(
    people.map(async ([person, { page }]) => {
      await page.getByRole('button', { name: 'Count' }).click();
      const said = page.getByLabel('Said');
      const seen = new Set();
      for (let last = ''; last !== `3 for ${person}@example.test`; ) {
        await page.waitForFunction(
          ([field, before]) => field.value !== before,
          [await said.elementHandle(), last],
        );
        last = await said.inputValue();
        seen.add(last);
      }
      for (const text of seen) assert.match(text, new RegExp(`^[123] for ${person}@example\\.test$`));
      // Not all at the end: what comes early is there early.
      assert.ok(seen.size > 1, [...seen].join());
    }),
  );
  for (const [, { streams }] of people) {
    assert.ok(streams.some((url) => url.pathname.endsWith('/queue/data')), String(streams));
    for (const url of streams) assert.equal(url.origin, given.url);
  }
});
