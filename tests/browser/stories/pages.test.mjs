// Every page of ours, reached as people reach it, in light and dark, on a telephone and at a desk.
// The pictures are in `test-output/screenshots`.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { documentsOf, openAs, startBrowser, whoAmI } from '../support/browser.mjs';
import { portray } from '../support/portrait.mjs';
import { world } from '../support/world.mjs';

// 8 to 10 characters without ambiguous letters, such as K7QF-2M9X.
const REFERENCE = /\b[0-9A-Z]{4,5}-[0-9A-Z]{4,5}\b/;
const settings = {
  routes: ['/graph/**', '/classic/**'].map((path) => ({ match: { path }, access: 'signed_in' })),
};

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({ settings });
});
after(async () => {
  await browser?.close();
  await given?.close();
});

const fresh = async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  return { context, page: await context.newPage() };
};

const showsReference = async (page, answer) => {
  const [shown] = REFERENCE.exec(await page.locator('main').innerText()) ?? [];
  assert.ok(shown, 'the page shows no reference');
  assert.equal(await answer.headerValue('x-request-id'), shown);
  return shown;
};

// T5
const isInTheLog = (reference, where = given) => {
  const lines = where.gate.program.lines.filter((line) => line.includes(reference));
  assert.ok(lines.length >= 1, `no log line has ${reference}`);
};

test('the sign-in page offers the provider', async (t) => {
  const { page } = await fresh(t);
  const answer = await page.goto(`${given.url}/oauth2/sign_in`);
  assert.equal(answer.status(), 200);
  await page.getByRole('link', { name: /sign in|continue/i }).first().waitFor();
  await portray(page, 'sign-in', answer, given.url);
});

test('the page of somebody who is not admitted has a reference that finds its log line', async (t) => {
  const { page } = await fresh(t);
  const answer = await openAs(page, given, 'mallory');
  assert.equal(answer.status(), 403);
  isInTheLog(await showsReference(page, answer));
  await portray(page, 'denied', answer, given.url);
});

// A5: the first such answer begins the login anew, the second explains.
test('an answer to no login of ours ends, the second time, in a page that can be tried again', async (t) => {
  const { page } = await fresh(t);
  const bad = `${given.url}/oauth2/callback?code=somebody-elses&state=somebody-elses`;
  await page.goto(bad);
  assert.equal(new URL(page.url()).origin, given.provider.issuer);
  const answer = await page.goto(bad);
  assert.equal(answer.status(), 400);
  const text = await page.locator('main').innerText();
  assert.doesNotMatch(text, /somebody-elses/, 'the page repeats what came in');
  isInTheLog(await showsReference(page, answer));
  await portray(page, 'login-failed', answer, given.url);

  await page.getByRole('link', { name: /again/i }).click();
  await page.waitForURL((url) => url.origin === given.provider.issuer);
});

test('the page of a signed-in person says who they are', async (t) => {
  const { context, page } = await fresh(t);
  await openAs(page, given, 'bob');
  const answer = await page.goto(`${given.url}/oauth2/userinfo`);
  assert.equal(answer.status(), 200);
  const text = await page.locator('main').innerText();
  for (const known of ['bob@example.test', 'dev']) assert.ok(text.includes(known), known);
  assert.doesNotMatch(await answer.text(), /eyJ/, 'something that reads like a token');
  assert.notEqual(await whoAmI(context, given), null);
  await portray(page, 'who-am-i', answer, given.url);
});

test('signing out by an address that was typed asks first, then says that it is done', async (t) => {
  const { context, page } = await fresh(t);
  await openAs(page, given, 'alice');
  const asks = await page.goto(`${given.url}/oauth2/sign_out`);
  assert.notEqual(await whoAmI(context, given), null, 'a typed address signed the person out');
  await portray(page, 'sign-out', asks, given.url);

  const documents = documentsOf(page);
  await page.getByRole('button', { name: /sign out/i }).click();
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  const done = await documents.landed(given.url);
  assert.equal(done.status(), 200);
  await page.getByRole('link', { name: /sign in/i }).waitFor();
  await portray(page, 'signed-out', done, given.url);
});

test('a page that no route leads to is not found, and begins no login', async (t) => {
  const { page } = await fresh(t);
  const answer = await page.goto(`${given.url}/no/such/page`);
  assert.equal(answer.status(), 404);
  await portray(page, 'not-found', answer, given.url);
});

test('the page for an app that is away says so', async (t) => {
  const here = await world({ settings });
  t.after(() => here.close());
  const { page } = await fresh(t);
  await openAs(page, here, 'alice');
  await here.app.stop();
  const answer = await page.goto(`${here.url}/graph`);
  assert.ok([502, 504].includes(answer.status()), `status ${answer.status()}`);
  isInTheLog(await showsReference(page, answer), here);
  await portray(page, 'app-unreachable', answer, here.url);
});

test('the page for a provider that is away says that nothing is wrong with the account', async (t) => {
  const here = await world({ settings, provider: 'later' });
  t.after(() => here.close());
  const { page } = await fresh(t);
  const answer = await page.goto(`${here.url}/graph`);
  assert.equal(answer.status(), 503);
  assert.ok(await answer.headerValue('retry-after'));
  isInTheLog(await showsReference(page, answer), here);
  await portray(page, 'provider-unreachable', answer, here.url);
});
