// The provider or the app is away: the gate stands, says so, and is well as soon as they are back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { atProvider, documentsOf, openAs, placeOf, signIn, startBrowser } from '../support/browser.mjs';
import { exchange } from '../support/http.mjs';
import { world } from '../support/world.mjs';

// How soon after the provider's start a login works, in milliseconds.
const RECOVERY_LIMIT_MS = 5_000;

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

const given = async (t, options) => {
  const made = await world(options);
  t.after(() => made.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  return { world: made, page: await context.newPage() };
};

// B11
test('the gate starts without its provider and a login works within five seconds of its return', async (t) => {
  const { world: here, page } = await given(t, { provider: 'later' });

  const ready = await exchange({ origin: here.gate.probes, target: '/readyz' });
  assert.equal(ready.status, 200);
  const away = await page.goto(`${here.url}/graph?g0.expr=up`);
  assert.equal(away.status(), 503);
  assert.match(await away.headerValue('retry-after'), /^[1-9]\d*$/);
  assert.match(await page.locator('main').innerText(), /sign-in service/i);
  assert.equal(await here.app.requests(), 0, 'the app was reached');

  await here.provider.start();
  const since = performance.now();
  // A person who presses reload: each try is a whole answer of the gate, and a bound ends them.
  let answer = away;
  while (answer.status() === 503 && performance.now() - since < RECOVERY_LIMIT_MS) {
    answer = await page.goto(`${here.url}/graph?g0.expr=up`);
  }
  await atProvider(page, here);
  assert.ok(performance.now() - since < RECOVERY_LIMIT_MS, `${performance.now() - since} ms`);
  const documents = documentsOf(page);
  await signIn(page, 'alice');
  const landed = await documents.landed(here.url);
  assert.equal(landed.status(), 200);
  assert.equal(placeOf(landed), `${here.url}/graph?g0.expr=up`);
});

// B11
test('a session goes on while the provider is away', async (t) => {
  const { world: here, page } = await given(t);
  await openAs(page, here, 'alice', '/graph');
  await here.provider.stop();

  const answer = await page.goto(`${here.url}/graph?g0.expr=up`);
  assert.equal(answer.status(), 200);
  assert.match(await page.title(), /Prometheus/);
});

test('an app that is away is named as what is away, and its return needs nothing', async (t) => {
  const { world: here, page } = await given(t);
  await openAs(page, here, 'alice', '/graph');
  const address = new URL(here.app.url).host;
  await here.app.stop();

  const away = await page.goto(`${here.url}/graph`);
  assert.ok([502, 503, 504].includes(away.status()), `status ${away.status()}`);
  const text = await page.locator('main').innerText();
  assert.doesNotMatch(text, new RegExp(address.replaceAll('.', '\\.')), 'the page tells the address behind');

  await here.app.start(address);
  const back = await page.goto(`${here.url}/graph`);
  assert.equal(back.status(), 200);
  assert.match(await page.title(), /Prometheus/);
});
