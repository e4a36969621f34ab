// Chromium, and what people do with it.

import { access } from 'node:fs/promises';
import { chromium } from 'playwright-core';

// Nothing but the pages under test may make Chromium speak.
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Whatever a page asks for: no name is looked up but those of this machine.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost',
];

// A bound on a way through the provider and back, never a wait.
const LANDING_LIMIT_MS = 20_000;

export async function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  await access(executablePath);
  return chromium.launch({ executablePath, args: FLAGS });
}

// Fills the provider's form as `person` and waits until `page` has gone where that leads.
export async function signIn(page, person) {
  await page.getByLabel('User').fill(person);
  await page.getByLabel('Password').fill('any password will do');
  await page.getByRole('button', { name: 'Sign in' }).click();
}

// Opens the gate at `path` and signs in; gives the answer of the page that the login landed on.
export async function openAs(page, world, person, path = '/graph') {
  const documents = documentsOf(page);
  await page.goto(world.url + path);
  await atProvider(page, world);
  const mark = documents.seen.length;
  await signIn(page, person);
  return documents.landed(world.url, mark);
}

// Waits until the page shows the provider's form.
export async function atProvider(page, world) {
  await page.waitForURL((url) => url.origin === world.provider.issuer);
  await page.getByLabel('User').waitFor();
}

// Follows the documents that the page's main frame is given from now on, redirects included.
export function documentsOf(page) {
  const seen = [];
  const shown = new Set();
  const waiting = new Set();
  const wake = () => {
    for (const look of [...waiting]) look();
  };
  page.on('response', (response) => {
    const request = response.request();
    if (!request.isNavigationRequest() || request.frame() !== page.mainFrame()) return;
    seen.push(response);
    wake();
  });
  page.on('framenavigated', (frame) => {
    if (frame !== page.mainFrame()) return;
    const url = frame.url().split('#')[0];
    shown.add(seen.findLast((response) => response.url() === url));
    wake();
  });
  const isPage = (response) => response.status() < 300 || response.status() >= 400;
  const trail = () =>
    seen
      .slice(-20)
      .map((response) => `${response.status()} ${response.url().slice(0, 80)}`)
      .join('\n');

  // The first page of `origin` after the first `mark` answers, once the browser shows it.
  const landed = async (origin, mark = 0) => {
    const answer = await new Promise((resolve, reject) => {
      const done = (settle) => {
        clearTimeout(limit);
        waiting.delete(look);
        settle();
      };
      const look = () => {
        const hit = seen.slice(mark).find((r) => new URL(r.url()).origin === origin && isPage(r));
        if (hit && shown.has(hit)) done(() => resolve(hit));
      };
      const limit = setTimeout(
        () => done(() => reject(new Error(`no page of ${origin} came; the way was\n${trail()}`))),
        LANDING_LIMIT_MS,
      );
      waiting.add(look);
      look();
    });
    await page.waitForLoadState('load');
    return answer;
  };
  return { seen, landed };
}

// Where the gate sent the browser in the end: the first address after the last one of the gate's own
// endpoints on the way to this page. (The app may go on from there: `/graph` to `/classic/graph`.)
export function placeOf(landed) {
  let request = landed.request();
  for (let from = request.redirectedFrom(); from !== null; from = request.redirectedFrom()) {
    if (new URL(from.url()).pathname.startsWith('/oauth2/')) break;
    request = from;
  }
  return request.url();
}

// Whether a cookie of this name is (a piece of) a session, or a login: in flight, or just over.
export const isSession = (name) => /^(__Host-|__Secure-)?sidegate-[^-.]+(\.\d+)?$/.test(name);
export const isLogin = (name) => /^(__Host-|__Secure-)?sidegate-[^-.]+-l-.{8}$/.test(name);

// The gate's own cookies in this context.
export async function gateCookies(context, world) {
  const { hostname } = new URL(world.url);
  const all = (await context.cookies(world.url)).filter(
    ({ name, domain }) => domain === hostname && /^(__Host-|__Secure-)?sidegate-/.test(name),
  );
  return {
    sessions: all.filter(({ name }) => isSession(name)),
    logins: all.filter(({ name }) => isLogin(name)),
    all,
  };
}

// Who the gate takes this browser for, by its own word, as JSON; `null` when for nobody.
export async function whoAmI(context, world) {
  const answer = await context.request.get(`${world.url}/oauth2/userinfo?passive=1`, {
    headers: { accept: 'application/json' },
    maxRedirects: 0,
  });
  return answer.status() === 200 ? answer.json() : null;
}
