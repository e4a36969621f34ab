// A page left open while nobody is signed in: its scripts are told so, and nothing else happens.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gateCookies, startBrowser } from '../support/browser.mjs';
import { world } from '../support/world.mjs';

const POLLS = 50;

let browser, given;
before(async () => {
  browser = await startBrowser();
  given = await world({
    settings: {
      routes: [
        { name: 'health', match: { path: '/-/healthy' }, access: 'public' },
        { match: { path: '/**' }, access: 'signed_in' },
      ],
    },
  });
});
after(async () => {
  await browser?.close();
  await given?.close();
});

// A page of the gate's own origin that anybody may open, to run scripts in.
const openPage = async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${given.url}/-/healthy`);
  return { context, page };
};

// A16
test('background fetches without a session get 401 as JSON and never a cookie', async (t) => {
  const { context, page } = await openPage(t);
  const [authorizations, reached] = [
    (await given.provider.events('authorization')).length,
    await given.app.requests(),
  ];
  const answers = [];
  page.on('response', (response) => answers.push(response));

  const polls = await page.evaluate(
    (count) =>
      Promise.all(
        Array.from({ length: count }, async (_, number) => {
          const answer = await fetch(`/api/v1/query?query=up&poll=${number}`);
          return {
            status: answer.status,
            redirected: answer.redirected,
            type: answer.headers.get('content-type'),
            challenge: answer.headers.get('www-authenticate'),
            body: await answer.json(),
          };
        }),
      ),
    POLLS,
  );

  assert.equal(polls.length, POLLS);
  for (const { status, redirected, type, challenge, body } of polls) {
    assert.equal(status, 401);
    assert.equal(redirected, false);
    assert.match(type, /^application\/problem\+json/);
    assert.match(challenge, /^Sidegate login="/);
    for (const member of ['type', 'title', 'status', 'code', 'reference', 'login_url']) {
      assert.ok(member in body, `no ${member} in ${JSON.stringify(body)}`);
    }
    assert.equal(body.status, 401);
    assert.equal(new URL(body.login_url, given.url).origin, given.url);
  }
  assert.equal(answers.length, POLLS);
  for (const answer of answers) {
    assert.equal(await answer.headerValue('set-cookie'), null, 'a poll was given a cookie');
  }
  assert.deepEqual((await gateCookies(context, given)).all, []);
  assert.equal((await given.provider.events('authorization')).length, authorizations, 'a login was begun');
  assert.equal(await given.app.requests(), reached, 'the app was reached');
});

// A16: each way in which a page asks for something without going there.
test('images, scripts, styles, posts and streams begin no login either', async (t) => {
  const { context, page } = await openPage(t);
  // From the network itself: of a style sheet that is no CSS a page's own events tell nothing.
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  const [paths, answers] = [new Map(), new Map()];
  network.on('Network.requestWillBeSent', ({ requestId, request }) =>
    paths.set(requestId, new URL(request.url).pathname),
  );
  network.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode, headers }) =>
    answers.set(requestId, {
      status: statusCode,
      names: Object.keys(headers).map((name) => name.toLowerCase()),
    }),
  );

  await page.evaluate(async () => {
    const element = (name, attributes) =>
      new Promise((settled) => {
        const made = Object.assign(document.createElement(name), attributes);
        made.onload = made.onerror = settled;
        document.body.append(made);
      });
    await element('img', { src: '/image' });
    await element('script', { src: '/script' });
    await element('link', { rel: 'stylesheet', href: '/style' });
    await fetch('/posted', { method: 'POST', body: 'a=b' });
    await new Promise((settled) => {
      const request = new XMLHttpRequest();
      request.onloadend = settled;
      request.open('GET', '/xhr');
      request.send();
    });
    await new Promise((settled) => {
      const stream = new EventSource('/stream');
      stream.onerror = () => settled(stream.close());
    });
  });

  const asked = ['/image', '/script', '/style', '/posted', '/xhr', '/stream'];
  for (const path of asked) {
    const [id] = [...paths].find(([, asked]) => asked === path) ?? [];
    assert.ok(answers.has(id), `${path} was not asked for`);
    const { status, names } = answers.get(id);
    assert.equal(status, 401, path);
    assert.ok(!names.includes('set-cookie'), path);
  }
  assert.deepEqual((await gateCookies(context, given)).all, []);
});

test('a WebSocket without a session is refused and no cookie is set', async (t) => {
  const { context, page } = await openPage(t);
  const outcome = await page.evaluate(
    () =>
      new Promise((settled) => {
        const socket = new WebSocket(`ws://${location.host}/socket`);
        socket.onopen = () => settled('open');
        socket.onclose = ({ code }) => settled(`closed ${code}`);
      }),
  );
  assert.equal(outcome, 'closed 1006');
  assert.deepEqual((await gateCookies(context, given)).all, []);
});
