// Somebody who is known at the provider but may not come in: told so, by name, with a way on.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  atProvider,
  documentsOf,
  openAs,
  placeOf,
  signIn,
  startBrowser,
  whoAmI,
} from '../support/browser.mjs';
import { world } from '../support/world.mjs';

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({
    settings: {
      routes: [
        { match: { path: '/graph/**' }, access: 'signed_in' },
        { match: { path: '/classic/**' }, access: 'signed_in' },
        { match: { path: '/targets' }, access: { groups: ['ops'] } },
      ],
    },
  });
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

test('a person who is not admitted is told who they are and can switch account', async (t) => {
  const { context, page } = await fresh(t);
  const reached = await given.app.requests();

  const landed = await openAs(page, given, 'mallory', '/graph?g0.expr=up');

  assert.equal(landed.status(), 403);
  assert.match(await page.locator('main').innerText(), /mallory@elsewhere\.test/);
  assert.equal(await given.app.requests(), reached, 'the app was reached');
  assert.equal(await whoAmI(context, given), null, 'a person who is not admitted has a session');

  const another = /another account|switch account|different account/i;
  await page.getByRole('link', { name: another }).or(page.getByRole('button', { name: another })).click();
  await atProvider(page, given);
  await page.getByRole('heading', { name: 'Which account?' }).waitFor();
  const asked = (await given.provider.events('authorization')).at(-1);
  assert.equal(asked.prompt, 'select_account');

  const documents = documentsOf(page);
  await signIn(page, 'alice');
  const second = await documents.landed(given.url);
  assert.equal(second.status(), 200);
  assert.equal(placeOf(second), `${given.url}/graph?g0.expr=up`, 'the way back was lost');
});

test('a signed-in person without the group is refused on that page alone and stays signed in', async (t) => {
  const { context, page } = await fresh(t);
  await openAs(page, given, 'bob', '/graph');
  await page.waitForLoadState('networkidle');
  const reached = await given.app.requests();

  const answer = await page.goto(`${given.url}/targets`);

  assert.equal(answer.status(), 403);
  const text = await page.locator('main').innerText();
  assert.match(text, /bob@example\.test/);
  assert.doesNotMatch(text, /\bops\b/, 'the page shows the rule');
  assert.equal(await given.app.requests(), reached, 'the app was reached');
  assert.ok(JSON.stringify(await whoAmI(context, given)).includes('bob@example.test'));
});
