/** A static server over a folder on loopback, gzipping text as hosts do; it counts what every request sends. */
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
  '.svg': 'image/svg+xml',
};
/** Beyond this size a file is streamed as it is. */
const largest = 2 ** 22;

export interface Served {
  readonly url: string;
  /** Bytes sent by path since the last call. */
  taken(): Map<string, number>;
  close(): Promise<void>;
}

export async function serve(folder: string): Promise<Served> {
  let sent = new Map<string, number>();
  const cache = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://x');
    const path = join(folder, normalize(decodeURIComponent(pathname)).replace(/\/$/, '/index.html'));
    const file = existsSync(path) && statSync(path).isFile() ? path : existsSync(`${path}.html`) ? `${path}.html` : undefined;
    if (!file || !path.startsWith(folder)) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(file)] ?? 'application/octet-stream';
    const { size } = statSync(file);
    if (size > largest) {
      sent.set(pathname, size);
      response.writeHead(200, { 'content-type': type, 'content-length': size });
      createReadStream(file).pipe(response);
      return;
    }
    const body = cache.get(file) ?? gzipSync(readFileSync(file), { level: 9 });
    cache.set(file, body);
    sent.set(pathname, body.length);
    response.writeHead(200, { 'content-type': type, 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    taken() {
      const all = sent;
      sent = new Map();
      return all;
    },
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
