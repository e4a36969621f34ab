// Every page that the gate can show, for every error and in every language, in a browser without
// scripts: axe finds nothing, nothing is wider than a telephone, everything can be seen and pressed, and
// nothing is loaded. The documents are what `cargo test --lib pages` writes to `test-output/pages`.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { startBrowser } from '../support/browser.mjs';
import { lookAt } from '../support/portrait.mjs';

const DOCUMENTS = new URL('../../../test-output/pages/', import.meta.url);
const ERRORS = new URL('../../../docs/ERRORS.md', import.meta.url);
const SITE = 'https://dash.test';
const LANGUAGES = ['en', 'de', 'fr', 'es', 'ja'];

let browser, documents;
before(async () => {
  browser = await startBrowser();
  const names = await readdir(DOCUMENTS).catch(() => []);
  const read = async (name) => [name, await readFile(new URL(name, DOCUMENTS), 'utf8')];
  documents = new Map(await Promise.all(names.sort().map(read)));
});
after(() => browser?.close());

test('every error of the catalogue is among the pages, in every language', async () => {
  const codes = [...(await readFile(ERRORS, 'utf8')).matchAll(/^\| `([a-z_0-9]+)` \|/gm)].map(([, code]) => code);
  assert.ok(codes.length >= 40, `${codes.length} codes`);
  for (const language of LANGUAGES) {
    const own = [...documents].filter(([name]) => name.startsWith(`${language}-`));
    for (const code of codes) {
      assert.ok(own.some(([, text]) => text.includes(`<code>${code}</code>`)), `${code} in ${language}`);
    }
  }
});

for (const language of LANGUAGES) {
  test(`every page in ${language} is whole without scripts, and axe finds nothing`, async (t) => {
    const names = [...documents.keys()].filter((name) => name.startsWith(`${language}-`));
    assert.ok(names.length >= 60, `${names.length} pages: run \`cargo test --lib pages\` first`);
    const asked = [];
    const open = async (options) => {
      const context = await browser.newContext(options);
      t.after(() => context.close());
      const page = await context.newPage();
      page.on('request', (request) => asked.push(request.url()));
      await page.route('**', (route) => {
        const body = documents.get(new URL(route.request().url()).pathname.slice(1));
        return body ? route.fulfill({ contentType: 'text/html; charset=utf-8', body }) : route.abort();
      });
      return page;
    };
    const [plain, page] = [await open({ javaScriptEnabled: false }), await open()];
    for (const name of names) {
      asked.length = 0;
      await plain.goto(`${SITE}/${name}`);
      assert.equal(await plain.locator('h1:visible').count(), 1, name);
      // Whatever can be done on the page can be seen, and leads somewhere without a script.
      for (const one of await plain.locator('a, button').all()) {
        assert.ok(await one.isVisible(), `${name}: ${await one.innerText()}`);
      }
      assert.equal(await plain.locator('a:not([href^="https://"]):not([href^="mailto:"]):not([href^="/"])').count(), 0, name);
      const forms = await plain.locator('form:not([action^="https://"]):not([action^="/"])').count();
      assert.equal(forms, 0, `${name}: a form that leads nowhere`);
      assert.equal(await plain.locator('button').count(), await plain.locator('form button').count(), name);
      await page.goto(`${SITE}/${name}`);
      // Colours are no matter of language; how much room words take is.
      await lookAt(page, name, language === 'en' ? undefined : [320]);
      assert.deepEqual(asked, [`${SITE}/${name}`, `${SITE}/${name}`], 'something was loaded');
    }
  });
}
