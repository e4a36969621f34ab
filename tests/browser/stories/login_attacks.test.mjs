// Somebody else's login, somebody else's page: what a hostile web site can and cannot do.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { documentsOf, gateCookies, openAs, startBrowser, whoAmI } from '../support/browser.mjs';
import { UserAgent, wayOf } from '../support/http.mjs';
import { startSite } from '../support/site.mjs';
import { world } from '../support/world.mjs';

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

// The attacker signs in as `bob` with an agent of their own and does not follow the last redirect:
// gives the callback URL that would finish the login, code and all.
async function attackersCallback() {
  const agent = new UserAgent();
  const way = await wayOf(agent, {
    url: `${given.url}/graph?of=attacker`,
    person: 'bob',
    issuer: given.provider.issuer,
    ends: ({ origin, pathname }) => origin === given.url && pathname === '/oauth2/callback',
  });
  agent.close();
  const callback = way.at(-1);
  assert.ok(new URL(callback).searchParams.get('code'), callback);
  return callback;
}

// The ways in which a page of another site can open `url` in its visitor's browser.
const ways = {
  link: { html: (url) => `<a href="${url}">a cat</a>`, act: (page) => page.getByRole('link').click() },
  image: { html: (url) => `<img src="${url}">` },
  iframe: { html: (url) => `<iframe src="${url}"></iframe>` },
  'form POST': {
    html: (url) => `<form method="post" action="${url}"><button>win</button></form>`,
    act: (page) => page.getByRole('button').click(),
  },
};

// Has the page's visitor open the attacker's callback, and waits until all that follows is over.
async function lure(t, page, way, callback) {
  const site = await startSite({ '/': ways[way].html(callback.replaceAll('&', '&amp;')) });
  t.after(() => site.stop());
  const asked = page.context().waitForEvent('request', { predicate: (r) => r.url() === callback });
  await page.goto(site.url, { waitUntil: 'load' });
  await ways[way].act?.(page);
  await asked;
  await page.waitForLoadState('networkidle');
}

for (const way of Object.keys(ways)) {
  // A7
  test(`an attacker's callback opened by ${way} signs nobody in`, async (t) => {
    const callback = await attackersCallback();
    const grants = (await given.provider.events('token_request')).length;
    const victim = await fresh(t);

    await lure(t, await victim.newPage(), way, callback);

    assert.deepEqual((await gateCookies(victim, given)).sessions, []);
    assert.equal(await whoAmI(victim, given), null);
    assert.equal((await given.provider.events('token_request')).length, grants, 'the code was redeemed');
  });

  // A7, A5
  test(`an attacker's callback opened by ${way} leaves the victim's own session alone`, async (t) => {
    const callback = await attackersCallback();
    const victim = await fresh(t);
    const page = await victim.newPage();
    await openAs(page, given, 'alice');
    const session = (await gateCookies(victim, given)).sessions.map(({ name, value }) => ({ name, value }));
    const grants = (await given.provider.events('token_request')).length;

    await lure(t, page, way, callback);

    const now = (await gateCookies(victim, given)).sessions.map(({ name, value }) => ({ name, value }));
    assert.deepEqual(now, session);
    const identity = JSON.stringify(await whoAmI(victim, given));
    assert.ok(identity.includes('alice@example.test') && !identity.includes('bob@'), identity);
    assert.equal((await given.provider.events('token_request')).length, grants, 'the code was redeemed');
  });
}

// A6
test('going back to a callback that was used signs nobody in again and redeems nothing', async (t) => {
  const context = await fresh(t);
  const page = await context.newPage();
  const documents = documentsOf(page);
  await openAs(page, given, 'alice', '/graph?g0.expr=up');
  const callback = documents.seen
    .map((response) => response.url())
    .find((url) => new URL(url).pathname === '/oauth2/callback');
  assert.ok(callback, 'no callback was seen');
  const grants = (await given.provider.events('token_request')).length;

  const answer = await page.goto(callback);

  assert.equal((await given.provider.events('token_request')).length, grants, 'the code was redeemed twice');
  assert.equal(new URL(answer.url()).origin, given.url);
  const identity = JSON.stringify(await whoAmI(context, given));
  assert.ok(identity.includes('alice@example.test'), 'the session is lost');
});

// A22
test('a page of ours in a frame of another site shows nothing to click on', async (t) => {
  const context = await fresh(t);
  const page = await context.newPage();
  await openAs(page, given, 'alice');
  const site = await startSite({ '/': `<iframe src="${given.url}/oauth2/userinfo"></iframe>` });
  t.after(() => site.stop());
  await page.goto(site.url, { waitUntil: 'load' });

  const frame = page.frames().find((one) => one !== page.mainFrame());
  const text = await frame.evaluate(() => document.body?.innerText ?? '').catch(() => '');
  assert.doesNotMatch(text, /alice/);
});
