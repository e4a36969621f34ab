// A web site that is neither the gate's nor the provider's: where attackers keep their pages.

import { createServer } from 'node:http';
import { once } from 'node:events';

// Serves `pages`, HTML by path, from a site of its own (`*.localhost` is loopback to every browser).
export async function startSite(pages) {
  const server = createServer((request, response) => {
    const body = pages[new URL(request.url, 'http://site').pathname];
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><meta charset="utf-8"><title>a nice site</title>${body ?? ''}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://nice.localhost:${server.address().port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
