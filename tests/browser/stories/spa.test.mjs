// An app of one page, in the demo: its session ends while it is open, and begins anew in a window of
// its own, without the page being left.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { atProvider, isSession, signIn, startBrowser } from '../support/browser.mjs';
import { Program, freePorts } from '../support/process.mjs';
import { world } from '../support/world.mjs';

const BINARY =
  process.env.SIDEGATE_BIN ?? fileURLToPath(new URL('../../../target/debug/sidegate', import.meta.url));

let browser, demo, url;
before(async () => {
  browser = await startBrowser();
  const [port] = await freePorts(1);
  demo = new Program(BINARY, ['demo', '--port', String(port)]);
  [, url] = await demo.says(/^Open (http:\S+)/);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const atDemo = async (page, person) => {
  await page.getByLabel('User name').fill(person);
  await page.getByLabel('Password').fill('sidegate');
  await page.getByRole('button', { name: 'Sign in' }).click();
};

// Ends every session that this browser knows, at the gate and at the provider.
const endSessions = async (context) => {
  await context.clearCookies();
  assert.deepEqual((await context.cookies(url)).filter(({ name }) => isSession(name)), []);
};

test('a page stays open while its session ends and begins anew in a window of its own', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${url}/spa`);
  await atDemo(page, 'alice');
  await page.waitForURL(`${url}/spa`);
  await page.getByText(/this session ends in \d+ s/).waitFor();
  const told = page.getByRole('log', { name: 'What came' });
  await page.getByRole('button', { name: 'Load' }).click();
  await told.getByText('loaded for alice').waitFor();
  const left = [];
  page.on('framenavigated', (frame) => left.push(frame.url()));

  await endSessions(context);
  await page.getByRole('button', { name: 'Load' }).click();
  await told.getByText('signed out: login_required').waitFor();

  const opened = context.waitForEvent('page');
  await page.getByRole('button', { name: 'Sign in again' }).click();
  const popup = await opened;
  const closed = new Promise((resolve) => popup.once('close', resolve));
  await popup.getByLabel('User name').waitFor();
  await atDemo(popup, 'bob');
  await closed;
  await told.getByText('loaded for bob').waitFor();
  await page.getByRole('button', { name: 'Sign in again' }).waitFor({ state: 'hidden' });
  assert.deepEqual(left, [], 'the page was left');
});

test('a login leads back to the very fragment of the page that was wanted', async (t) => {
  const here = await world({ settings: { login: { keep_fragment: true } } });
  t.after(() => here.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  // A page of the app's that nothing rewrites: a text.
  const wanted = `${here.url}/-/healthy?from=a%26b#panel=3&x={1}`;
  await page.goto(wanted);
  await atProvider(page, here);
  await signIn(page, 'alice');
  await page.waitForURL((at) => at.origin === here.url && at.pathname === '/-/healthy');
  assert.equal(page.url(), wanted);
  const refused = complaints.filter((text) => /Content Security Policy/.test(text));
  assert.deepEqual(refused, []);

  // Without scripts the page is a link, and only the fragment is lost.
  const still = await browser.newContext({ javaScriptEnabled: false });
  t.after(() => still.close());
  const plain = await still.newPage();
  const answer = await plain.goto(wanted);
  assert.equal(answer.status(), 401);
  await plain.getByRole('link', { name: 'Sign in' }).click();
  await atProvider(plain, here);
  await signIn(plain, 'alice');
  await plain.waitForURL((at) => at.origin === here.url && at.pathname === '/-/healthy');
  assert.equal(plain.url(), wanted.split('#')[0]);
});
