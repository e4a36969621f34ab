// Signing in: somebody opens a link to the app, signs in elsewhere, and is where the link said.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  atProvider,
  documentsOf,
  gateCookies,
  openAs,
  placeOf,
  signIn,
  startBrowser,
  whoAmI,
} from '../support/browser.mjs';
import { chance } from '../support/chance.mjs';
import { world } from '../support/world.mjs';

// A deep link whose query holds a whole URL of its own, as people paste them into a chat.
const DEEP_LINK = '/graph?g0.expr=up&next=https%3A%2F%2Fexample.com%2F%3Fa%3Db%26c%3Dd';
// The most logins in flight that one browser may be made to remember.
const MOST_LOGIN_COOKIES = 10;

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world();
});
after(async () => {
  await browser?.close();
  await given?.close();
});

const fresh = async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
};

test('a login at an independent provider lands on the exact deep link in the real app', async (t) => {
  const context = await fresh(t);
  const page = await context.newPage();

  const landed = await openAs(page, given, 'alice', DEEP_LINK);

  assert.equal(placeOf(landed), given.url + DEEP_LINK);
  assert.equal(landed.status(), 200);
  assert.match(await page.title(), /Prometheus/);
  const identity = JSON.stringify(await whoAmI(context, given));
  for (const known of ['alice@example.test', 'dev', 'ops']) assert.ok(identity.includes(known), identity);
});

// A1
test('the provider is asked for a code with a proof key and the one redirect URI', async (t) => {
  const page = await (await fresh(t)).newPage();
  const documents = documentsOf(page);
  await page.goto(given.url + DEEP_LINK);
  await atProvider(page, given);

  const asked = documents.seen.map((r) => new URL(r.url())).find((url) => url.pathname === '/auth');
  const of = (name) => asked.searchParams.get(name);
  assert.equal(of('response_type'), 'code');
  assert.equal(of('client_id'), 'sidegate');
  assert.equal(of('redirect_uri'), `${given.url}/oauth2/callback`);
  assert.equal(of('code_challenge_method'), 'S256');
  assert.match(of('code_challenge'), /^[\w-]{43}$/);
  assert.ok(of('scope').split(' ').includes('openid'));
  for (const name of ['state', 'nonce']) {
    assert.ok(of(name)?.length >= 22, `${name} is too short to be unguessable`);
  }
});

// F1, E18: what a page of the app can read, and what the browser was given to keep.
test('the session is one the app and its scripts can neither read nor have', async (t) => {
  const context = await fresh(t);
  const page = await context.newPage();
  await openAs(page, given, 'alice');

  const { sessions } = await gateCookies(context, given);
  assert.ok(sessions.length >= 1, 'no session cookie');
  assert.equal(new Set(sessions.map(({ name }) => name.split('.')[0])).size, 1, 'more than one session');
  for (const cookie of sessions) {
    assert.equal(cookie.httpOnly, true, cookie.name);
    assert.equal(cookie.sameSite, 'Lax', cookie.name);
    assert.equal(cookie.path, '/', cookie.name);
    assert.ok(cookie.name.length + cookie.value.length <= 4096, 'larger than browsers keep');
    assert.doesNotMatch(cookie.value, /eyJ/, 'something that reads like a token lies open in the cookie');
  }
  const readable = await page.evaluate(() => document.cookie);
  for (const { name } of sessions) assert.ok(!readable.includes(name), 'a script can read the session');
});

// A14
test('eight tabs that were opened signed out each land on their own page, in any order', async (t) => {
  const { shuffled } = chance(t);
  const context = await fresh(t);
  const tabs = [];
  for (let number = 1; number <= 8; number += 1) {
    const page = await context.newPage();
    const documents = documentsOf(page);
    const path = `/graph?g0.expr=up&tab=${number}&next=https%3A%2F%2Fexample.com%2F%3Ft%3D${number}`;
    await page.goto(given.url + path);
    await atProvider(page, given);
    tabs.push({ page, documents, path });
  }
  const { logins } = await gateCookies(context, given);
  assert.ok(logins.length >= 1 && logins.length <= MOST_LOGIN_COOKIES, `${logins.length} login cookies`);
  assert.ok(logins.every(({ httpOnly }) => httpOnly), 'a login in flight can be read by scripts');

  for (const { page, documents, path } of shuffled(tabs)) {
    const mark = documents.seen.length;
    await signIn(page, 'alice');
    const landed = await documents.landed(given.url, mark);
    assert.equal(placeOf(landed), given.url + path);
    assert.equal(landed.status(), 200, path);
  }
  const left = (await gateCookies(context, given)).logins.length;
  assert.ok(left <= MOST_LOGIN_COOKIES, `${left} login cookies are left`);
});

test('a tab whose login another tab made needless lands on its page without a second password', async (t) => {
  const context = await fresh(t);
  const [first, second] = [await context.newPage(), await context.newPage()];
  await first.goto(`${given.url}/graph?tab=first`);
  await atProvider(first, given);
  await openAs(second, given, 'alice', '/graph?tab=second');

  const documents = documentsOf(first);
  await first.goto(`${given.url}/graph?tab=first`);
  const landed = await documents.landed(given.url);
  assert.equal(placeOf(landed), `${given.url}/graph?tab=first`);
  assert.equal(landed.status(), 200);
});
