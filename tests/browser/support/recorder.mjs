// An app that does what it is told and remembers it: the worst that a forged request could meet.

import { createServer } from 'node:http';
import { once } from 'node:events';

export class Recorder {
  // Everything that changes something, as `METHOD PATH BODY`, and each `WEBSOCKET PATH`.
  changes = [];
  // What it answers to everybody instead, where there is something: `{ status, headers }`.
  refuses;

  // `pages` is HTML by path.
  constructor(pages = {}) {
    this.pages = pages;
  }

  async start() {
    this.server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const { pathname } = new URL(request.url, 'http://app');
      if (request.method !== 'GET') {
        this.changes.push(`${request.method} ${pathname} ${Buffer.concat(chunks)}`);
      }
      if (this.refuses) {
        response.writeHead(this.refuses.status, this.refuses.headers);
        return response.end('<!doctype html><title>an app</title><h1>Refused</h1>');
      }
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(`<!doctype html><title>an app</title>${this.pages[pathname] ?? '<h1>Done</h1>'}`);
    });
    this.server.on('upgrade', (request, socket) => {
      this.changes.push(`WEBSOCKET ${request.url}`);
      socket.destroy();
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
