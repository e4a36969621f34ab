// Where a login may end: on our own origin, whatever a link asked for.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { startBrowser, documentsOf, openAs } from '../support/browser.mjs';
import { chance } from '../support/chance.mjs';
import { UserAgent, wayOf } from '../support/http.mjs';
import { world } from '../support/world.mjs';

// How many of the list a real browser tries; all of them go through the screenless one.
const IN_BROWSER = 24;

// The corpus: what must come of it, a space, the payload; `{hh}` stands for a byte. Its own origin is
// another than the gate's here, so that a whole URL of it (`own`) is a foreign one and is refused.
const cases = (await readFile(new URL('../../data/redirects.txt', import.meta.url), 'utf8'))
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const space = line.indexOf(' ');
    const [expected, payload] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    const byte = (_, hex) => String.fromCharCode(parseInt(hex, 16));
    return { refused: expected !== 'kept', payload: payload.replace(/\{([0-9a-f]{2})\}/gi, byte) };
  });

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world();
});
after(async () => {
  await browser?.close();
  await given?.close();
});

const start = (payload, parameter = 'return_to') =>
  `${given.url}/oauth2/start?${parameter}=${encodeURIComponent(payload)}`;

// Each address that a person who follows `url` is sent to, signing in on the way. The app's own pages
// need no visit: what matters is where the browser is sent.
async function wayFrom(url) {
  const agent = new UserAgent();
  try {
    return await wayOf(agent, {
      url,
      person: 'alice',
      issuer: given.provider.issuer,
      ends: (to) => !isOurs(to) || (to.origin === given.url && !to.pathname.startsWith('/oauth2/')),
    });
  } finally {
    agent.close();
  }
}

const isOurs = ({ origin }) => [given.url, given.provider.issuer].includes(origin);

test('the list of redirects holds at least three hundred that are refused', () => {
  const { length } = cases.filter(({ refused }) => refused);
  assert.ok(length >= 300, `${length} payloads`);
});

test('a login that asked to return to a page of ours does', async () => {
  const way = await wayFrom(start('/graph?g0.expr=up&next=https%3A%2F%2Fexample.com%2F'));
  assert.equal(way.at(-1), `${given.url}/graph?g0.expr=up&next=https%3A%2F%2Fexample.com%2F`);
});

for (const parameter of ['return_to', 'rd']) {
  // H2, H5
  test(`no ${parameter} of the whole list takes a finished login to another origin`, async () => {
    const wrong = [];
    for (const { payload, refused } of cases) {
      const way = await wayFrom(start(payload, parameter));
      // What is refused leads home; a request that is refused as a whole leads nowhere.
      const isHome = way.length === 0 || way.at(-1) === `${given.url}/`;
      const right = way.every((url) => isOurs(new URL(url))) && (!refused || isHome);
      if (!right) wrong.push(`${JSON.stringify(payload)} led to ${way.at(-1)}`);
    }
    assert.deepEqual(wrong, []);
  });
}

// H2: as a browser reads them, and with the redirect that it really follows.
test('a browser that finishes logins from the list is still on our origin', async (t) => {
  const { shuffled } = chance(t);
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await openAs(page, given, 'alice');

  const documents = documentsOf(page);
  for (const { payload } of shuffled(cases).slice(0, IN_BROWSER)) {
    await context.clearCookies({ domain: '127.0.0.1' });
    const mark = documents.seen.length;
    await Promise.all([documents.landed(given.url, mark), page.goto(start(payload)).catch(() => {})]);
    assert.equal(new URL(page.url()).origin, given.url, JSON.stringify(payload));
    const away = documents.seen.slice(mark).filter((r) => !isOurs(new URL(r.url())));
    assert.deepEqual(away.map((r) => r.url()), [], JSON.stringify(payload));
  }
});
