// A stronger or fresher sign-in, asked for by a route or by the app itself (RFC 9470): the person is led
// through it and comes back to the very page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { atProvider, openAs, startBrowser } from '../support/browser.mjs';
import { Recorder } from '../support/recorder.mjs';
import { world } from '../support/world.mjs';

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

const ROUTES = [
  { match: { path: '/vault/**' }, access: { acr: ['mfa'] } },
  { match: { path: '/fresh/**' }, access: { max_age: '1m' } },
  { access: 'signed_in' },
];

const given = async (t, app) => {
  const here = await world({ settings: { routes: ROUTES }, app: () => app });
  t.after(() => here.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await openAs(page, here, 'alice', '/plain');
  return { here, page };
};

const withCode = async (page, here) => {
  await atProvider(page, here);
  await page.getByLabel('User').fill('alice');
  await page.getByLabel('Password').fill('any');
  await page.getByLabel('Code').fill('123456');
  await page.getByRole('button', { name: 'Sign in' }).click();
};

const logins = async (here) => (await here.provider.events('login')).length;

test('a route that wants a second factor leads through it and back, once', async (t) => {
  const { here, page } = await given(t, new Recorder());
  assert.equal(await logins(here), 1);
  const place = `${here.url}/vault/door?n=1#left`;
  await page.goto(place, { waitUntil: 'commit' });
  await withCode(page, here);
  await page.waitForURL((url) => url.href.startsWith(`${here.url}/vault/door?n=1`));
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  await page.goto(`${here.url}/vault/other`);
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  assert.equal(await logins(here), 2);
});

test('a route that wants a fresh sign-in is content with one that is', async (t) => {
  const { here, page } = await given(t, new Recorder());
  const answer = await page.goto(`${here.url}/fresh/x`);
  assert.equal(answer.status(), 200);
  assert.equal(await logins(here), 1);
});

test('an app that wants a second factor itself gets it', async (t) => {
  const app = new Recorder();
  const { here, page } = await given(t, app);
  app.refuses = {
    status: 401,
    headers: {
      'www-authenticate':
        'Bearer error="insufficient_user_authentication", error_description="a code is needed", acr_values="mfa"',
    },
  };
  const place = `${here.url}/transfers?to=bob`;
  await page.goto(place, { waitUntil: 'commit' });
  await atProvider(page, here);
  delete app.refuses;
  await withCode(page, here);
  await page.waitForURL(place);
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  assert.equal(await logins(here), 2);
});

test('an app that is never content shows what it has to say', async (t) => {
  const app = new Recorder();
  const { here, page } = await given(t, app);
  app.refuses = {
    status: 401,
    headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication", acr_values="mfa"' },
  };
  await page.goto(`${here.url}/transfers`, { waitUntil: 'commit' });
  await withCode(page, here);
  await page.getByRole('heading', { name: 'Refused' }).waitFor();
  assert.equal(await logins(here), 2);
});
