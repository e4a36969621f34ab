// Signing out: here and at the provider, and nothing of the app can be reached afterwards.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { atProvider, documentsOf, gateCookies, openAs, startBrowser, whoAmI } from '../support/browser.mjs';
import { world } from '../support/world.mjs';
import { startSite } from '../support/site.mjs';

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world();
});
after(async () => {
  await browser?.close();
  await given?.close();
});

const signedIn = async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await openAs(page, given, 'alice', '/graph?g0.expr=up');
  return { context, page };
};

const pressSignOut = (page) => {
  const named = { name: /sign out/i };
  return page.getByRole('button', named).or(page.getByRole('link', named)).click();
};

// What a person does: the page that says who they are, its button, and the provider's question.
async function signOut(page) {
  await page.goto(`${given.url}/oauth2/userinfo`);
  const documents = documentsOf(page);
  await pressSignOut(page);
  await page.waitForURL((url) => url.origin === given.provider.issuer);
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  return documents.landed(given.url);
}

// G2
test('signing out ends the session here and at the provider', async (t) => {
  const { context, page } = await signedIn(t);
  const endedBefore = (await given.provider.events('session_ended')).length;

  const landed = await signOut(page);

  assert.equal(landed.status(), 200);
  assert.match(await page.locator('main').innerText(), /signed out/i);
  assert.deepEqual((await gateCookies(context, given)).all, [], 'cookies of ours are left');
  assert.equal(await whoAmI(context, given), null);
  assert.equal((await given.provider.events('session_ended')).length, endedBefore + 1);
  // The provider knows nobody either: it shows its form instead of sending the browser back.
  await page.goto(`${given.url}/graph`);
  await atProvider(page, given);
});

// G2: the local session is gone before the browser leaves for the provider, whatever happens there.
test('somebody who closes the tab at the provider while signing out is signed out here', async (t) => {
  const { context, page } = await signedIn(t);
  await page.goto(`${given.url}/oauth2/userinfo`);
  await pressSignOut(page);
  await page.waitForURL((url) => url.origin === given.provider.issuer);
  await page.close();

  assert.deepEqual((await gateCookies(context, given)).sessions, []);
  assert.equal(await whoAmI(context, given), null);
});

// What the Back button may and may not do after signing out:
//   - the browser may show what it kept of the page, a frame without data: that never left the machine;
//   - not one request of it may reach the app, by the app's own count, and each that needs the app is
//     answered 401;
//   - a reload leads to the provider's form.
test('after signing out the back button brings back nothing that works', async (t) => {
  const { page } = await signedIn(t);
  await page.waitForLoadState('networkidle');
  const there = await page.evaluate(() => history.length);
  await signOut(page);
  const reached = await given.app.requests();

  // Back as far as the app's own page, in one step, as from the list under the button.
  const shown = page.waitForEvent('load');
  await page.evaluate((entry) => void setTimeout(() => history.go(entry - history.length)), there);
  await shown;
  await page.waitForLoadState('networkidle');

  const landing = new URL(page.url());
  if (landing.origin === given.url) {
    assert.match(landing.pathname, /\/graph$/);
    const status = await page.evaluate(async () => (await fetch('/api/v1/query?query=up')).status);
    assert.equal(status, 401, 'a script of the page was let through');
  } else {
    assert.equal(landing.origin, given.provider.issuer);
  }
  await page.goto(`${given.url}/graph?g0.expr=up`);
  await atProvider(page, given);
  assert.equal(await given.app.requests(), reached, 'the app was reached after the sign-out');
});

// G1
test('another site cannot sign a person out by image, frame, link or form', async (t) => {
  const { context, page } = await signedIn(t);
  const target = `${given.url}/oauth2/sign_out`;
  const site = await startSite({
    '/image': `<img src="${target}">`,
    '/frame': `<iframe src="${target}"></iframe>`,
    '/link': `<a href="${target}">a picture of a cat</a>`,
    '/form': `<form method="post" action="${target}"><button>win</button></form>`,
  });
  t.after(() => site.stop());
  const before = await gateCookies(context, given);
  assert.ok(before.sessions.length > 0);

  for (const path of ['/image', '/frame']) {
    await page.goto(site.url + path, { waitUntil: 'load' });
    assert.notEqual(await whoAmI(context, given), null, `${path} signed the person out`);
  }
  await page.goto(`${site.url}/link`);
  await page.getByRole('link').click();
  await page.waitForURL((url) => url.origin === given.url);
  assert.notEqual(await whoAmI(context, given), null, 'a link signed the person out');
  // It may ask; it is for the person to say so, on our page.
  await page.getByRole('button', { name: /sign out/i }).waitFor();

  await page.goto(`${site.url}/form`);
  const documents = documentsOf(page);
  await page.getByRole('button').click();
  await documents.landed(given.url);
  assert.notEqual(await whoAmI(context, given), null, 'a form signed the person out');
});
