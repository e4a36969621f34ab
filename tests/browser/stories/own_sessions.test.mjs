// A person who is signed in at several browsers sees that, and ends the others with one click.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openAs, startBrowser, whoAmI } from '../support/browser.mjs';
import { portray } from '../support/portrait.mjs';
import { world } from '../support/world.mjs';

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({ settings: { session: { store: 'memory', keys: 'ephemeral' } } });
});
after(async () => {
  await browser?.close();
  await given?.close();
});

const signedIn = async (t, person) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await openAs(page, given, person, '/graph');
  return { context, page };
};

test('a person ends the sessions of their other browsers', async (t) => {
  const [old, lost, bob] = [
    await signedIn(t, 'alice'),
    await signedIn(t, 'alice'),
    await signedIn(t, 'bob'),
  ];
  const { context, page } = await signedIn(t, 'alice');
  const answer = await page.goto(`${given.url}/oauth2/userinfo`);
  await portray(page, 'other-sessions', answer, given.url);
  const button = page.getByRole('button', { name: 'Sign out everywhere else' });

  await button.click();
  await page.waitForLoadState();

  assert.equal(new URL(page.url()).pathname, '/oauth2/userinfo');
  assert.equal(await button.count(), 0, 'there is nobody else left');
  assert.equal(await whoAmI(old.context, given), null);
  assert.equal(await whoAmI(lost.context, given), null);
  assert.equal((await whoAmI(bob.context, given)).sub, 'bob');
  assert.equal((await whoAmI(context, given)).sub, 'alice');
});
