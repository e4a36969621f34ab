// Programs started for a story: their lines, their end, and the ports that they get.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

// How long a program may take until it says that it is ready. A bound, never a wait.
const START_LIMIT_MS = 60_000;

// Whatever ends this process ends what it started.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

// A running program. `lines` holds everything that it printed, on either stream.
export class Program {
  constructor(command, args, environment = {}) {
    this.name = command.split('/').at(-1);
    this.lines = [];
    this.waiting = new Set();
    this.child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(String(error)));
      this.child.once('exit', (code, signal) => resolve(`exit ${code ?? signal}`));
    });
    running.add(this.child);
    this.ended.then((how) => {
      running.delete(this.child);
      this.how = how;
      this.#wake();
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
  }

  #wake() {
    for (const look of [...this.waiting]) look();
  }

  // The first match of `pattern` in the output; fails when the program ends or says nothing in time.
  async says(pattern) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = this.lines.map((line) => pattern.exec(line)).find(Boolean);
        if (match) done(() => resolve(match));
        else if (this.how) done(() => reject(this.#failure(`ended (${this.how})`)));
      };
      const done = (settle) => {
        this.waiting.delete(look);
        clearTimeout(limit);
        settle();
      };
      const limit = setTimeout(
        () => done(() => reject(this.#failure(`did not say ${pattern}`))),
        START_LIMIT_MS,
      );
      this.waiting.add(look);
      look();
    });
  }

  // Settles with the next line or the end, or after `milliseconds`, whichever is first.
  async stirs(milliseconds) {
    if (this.how) return;
    await new Promise((resolve) => {
      const look = () => {
        this.waiting.delete(look);
        clearTimeout(pace);
        resolve();
      };
      const pace = setTimeout(look, milliseconds);
      this.waiting.add(look);
    });
  }

  #failure(what) {
    return new Error(`${this.name} ${what}; its last lines:\n${this.lines.slice(-20).join('\n')}`);
  }

  // Asks it to end and waits until it has.
  async stop(signal = 'SIGTERM') {
    if (this.how) return;
    this.child.kill(signal);
    const limit = setTimeout(() => this.child.kill('SIGKILL'), START_LIMIT_MS);
    await this.ended;
    clearTimeout(limit);
  }
}

// Runs a program to its end and gives its output; fails when it fails.
export async function run(command, args) {
  const program = new Program(command, args);
  const how = await program.ended;
  if (how !== 'exit 0') {
    throw new Error(`${command} ${args.join(' ')}: ${how}\n${program.lines.join('\n')}`);
  }
  return program.lines;
}

// Ports that nobody listened on a moment ago. All are held until all are
// chosen, so that they differ. Needed only where an address must be known before its server starts.
export async function freePorts(count) {
  const held = [];
  while (held.length < count) {
    // Below the ports that the kernel gives to whoever connects: nobody else takes one meanwhile.
    const port = 20000 + Math.floor(Math.random() * 12000);
    const server = createServer();
    const bound = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (bound) held.push(server);
  }
  const ports = held.map((server) => server.address().port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
