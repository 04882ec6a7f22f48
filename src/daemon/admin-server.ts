/** The daemon's status over a unix socket in its private state directory: root or the owner only. */
import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { Server } from 'node:http';

/** `status` asks once; anything longer than this is stuck. */
const TIMEOUT_MS = 3_000;
/** A status of a thousand workers is some 300 KB. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

export async function startAdminServer(path: string, status: () => object): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((incoming, response) => {
    const isStatus = incoming.method === 'GET' && incoming.url === '/status';
    const body = isStatus ? JSON.stringify(status()) : '{"message":"Only GET /status is here"}';
    response.writeHead(isStatus ? 200 : 404, { 'content-type': 'application/json' });
    response.end(body);
  });
  server.maxConnections = 16;
  server.requestTimeout = TIMEOUT_MS;
  server.headersTimeout = TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // The admin socket alone must not keep the process.
  server.unref();
  return server;
}

/** What the daemon says of itself; undefined when it does not answer in time. */
export async function askAdminServer(path: string): Promise<object | undefined> {
  return await new Promise((resolve) => {
    const call = request(
      {
        socketPath: path,
        path: '/status',
        timeout: TIMEOUT_MS,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
          if (body.length > BODY_BYTES_MAX) call.destroy();
        });
        response.once('error', () => resolve(undefined));
        response.once('end', () => resolve(response.statusCode === 200 ? parsed(body) : undefined));
      },
    );
    call.once('error', () => resolve(undefined));
    call.once('timeout', () => call.destroy());
    call.end();
  });
}

function parsed(body: string): object | undefined {
  try {
    return JSON.parse(body) as object;
  } catch {
    return undefined;
  }
}
