// What a story is given: an independent provider, a real app, and the gate between them, each a
// process of its own with addresses of its own.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exchange } from './http.mjs';
import { Program, freePorts, run } from './process.mjs';
import { yaml } from './settings.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const BINARY = process.env.SIDEGATE_BIN ?? join(HERE, '../../../target/debug/sidegate');
const CLIENT_SECRET = 's3cret-for-tests-only-0123456789';
// Readiness is asked for whenever the gate prints a line, and every few milliseconds between.
const READY_ATTEMPTS = 1500;
const READY_PACE_MS = 20;

// The gate is told what it needs to know by its file alone.
const environment = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => name.startsWith('SIDEGATE_'))
    .map((name) => [name, undefined]),
);

// Builds a world. `settings` is laid over the gate's settings, key by key, at the top level;
// `publicUrl` names another address for browsers than the gate's own (something stands before it);
// `host` is a name for the gate other than its address; `app` makes another app than Prometheus;
// `provider: 'later'` leaves the provider down until `world.provider.start()`.
export async function world({
  settings = {},
  publicUrl,
  host = '127.0.0.1',
  app: makeApp = (at) => new PrometheusFixture(at),
  provider: when = 'now',
} = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-story-'));
  const [gatePort, probesPort, providerPort] = await freePorts(3);
  const gateUrl = `http://127.0.0.1:${gatePort}`;
  const url = publicUrl ?? `http://${host}:${gatePort}`;
  const provider = new ProviderFixture({ port: providerPort, rp: url });
  const app = makeApp({ folder, externalUrl: url });
  const gate = new GateFixture({ folder, url: gateUrl, probesPort });
  const close = async () => {
    await Promise.all([gate.stop(), provider.stop(), app.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (when === 'now') await provider.start();
    await app.start();
    await gate.start({
      public_url: url,
      listen: [{ address: `127.0.0.1:${gatePort}` }],
      probes: { address: `127.0.0.1:${probesPort}` },
      providers: [
        {
          issuer: provider.issuer,
          client_id: 'sidegate',
          client_secret: { file: await secretFile(folder, 'client-secret', CLIENT_SECRET) },
          scopes: ['openid', 'profile', 'email', 'groups'],
          admit: { emails: ['@example.test'] },
        },
      ],
      session: { keys: [{ file: join(folder, 'session-key') }] },
      upstreams: { app: app.url },
      ...settings,
    });
  } catch (error) {
    await close();
    throw error;
  }
  return { gate, provider, app, url, close };
}

async function secretFile(folder, name, text) {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  await chmod(file, 0o600);
  return file;
}

// `oidc-provider`, whose address is known before it runs.
class ProviderFixture {
  constructor({ port, rp }) {
    this.issuer = `http://localhost:${port}`;
    this.origin = `http://127.0.0.1:${port}`;
    this.environment = { PORT: String(port), RP: rp };
  }

  async start() {
    this.program = new Program(process.execPath, [join(HERE, '../op.mjs')], this.environment);
    await this.program.says(/^ready /);
  }

  async stop() {
    await this.program?.stop();
  }

  // What has happened at the provider so far, the events of one kind only where `kind` is given.
  async events(kind) {
    const answer = await exchange({ origin: this.origin, target: '/-/events' });
    const events = JSON.parse(answer.text);
    return kind ? events.filter(({ event }) => event === kind) : events;
  }
}

// Prometheus, which has no login of its own, with nothing to scrape.
class PrometheusFixture {
  constructor({ folder, externalUrl }) {
    this.folder = folder;
    this.externalUrl = externalUrl;
  }

  // At an address of the kernel's choice, or again at the one it had.
  async start(address = '127.0.0.1:0') {
    const config = join(this.folder, 'prometheus.yml');
    await writeFile(config, '');
    this.program = new Program('prometheus', [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(this.folder, 'prometheus')}`,
      `--web.listen-address=${address}`,
      `--web.external-url=${this.externalUrl}`,
    ]);
    const [, listening] = await this.program.says(/msg="Listening on" address=(\S+)/);
    await this.program.says(/Server is ready to receive web requests/);
    this.url = `http://${listening}`;
  }

  async stop() {
    await this.program?.stop();
  }

  // How many requests have reached the app, by its own count; asking for the count is not counted.
  async requests() {
    const { text } = await exchange({ origin: this.url, target: '/metrics' });
    return text
      .split('\n')
      .filter((line) => line.startsWith('prometheus_http_requests_total{'))
      .filter((line) => !line.includes('handler="/metrics"'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }
}

// Sidegate, the binary that people run.
class GateFixture {
  constructor({ folder, url, probesPort }) {
    this.folder = folder;
    this.url = url;
    this.probes = `http://127.0.0.1:${probesPort}`;
  }

  async start(settings) {
    const file = join(this.folder, 'sidegate.yaml');
    await writeFile(file, yaml(settings));
    await run(BINARY, ['keygen', '--out', join(this.folder, 'session-key')]);
    this.program = new Program(BINARY, ['run', '--config', file], environment);
    await this.#ready();
  }

  async #ready() {
    for (let attempt = 0; attempt < READY_ATTEMPTS; attempt += 1) {
      const status = await exchange({ origin: this.probes, target: '/readyz' }).then(
        (answer) => answer.status,
        () => undefined,
      );
      if (status === 200) return;
      if (this.program.how) break;
      await this.program.stirs(READY_PACE_MS);
    }
    const how = this.program.how ?? 'still running';
    throw new Error(`the gate did not become ready (${how}):\n${this.program.lines.join('\n')}`);
  }

  // At once: open connections of a browser are no reason to drain here.
  async stop() {
    await this.program?.stop('SIGKILL');
  }
}
