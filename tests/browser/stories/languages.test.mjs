// The pages in every language that they speak: whole, readable, and no wider than a telephone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openAs, startBrowser } from '../support/browser.mjs';
import { portray } from '../support/portrait.mjs';
import { world } from '../support/world.mjs';

// What browsers of these languages ask for, and what the pages then say of themselves.
const SPOKEN = { en: 'en-GB', de: 'de-AT', fr: 'fr-CA', es: 'es-419', ja: 'ja-JP' };

let browser, given, away;
before(async () => {
  browser = await startBrowser();
  [given, away] = await Promise.all([world(), world({ provider: 'later' })]);
});
after(async () => {
  await browser?.close();
  await Promise.all([given?.close(), away?.close()]);
});

for (const [language, locale] of Object.entries(SPOKEN)) {
  test(`the pages speak ${language}`, async (t) => {
    const context = await browser.newContext({ locale });
    t.after(() => context.close());
    const page = await context.newPage();
    const shows = async (name, answer, status, own = given.url) => {
      assert.equal(answer.status(), status, name);
      assert.equal(await answer.headerValue('content-language'), language, name);
      assert.equal(await page.evaluate(() => document.documentElement.lang), language, name);
      await portray(page, `${name}-${language}`, answer, own);
    };
    await shows('sign-in', await page.goto(`${given.url}/oauth2/sign_in`), 200);
    // Japanese has no spaces: lines end between phrases, not within a word.
    const breaks = await page.evaluate(() => getComputedStyle(document.querySelector('h1')).wordBreak);
    assert.equal(breaks, language === 'ja' ? 'auto-phrase' : 'normal');
    await shows('error', await page.goto(`${given.url}/oauth2/start?provider=nobody`), 404);
    await shows('provider-unreachable', await page.goto(`${away.url}/graph`), 503, away.url);
    await shows('denied', await openAs(page, given, 'mallory'), 403);
    await context.clearCookies();
    await openAs(page, given, 'alice');
    await shows('who-am-i', await page.goto(`${given.url}/oauth2/userinfo`), 200);
    await shows('sign-out', await page.goto(`${given.url}/oauth2/sign_out`), 200);
  });
}
