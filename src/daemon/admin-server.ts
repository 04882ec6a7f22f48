/**
 * What is asked of the daemon, over a unix socket in its private state directory: for root and the
 * owner only.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

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

/** What takes longer: asked with a body, answered by lines of JSON until it is over. */
export const STREAM_CALL = 'POST /cache';
export type AdminStream = (
  body: unknown,
  /** Resolves when there is room for more. */
  emit: (line: object) => Promise<void>,
  /** Nobody listens any more. */
  signal: AbortSignal,
) => Promise<void>;

export async function startAdminServer(
  path: string,
  answers: Readonly<Record<AdminCall, () => object>>,
  stream: AdminStream,
): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((incoming, response) => {
    const call = `${incoming.method} ${incoming.url}`;
    if (call === STREAM_CALL) {
      void answerStream(incoming, response, stream);
      return;
    }
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

async function answerStream(
  incoming: IncomingMessage,
  response: ServerResponse,
  stream: AdminStream,
): Promise<void> {
  const ending = new AbortController();
  response.once('close', () => ending.abort());
  const emit = async (line: object): Promise<void> => {
    if (ending.signal.aborted || response.write(`${JSON.stringify(line)}\n`)) return;
    await once(response, 'drain', { signal: ending.signal }).catch(() => undefined);
  };
  try {
    let body = '';
    incoming.setEncoding('utf8');
    for await (const text of incoming) {
      body += text;
      if (body.length > BODY_BYTES_MAX) throw new Error('The request is too long');
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    await stream(JSON.parse(body), emit, ending.signal);
  } catch (error) {
    await emit({ kind: 'error', message: (error as Error).message });
  }
  response.end();
}

/** The lines of a call of the other kind. Rejects with the reason where it failed, or was cut off. */
export async function* streamFromAdminServer(
  socketPath: string,
  body: object,
  signal: AbortSignal,
): AsyncGenerator<{ readonly kind: string }> {
  const [method, path] = STREAM_CALL.split(' ');
  const call = request({ socketPath, method, path, signal });
  call.end(JSON.stringify(body));
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error('The mount is of another version');
  let rest = '';
  response.setEncoding('utf8');
  for await (const text of response) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const told = JSON.parse(line) as { kind: string; message?: string };
      if (told.kind === 'error') throw new Error(told.message);
      yield told;
    }
  }
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
