// One of our pages as people see it: pictures in both colour schemes and at two widths, and what has
// to hold of every page.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const PICTURES = fileURLToPath(new URL('../../../test-output/screenshots/', import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCHEMES = ['light', 'dark'];
// A small telephone (also 1280 at 400 % zoom), and a desk.
const WIDTHS = [320, 1280];
const LARGEST_PAGE = 10 * 1024;

// `answer` is the response that brought the page; `own` the origin that everything must come from;
// `scripts` how many scripts it has, which is none but for the page that keeps a fragment; `framed`
// who may show it in a frame; `source` its text, where the browser has forgotten it.
export async function portray(page, name, answer, own, more = {}) {
  const { scripts = 0, framed = "'none'", source = await answer.text() } = more;
  await policyOf(answer, name, scripts, framed);
  await shapeOf(page, source, name, own, scripts);
  await mkdir(PICTURES, { recursive: true });
  await lookAt(page, name, WIDTHS, (view) =>
    page.screenshot({ path: `${PICTURES}${view}.png`, fullPage: true }),
  );
}

// What has to hold of a page in both colour schemes and at these widths; `keep` is told each view.
export async function lookAt(page, name, widths = WIDTHS, keep = () => {}) {
  for (const colorScheme of SCHEMES) {
    for (const width of widths) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 800 });
      const view = `${name}-${colorScheme}-${width}`;
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      assert.ok(wide <= width, `${view}: ${wide} px wide, so that it has to be scrolled sideways`);
      // Evaluated by the debugger: the page's own policy lets no script of its own run.
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(
        violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((n) => n.html).join(' ')}`),
        [],
        view,
      );
      await keep(view);
    }
  }
}

// A22
async function policyOf(answer, name, scripts, framed) {
  const headers = await answer.allHeaders();
  const policy = headers['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'/, name);
  assert.ok(policy.endsWith(`; frame-ancestors ${framed}`), `${name}: ${policy}`);
  assert.match(policy, /base-uri 'none'/, name);
  assert.doesNotMatch(policy, /unsafe-/, name);
  assert.equal(policy.match(/script-src 'sha256-[^' ]+';/g)?.length ?? 0, scripts, name);
  assert.equal(policy.match(/script-src/g)?.length ?? 0, scripts, name);
  assert.match(headers['content-type'], /^text\/html; ?charset=utf-8$/i, name);
  assert.match(headers['cache-control'] ?? '', /no-store/, name);
  assert.equal(headers['x-content-type-options'], 'nosniff', name);
  assert.equal(headers['referrer-policy'], 'no-referrer', name);
}

async function shapeOf(page, source, name, own, scripts) {
  assert.ok(Buffer.byteLength(source) < LARGEST_PAGE, `${name}: ${Buffer.byteLength(source)} bytes`);
  assert.equal(source.match(/<script/gi)?.length ?? 0, scripts, `${name}: scripts`);
  assert.doesNotMatch(source, /\son\w+=|javascript:/i, `${name}: a script`);
  const { lang, headings, mains, title, zoom, resources } = await page.evaluate(() => ({
    lang: document.documentElement.lang,
    headings: document.querySelectorAll('h1').length,
    mains: document.querySelectorAll('main').length,
    title: document.title,
    zoom: document.querySelector('meta[name=viewport]')?.content ?? '',
    resources: performance.getEntriesByType('resource').map((entry) => entry.name),
  }));
  assert.match(lang, /^[a-z]{2}/, `${name}: lang`);
  assert.equal(headings, 1, `${name}: h1`);
  assert.equal(mains, 1, `${name}: main`);
  assert.ok(title.length > 0, `${name}: title`);
  assert.match(zoom, /width=device-width/, `${name}: viewport`);
  assert.doesNotMatch(zoom, /user-scalable|maximum-scale/, `${name}: zoom is taken away`);
  for (const resource of resources) assert.equal(new URL(resource).origin, own, `${name}: ${resource}`);
}
