// The honest peer: `oidc-provider`, a certified OpenID Provider that shares no line with Sidegate.
//
// A process of its own, so that a story can take it away and bring it back. The first line that it
// prints is `ready <issuer>`. Environment:
//   RP    Sidegate's public URL; its redirect URIs are registered from it
//   PORT  the port; the kernel gives one where it is absent
//   CLIENT_ID, SECRET  the first client's name, and the secret of all
//   ALG      what the first client's ID tokens are signed with, RS256 unless given
//   CLAIMS   `userinfo`: e-mail, name and groups are said there and in no ID token
//   LIFETIME of access tokens in seconds, 60 unless given
//   REFRESH  `always`: a refresh token comes whether or not it was asked for
//   LOGOUT   `subject`: logout tokens name a person, and no session
//   STDIN    `watched`: this process ends when its standard input does
//
// The issuer is `http://localhost:PORT` while the gate is at 127.0.0.1: for a browser these are two
// sites, so that SameSite cookies meet what they meet in real life.
//
// GET /-/events answers what has happened so far, as a JSON list: how a story knows that nothing did.
// GET /-/calls answers what was asked, as a JSON list of {"call": "token", "grant_type": ...}.
// POST /-/groups {"user": "alice", "groups": ["dev"]} changes them from the next token on.
// POST /-/revoke {"user": "alice"} ends somebody's sessions and grants, and so all tokens.
// POST /-/gate {"port": 4180} says where the gate of RP listens on loopback, for logout tokens.
// GET /-/logouts answers the logout tokens that were sent, and what came back.

import { Provider, interactionPolicy } from 'oidc-provider';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, request } from 'node:http';
import { once } from 'node:events';

// Everybody who can sign in, and what the provider says about them. Any password will do.
const accounts = new Map([
  ['alice', { email: 'alice@example.test', name: 'Alice Ashford', groups: ['dev', 'ops'] }],
  ['bob', { email: 'bob@example.test', name: 'Bob Müller', groups: ['dev'] }],
  ['carol', { name: 'Carol', groups: [] }],
  ['mallory', { email: 'mallory@elsewhere.test', name: 'Mallory Marsh', groups: [] }],
]);

const rp = process.env.RP ?? 'http://127.0.0.1:4180';
const server = createServer();
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const issuer = `http://localhost:${port}`;

const lifetime = Number(process.env.LIFETIME ?? 60);

const jwk = (type, options) =>
  generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });

const client = (client_id, token_endpoint_auth_method, more = {}) => ({
  client_id,
  ...(token_endpoint_auth_method.startsWith('client_secret')
    ? { client_secret: process.env.SECRET ?? 's3cret-for-tests-only-0123456789' }
    : {}),
  redirect_uris: [`${rp}/oauth2/callback`],
  post_logout_redirect_uris: [`${rp}/oauth2/sign_out`],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method,
  backchannel_logout_uri: `${rp}/oauth2/backchannel_logout`,
  backchannel_logout_session_required: process.env.LOGOUT !== 'subject',
  ...more,
});

// Logout tokens go to the gate by its own name, wherever it listens.
let gate;
const logouts = [];
async function toTheGate(url, { method, headers, body }) {
  const { host, pathname } = new URL(url);
  const asked = request({ host: '127.0.0.1', port: gate, path: pathname, method });
  for (const [name, value] of [...new Headers(headers), ['host', host]]) asked.setHeader(name, value);
  asked.end(String(body));
  const [answer] = await once(asked, 'response');
  answer.resume();
  const { statusCode: status } = answer;
  logouts.push({ token: new URLSearchParams(String(body)).get('logout_token'), status });
  return new Response(null, { status: status === 200 ? 204 : status }); // an answer without a body
}

const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);
// Who asks for a second factor gets it, or the person is asked (`acr_values` alone is but a wish).
policy.get('login').checks.add(
  new interactionPolicy.Check('acr_wanted', 'another authentication context is wanted', ({ oidc }) => {
    const wanted = oidc.params.acr_values?.split(' ');
    return Boolean(wanted) && !wanted.includes(oidc.session.acr);
  }),
);

const provider = new Provider(issuer, {
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  jwks: {
    keys: [
      { ...jwk('rsa', { modulusLength: 2048 }), kid: 'r1', use: 'sig', alg: 'RS256' },
      { ...jwk('ec', { namedCurve: 'P-256' }), kid: 'e1', use: 'sig', alg: 'ES256' },
      { ...jwk('rsa', { modulusLength: 2048 }), kid: 'p1', use: 'sig', alg: 'PS256' },
      { ...jwk('ed25519'), kid: 'd1', use: 'sig' }, // `EdDSA` or, by RFC 9864, `Ed25519`
    ],
  },
  clients: [
    client(process.env.CLIENT_ID ?? 'sidegate', 'client_secret_basic', {
      id_token_signed_response_alg: process.env.ALG ?? 'RS256',
    }),
    client('sidegate-post', 'client_secret_post', { id_token_signed_response_alg: 'ES256' }),
    client('sidegate-public', 'none'),
  ],
  acrValues: ['pwd', 'mfa'],
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  conformIdTokenClaims: process.env.CLAIMS === 'userinfo',
  findAccount: async (_, id) =>
    accounts.has(id)
      ? {
          accountId: id,
          claims: async () => ({
            sub: id,
            preferred_username: id,
            email_verified: true,
            ...accounts.get(id),
          }),
        }
      : undefined,
  pkce: { required: () => true },
  fetch: (url, options) =>
    new URL(url).origin === new URL(rp).origin && gate ? toTheGate(url, options) : fetch(url, options),
  rotateRefreshToken: true,
  issueRefreshToken: async (_, asking, code) =>
    asking.grantTypeAllowed('refresh_token') &&
    (process.env.REFRESH === 'always' || code.scopes.has('offline_access')),
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  // The client is the organisation's own: nobody is asked for consent, as at most companies.
  loadExistingGrant: async (ctx) => {
    const { client: asking, session, params } = ctx.oidc;
    const known = session.grantIdFor(asking.clientId);
    const grant = known
      ? await provider.Grant.find(known)
      : new provider.Grant({ clientId: asking.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page(
          'Sign out of the provider?',
          `${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`,
        );
      },
    },
  },
  ttl: {
    AccessToken: lifetime,
    IdToken: 600, // not the access token's: a story moves the gate's clock beyond that one's end
    RefreshToken: 600,
    Session: 3600,
    Grant: 3600,
    Interaction: 600,
  },
});

const events = [];
const calls = [];
const note = (event, more) => events.push({ event, ...more });
for (const outcome of ['grant.success', 'grant.error']) {
  provider.on(outcome, ({ oidc }) => {
    calls.push({ call: 'token', grant_type: oidc.params?.grant_type ?? null });
  });
}
provider.on('grant.success', (ctx) => note('grant', { type: ctx.oidc.params.grant_type }));
provider.on('grant.error', (ctx, error) => note('grant_error', { error: error.error }));
provider.on('end_session.success', () => note('session_ended'));
provider.on('server_error', (_, error) => note('server_error', { message: String(error) }));

// Whom a session or a grant belongs to: the library finds them by their own names alone.
const sessions = new Map();
const grants = new Map();
provider.on('authorization.success', ({ oidc }) => {
  sessions.set(oidc.session.uid, oidc.session.accountId);
  grants.set(oidc.entities.Grant.jti, oidc.session.accountId);
});

async function revoke(user) {
  for (const [name, of] of grants) {
    if (of === user) await provider.Grant.find(name).then((grant) => grant?.destroy());
  }
  for (const [uid, of] of sessions) {
    if (of === user) await provider.Session.findByUid(uid).then((session) => session?.destroy());
  }
}

async function control(pathname, req) {
  const told = req.method === 'POST' ? JSON.parse(await textOf(req)) : {};
  switch (pathname) {
    case '/-/events':
      return events;
    case '/-/calls':
      return calls;
    case '/-/logouts':
      return logouts;
    case '/-/gate':
      gate = told.port;
      return null;
    case '/-/groups':
      accounts.get(told.user).groups = told.groups;
      return null;
    case '/-/revoke':
      return (await revoke(told.user)) ?? null;
    default:
      throw new Error(`nothing at ${pathname}`);
  }
}

const page = (title, body) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}`;

const loginPage = (prompt, wantsCode) =>
  page(
    prompt === 'select_account' ? 'Which account?' : 'Sign in',
    `<form method="post"><label>User <input name="login" autofocus></label>
     <label>Password <input name="password" type="password"></label>
     ${wantsCode ? '<label>Code <input name="code"></label>' : ''}<button>Sign in</button></form>`,
  );

const textOf = async (req) => {
  let body = '';
  for await (const chunk of req) body += chunk;
  return body;
};

async function interaction(req, res) {
  const { prompt, params } = await provider.interactionDetails(req, res);
  const wantsCode = params.acr_values?.split(' ').includes('mfa');
  res.setHeader('content-type', 'text/html; charset=utf-8');
  if (req.method === 'GET') return res.end(loginPage(prompt.name, wantsCode));
  const form = new URLSearchParams(await textOf(req));
  const accountId = form.get('login');
  if (!accounts.has(accountId)) return res.writeHead(403).end(loginPage(prompt.name));
  note('login', { accountId });
  return provider.interactionFinished(
    req,
    res,
    { login: { accountId, acr: form.get('code') ? 'mfa' : 'pwd' }, ...(prompt.name === 'select_account' ? { select_account: {} } : {}) },
    { mergeWithLastSubmission: false },
  );
}

const protocol = provider.callback();
server.on('request', (req, res) => {
  const { pathname, searchParams } = new URL(req.url, issuer);
  if (pathname.startsWith('/-/')) {
    return control(pathname, req).then(
      (said) => {
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify(said));
      },
      (error) => res.writeHead(400, { 'content-type': 'text/plain' }).end(String(error)),
    );
  }
  if (pathname === '/auth') {
    note('authorization', {
      state: searchParams.get('state'),
      prompt: searchParams.get('prompt'),
      redirect_uri: searchParams.get('redirect_uri'),
    });
  }
  if (pathname === '/token') note('token_request');
  if (pathname.startsWith('/interaction/')) {
    return interaction(req, res).catch((error) => {
      if (!res.headersSent) res.writeHead(400, { 'content-type': 'text/plain' });
      res.end(`${error.name}: ${error.message}`);
    });
  }
  if (pathname !== '/token') calls.push({ call: pathname.slice(1), grant_type: null });
  return protocol(req, res);
});

console.log(`ready ${issuer}`);
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
if (process.env.STDIN === 'watched') process.stdin.resume().on('end', () => process.exit(0));
