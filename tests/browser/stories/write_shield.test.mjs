// Pages of other origins that try to change something in the name of whoever is signed in, and the app's
// own page, which may.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openAs, startBrowser } from '../support/browser.mjs';
import { exchange } from '../support/http.mjs';
import { Recorder } from '../support/recorder.mjs';
import { startSite } from '../support/site.mjs';
import { world } from '../support/world.mjs';

const HOST = 'app.team.localhost';
const OWN_PAGE = `<form method="post" action="/orders"><input name="by" value="form"><button>Order</button></form>`;

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

// Alice is signed in at the app; `attack` is a site with these pages, known as a sibling of the app's host
// and as a stranger.
const given = async (t, settings = {}) => {
  const here = await world({ settings, host: HOST, app: () => new Recorder({ '/own': OWN_PAGE }) });
  t.after(() => here.close());
  const site = await startSite({
    '/': '<h1>nice</h1>',
    '/form': `<form method="post" action="${here.url}/orders"><input name="by" value="forged"></form>
      <script>document.forms[0].submit()</script>`,
  });
  t.after(() => site.stop());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await openAs(page, here, 'alice', '/own');
  const sibling = site.url.replace('nice.localhost', 'evil.team.localhost');
  return { here, page, changes: here.app.changes, sibling, stranger: site.url };
};

// What a script of the page at `from` gets done; it may read nothing, so it says nothing.
const script = async (page, from, url) => {
  await page.goto(from);
  await page.evaluate(async (url) => {
    const simple = { mode: 'no-cors', credentials: 'include' };
    const tries = [
      () => fetch(`${url}/fetched`, { ...simple, method: 'POST', body: 'x' }),
      () => fetch(`${url}/put`, { method: 'PUT', credentials: 'include', body: 'x' }),
      () => fetch(`${url}/deleted`, { method: 'DELETE', credentials: 'include' }),
      () => navigator.sendBeacon(`${url}/beacon`, 'x'),
      () =>
        new Promise((resolve) => {
          const socket = new WebSocket(`${url.replace('http', 'ws')}/socket`);
          socket.onclose = resolve;
        }),
    ];
    for (const one of tries) await Promise.resolve(one()).catch(() => {});
    // A beacon tells nobody how it went: this one comes after it on the same way.
    await fetch(`${url}/fetched`, { ...simple, method: 'POST', body: 'x' }).catch(() => {});
  }, url);
};

test('pages of a sibling host and of a stranger change nothing', async (t) => {
  const { here, page, changes, sibling, stranger } = await given(t);
  for (const from of [sibling, stranger]) {
    await page.goto(`${from}/form`, { waitUntil: 'commit' });
    await page.waitForURL(`${here.url}/orders`);
    await script(page, `${from}/`, here.url);
  }
  assert.deepEqual(changes, []);
});

test('who is led to such a form reads what happened', async (t) => {
  const { here, page, sibling } = await given(t);
  const answered = page.waitForResponse(`${here.url}/orders`);
  await page.goto(`${sibling}/form`, { waitUntil: 'commit' });
  assert.equal((await answered).status(), 403);
  await page.getByRole('heading', { name: 'This was sent from another site' }).waitFor();
});

test('the page of the app itself orders, fetches, and opens its sockets', async (t) => {
  const { here, page, changes } = await given(t);
  await page.goto(`${here.url}/own`);
  await page.getByRole('button', { name: 'Order' }).click();
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  await script(page, `${here.url}/own`, here.url);
  const fetched = 'POST /fetched x';
  const wanted = ['POST /orders by=form', fetched, 'PUT /put x', 'DELETE /deleted ', 'WEBSOCKET /socket', fetched];
  const beacon = 'POST /beacon x';
  assert.deepEqual(changes.filter((one) => one !== beacon), wanted);
  // Loaded again, a page that a form led to sends the form again: the person's own doing.
  await page.goto(`${here.url}/own`);
  await page.getByRole('button', { name: 'Order' }).click();
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  await page.reload();
  assert.equal(changes.filter((one) => one === 'POST /orders by=form').length, 3);
});

test('an origin that is listed may', async (t) => {
  // The port of the site is the kernel's: what is listed is a sibling that the site is not.
  const { here, page, changes, sibling } = await given(t, {
    write_shield: { origins: ['http://friend.team.localhost'] },
  });
  await page.goto(`${sibling}/form`, { waitUntil: 'commit' });
  await page.waitForURL(`${here.url}/orders`);
  assert.deepEqual(changes, []);
  // The same page at the listed origin, which the browser is shown in its place.
  await page.route('http://friend.team.localhost/form', async (route) => {
    const body = `<form method="post" action="${here.url}/orders"><input name="by" value="friend"></form>
      <script>document.forms[0].submit()</script>`;
    await route.fulfill({ contentType: 'text/html', body });
  });
  await page.goto('http://friend.team.localhost/form', { waitUntil: 'commit' });
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  assert.deepEqual(changes, ['POST /orders by=friend']);
});

test('in shadow mode it passes, and is counted', async (t) => {
  const { here, page, changes, sibling } = await given(t, { write_shield: { mode: 'shadow' } });
  const counted = async () => {
    const { text } = await exchange({ origin: here.gate.probes, target: '/status' });
    return JSON.parse(text).shadow;
  };
  assert.deepEqual(await counted(), []);
  await page.goto(`${sibling}/form`, { waitUntil: 'commit' });
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  assert.deepEqual(changes, ['POST /orders by=forged']);
  assert.deepEqual(await counted(), [
    { route: 'all', outcome: 'admitted', would: 'foreign_write', requests: 1 },
  ]);
  const [line] = here.gate.program.lines.filter((one) => one.includes('foreign_write'));
  assert.match(line, /shadow/);
  assert.ok(line.includes(sibling), line);
});
