// A server that reads each request whole and notes that it saw it.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [port, seen] = process.argv.slice(2);
createServer((request, response) => {
  appendFileSync(seen, `${request.method} ${request.url}\n`);
  request.resume();
  request.on('end', () => response.end('ok'));
}).listen(Number(port), '127.0.0.1');
