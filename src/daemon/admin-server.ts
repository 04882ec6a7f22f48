/**
 * What is asked of the daemon, over a unix socket in its private state directory: for root and the
 * owner only.
 */
import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { Server } from 'node:http';

/** `status` asks once; anything longer than this is stuck. */
const TIMEOUT_MS = 3_000;
/** A status of a thousand workers is some 300 KB. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

export type AdminCall =
  /** How it is. */
  | 'GET /status'
  /** As above; what waits to be saved is tried at once. */
  | 'POST /save'
  /** At the end nothing is saved any more: what is not in the journal then is lost. */
  | 'POST /forsake';

export async function startAdminServer(
  path: string,
  answers: Readonly<Record<AdminCall, () => object>>,
): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((incoming, response) => {
    const call = `${incoming.method} ${incoming.url}`;
    const isKnown = Object.hasOwn(answers, call);
    const answer = isKnown
      ? answers[call as AdminCall]()
      : { message: `Only ${Object.keys(answers).join(', ')} are here` };
    response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
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
export async function askAdminServer(
  socketPath: string,
  asked: AdminCall,
): Promise<object | undefined> {
  const [method, path] = asked.split(' ');
  return await new Promise((resolve) => {
    const call = request(
      {
        socketPath,
        method,
        path,
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
