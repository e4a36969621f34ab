// The pages in forms of their own: in a frame, with a logo and a style of the operator's, and on the
// way to a login that keeps the fragment.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { atProvider, signIn, startBrowser } from '../support/browser.mjs';
import { exchange } from '../support/http.mjs';
import { portray } from '../support/portrait.mjs';
import { world } from '../support/world.mjs';

const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 3"><rect width="9" height="3" fill="#7a1f5c"/></svg>';
const STYLE = `:root{--accent:#7a1f5c}
@media (prefers-color-scheme:dark){:root{--accent:#f0a8d4;--on-accent:#2a0b20}}`;

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

const given = async (t, settings) => {
  const here = await world({ settings });
  t.after(() => here.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  return { here, context, page: await context.newPage() };
};

// Another site, whose one page shows `app()` in a frame.
const portal = async (t, app) => {
  const server = createServer((_, res) => {
    res.setHeader('content-type', 'text/html');
    res.end(`<!doctype html><html lang="en"><title>Portal</title><iframe title="the app" src="${app()}"></iframe>`);
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
};

test('a frame shows where to sign in, and a click there opens a tab of its own', async (t) => {
  let here;
  const site = await portal(t, () => `${here.url}/graph`);
  const there = await given(t, { login: { embed_origins: [site] } });
  here = there.here;
  await there.page.goto(site);
  const frame = there.page.frameLocator('iframe');
  await frame.getByRole('heading', { name: 'Please sign in' }).waitFor();
  const opened = there.context.waitForEvent('page');
  await frame.getByRole('link', { name: 'Sign in' }).click();
  const tab = await opened;
  await atProvider(tab, here);
  await signIn(tab, 'alice');
  await tab.waitForURL((url) => url.origin === here.url && !url.pathname.startsWith('/oauth2/'));
});

test('a frame of a site that the operator did not name shows nothing of ours', async (t) => {
  let here;
  const site = await portal(t, () => `${here.url}/graph`);
  const there = await given(t, { login: { embed_origins: ['https://portal.example.test'] } });
  here = there.here;
  const refused = there.page.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
  await there.page.goto(site);
  await refused;
  assert.equal(await there.page.frameLocator('iframe').getByRole('link').count(), 0);
});

// What the gate answers to these fields, shown as if the browser had sent them.
const shown = async (page, here, target, fields) => {
  const { status, headers, text } = await exchange({ origin: here.url, target, headers: fields });
  await page.route(here.url + target, (route) => route.fulfill({ status, headers, body: text }));
  // A page that goes on by itself is never done loading.
  const answer = await page.goto(here.url + target, { waitUntil: 'commit' });
  await page.locator('footer').waitFor();
  return { answer, source: text };
};

test('the page for a frame can be read by everybody', async (t) => {
  const site = 'https://portal.example.test';
  const { here, page } = await given(t, { login: { embed_origins: [site] } });
  const { answer, source } = await shown(page, here, '/graph', {
    accept: 'text/html',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'iframe',
  });
  assert.equal(answer.status(), 401);
  await portray(page, 'signed-out-in-a-frame', answer, here.url, { framed: site, source });
});

test('a logo and a style of the operator’s take their places', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-pages-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'logo.svg'), LOGO);
  await writeFile(join(folder, 'style.css'), STYLE);
  const pages = { directory: folder, logo: 'logo.svg', support: 'help@example.test' };
  const { here, page } = await given(t, { pages });
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  const answer = await page.goto(`${here.url}/oauth2/sign_in`);
  const drawn = await page.locator('main img').evaluate((logo) => logo.naturalWidth > 0 && logo.complete);
  assert.ok(drawn, 'the logo is not drawn');
  await page.emulateMedia({ colorScheme: 'light' });
  const button = page.getByRole('link', { name: 'Sign in' });
  assert.equal(await button.evaluate((it) => getComputedStyle(it).backgroundColor), 'rgb(122, 31, 92)');
  await portray(page, 'sign-in-with-a-logo', answer, here.url);
  assert.deepEqual(complaints, []);
});

test('the page that keeps a fragment is as readable as all others', async (t) => {
  const { here, page } = await given(t, { login: { keep_fragment: true } });
  // No content: the browser stays where it is.
  await page.route(/\/oauth2\/start/, (route) => route.fulfill({ status: 204 }));
  const { answer, source } = await shown(page, here, '/graph', { accept: 'text/html' });
  assert.equal(answer.status(), 401);
  await portray(page, 'keep-fragment', answer, here.url, { scripts: 1, source });
});
