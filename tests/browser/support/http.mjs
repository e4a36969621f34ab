// A user agent without a screen: keeps cookies by host as a browser does, follows no redirect by
// itself, and sends what a browser sends with a top-level navigation unless told otherwise.

import http from 'node:http';

const NAVIGATION = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'en',
  'sec-fetch-dest': 'document',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-site': 'none',
  'sec-fetch-user': '?1',
  'upgrade-insecure-requests': '1',
};

// What a browser sends with `fetch()` from a page of the same origin.
export const FETCH = {
  accept: '*/*',
  'sec-fetch-dest': 'empty',
  'sec-fetch-mode': 'cors',
  'sec-fetch-site': 'same-origin',
};

// One exchange. The target goes out exactly as written: no URL parser comes between.
export function exchange({ origin, target, method = 'GET', headers = {}, body, agent }) {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: hostname, port, path: target, method, headers, agent, family: 4 },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode,
            headers: response.headers,
            setCookie: response.headers['set-cookie'] ?? [],
            text: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

export class UserAgent {
  constructor() {
    this.jars = new Map(); // host -> name -> { value, path }
    this.agent = new http.Agent({ keepAlive: true });
  }

  close() {
    this.agent.destroy();
  }

  cookies(url) {
    const { hostname, pathname } = new URL(url);
    const jar = this.jars.get(hostname) ?? new Map();
    return [...jar.values()]
      .filter(({ path }) => path === '/' || pathname === path || pathname.startsWith(`${path}/`))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  #keep(url, setCookie) {
    const { hostname } = new URL(url);
    const jar = this.jars.get(hostname) ?? new Map();
    this.jars.set(hostname, jar);
    for (const line of setCookie) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(pair.indexOf('=') + 1);
      const of = (wanted) =>
        attributes.map((a) => a.split('=')).find(([key]) => key.toLowerCase() === wanted)?.[1];
      const path = of('path') ?? '/';
      const gone = Number(of('max-age') ?? 1) <= 0 || Date.parse(of('expires')) < Date.now();
      if (gone) jar.delete(`${path} ${name}`);
      else jar.set(`${path} ${name}`, { name, value, path });
    }
  }

  // One request, not followed. `url` may be given with a `target` that goes out as it is.
  async visit(url, { target, method, headers = {}, body } = {}) {
    const { origin, pathname, search } = new URL(url);
    const cookie = this.cookies(url);
    const answer = await exchange({
      origin,
      target: target ?? pathname + search,
      method,
      body,
      agent: this.agent,
      headers: {
        host: new URL(url).host,
        ...NAVIGATION,
        ...(cookie ? { cookie } : {}),
        ...headers,
      },
    });
    this.#keep(url, answer.setCookie);
    return answer;
  }

  // Sends a form as a browser does.
  async submit(url, fields) {
    const body = new URLSearchParams(fields).toString();
    return this.visit(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': Buffer.byteLength(body),
        origin: new URL(url).origin,
      },
    });
  }
}

// A login is the gate, the provider, its form, and back: more steps than these is a loop.
const MOST_STEPS = 12;

// Goes the way of a login from `url` as `person`, every `Location` read as a browser reads it. Gives
// each address that the agent was sent to; ends, without opening it, at one for which `ends` holds.
export async function wayOf(agent, { url, person, issuer, ends }) {
  const way = [];
  let answer = await agent.visit(url);
  for (let steps = 0; steps < MOST_STEPS; steps += 1) {
    if (answer.headers.location !== undefined) {
      url = new URL(answer.headers.location, url).href;
      way.push(url);
      if (ends(new URL(url))) return way;
      answer = await agent.visit(url);
    } else if (url.startsWith(`${issuer}/interaction/`)) {
      answer = await agent.submit(url, { login: person, password: 'any' });
    } else {
      return way;
    }
  }
  throw new Error(`no end after ${MOST_STEPS} steps:\n${way.join('\n')}`);
}
