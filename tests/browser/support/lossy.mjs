// Something before the gate that loses cookies: a privacy tool, a proxy that is too tidy, a browser
// that keeps none of this site's.

import http from 'node:http';
import { once } from 'node:events';

// Passes everything on to `target()`, except the `Set-Cookie` lines whose cookie's name `loses` says
// are lost. Gives the address to open; `target` may be known later than that.
export async function startLossyProxy({ target, loses }) {
  const server = http.createServer((request, response) => {
    const { hostname, port } = new URL(target());
    const onward = http.request(
      { host: hostname, port, path: request.url, method: request.method, headers: request.headers },
      (answer) => {
        const lines = (answer.headers['set-cookie'] ?? []).filter((line) => !loses(line.split('=')[0]));
        const headers = { ...answer.headers };
        delete headers['set-cookie'];
        if (lines.length > 0) headers['set-cookie'] = lines;
        response.writeHead(answer.statusCode, headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
