// A browser that keeps none of our cookies, or not all: a page that says so, and never a loop.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  atProvider,
  documentsOf,
  gateCookies,
  isLogin,
  isSession,
  openAs,
  signIn,
  startBrowser,
  whoAmI,
} from '../support/browser.mjs';
import { startLossyProxy } from '../support/lossy.mjs';
import { portray } from '../support/portrait.mjs';
import { world } from '../support/world.mjs';

// The most times that a browser is sent to the provider before a page explains what is wrong.
const MOST_TRIES = 3;

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

let number = 0;
const losses = {
  'every cookie of the gate is lost': () => true,
  'the cookie of the login in flight is lost': isLogin,
  'the session cookie is lost': isSession,
};

for (const [loss, loses] of Object.entries(losses)) {
  // A20
  test(`when ${loss} the login ends in a page that explains it`, async (t) => {
    let given;
    const proxy = await startLossyProxy({ target: () => given.gate.url, loses });
    t.after(() => proxy.stop());
    given = await world({ publicUrl: proxy.url });
    t.after(() => given.close());
    const page = await (await browser.newContext()).newPage();
    t.after(() => page.context().close());
    const documents = documentsOf(page);
    await page.goto(`${given.url}/graph?g0.expr=up`);
    await atProvider(page, given);
    const mark = documents.seen.length;

    // The provider remembers the person, so that nothing but the gate can end the way in circles.
    await signIn(page, 'alice');
    const landed = await documents.landed(given.url, mark);

    assert.ok(landed.status() >= 400 && landed.status() < 500, `status ${landed.status()}`);
    const tries = (await given.provider.events('authorization')).length;
    assert.ok(tries <= MOST_TRIES, `sent to the provider ${tries} times`);
    assert.match(await page.locator('main').innerText(), /cookie/i);
    assert.equal(await page.locator('meta[http-equiv="refresh" i]').count(), 0, 'the page goes on by itself');
    assert.equal(await given.app.requests(), 0, 'the app was reached');
    await portray(page, `cookies-lost-${++number}`, landed, given.url);
  });
}

const damages = {
  'was cut in half': (value) => value.slice(0, value.length / 2),
  'was changed in one place': (value) => `${value.slice(0, 40)}${value[40] === 'A' ? 'B' : 'A'}${value.slice(41)}`,
  'is of another format': () => 'v0.somebody',
};

for (const [damage, damaged] of Object.entries(damages)) {
  // A25
  test(`a session cookie that ${damage} is gone after the sign-in page, which leads in again`, async (t) => {
    const given = await world();
    t.after(() => given.close());
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await openAs(page, given, 'alice');
    const sessions = async () => (await gateCookies(context, given)).sessions;
    const [session] = await sessions();
    await context.addCookies([{ ...session, value: damaged(session.value) }]);
    assert.equal(await whoAmI(context, given), null, 'the damaged cookie is a session');
    assert.equal((await sessions()).length, 1, 'looking on was enough to take it away');

    const documents = documentsOf(page);
    await page.goto(`${given.url}/oauth2/sign_in?return_to=/graph`);
    assert.deepEqual(await sessions(), [], 'the damaged cookie stays');
    const mark = documents.seen.length;
    await page.getByRole('link', { name: /sign in|continue/i }).first().click();
    // The provider remembers the person.
    const landed = await documents.landed(given.url, mark);
    assert.equal(landed.status(), 200);
    assert.notEqual(await whoAmI(context, given), null);
  });
}
