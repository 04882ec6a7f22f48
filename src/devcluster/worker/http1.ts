/**
 * The little of HTTP/1.1 that the ports of a worker need, written on bare sockets, because what is
 * reproduced here is mostly what a proper HTTP server would never do: no answer at all, an answer
 * without a head, a close that no header announces, header names in odd case.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { FaultAction, Faults } from './faults.ts';

/** Longer heads are refused; the real worker's codec stops at 4 KiB a line and 8 KiB of headers. */
const HEAD_BYTES_MAX = 16 * 1024;
/** Nobody keeps a connection idle that long in a test; it bounds what a lost client leaves here. */
const IDLE_MS = 10 * 60_000;

export interface Request {
  readonly method: string;
  /** As sent, one char a byte. */
  readonly target: string;
  readonly version: string;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body as it arrives; ends early when the client goes away. */
  readonly body: AsyncIterable<Buffer>;
  /** Body bytes announced by Content-Length; undefined without one. */
  readonly contentLength: number | undefined;
  /** A fault: a copy fails after so many bytes. */
  copyBytesMax?: number;
  /** Sends `100 Continue` when the client waits for it. */
  continueBody(): void;
}

export interface Response {
  /** `200 OK`. Undefined: the body is sent without status line and headers. */
  readonly status?: string;
  /** `HTTP/1.1` when left out. */
  readonly version?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: Buffer | AsyncIterable<Buffer>;
  readonly after: 'keep' | 'close';
}

/** No response at all: `close` closes at once, `silence` leaves the connection open for ever. */
export type Answer = Response | 'close' | 'silence';

/** One per connection, so that a handler may remember what the connection has seen. */
export type Handler = (request: Request) => Promise<Answer>;

export interface ServerOptions {
  readonly port: 'http' | 's3';
  readonly faults: Faults;
  readonly handlerOf: () => Handler;
  readonly onRequest: (request: Request) => void;
}

export function createHttp1Server(options: ServerOptions): Server {
  return createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    void serve(socket, options).then(
      () => undefined,
      // A handler that throws is what an uncaught exception is in the real worker: a close.
      () => socket.destroy(),
    );
  });
}

async function serve(socket: Socket, options: ServerOptions): Promise<void> {
  const reader = new SocketReader(socket);
  const handler = options.handlerOf();
  for (;;) {
    const head = await reader.head();
    if (head === undefined) {
      socket.end();
      return;
    }
    let cutBodyAt = Infinity;
    const body = cutAt(reader.body(head), () => cutBodyAt);
    const request: Request = {
      ...head,
      contentLength: contentLengthOf(head.headers),
      body,
      continueBody: () => {
        if (head.headers.get('expect')?.toLowerCase() === '100-continue') {
          socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        }
      },
    };
    options.onRequest(request);
    const fault = options.faults.next({
      port: options.port,
      method: head.method,
      target: head.target,
      headers: head.headers,
    });
    if (fault?.kind === 'delay') await pause(fault.ms, socket);
    if (fault?.kind === 'hang') return await closed(socket);
    if (fault?.kind === 'refuse') {
      await send(socket, statusAnswer(fault.status));
      socket.end();
      return;
    }
    if (fault?.kind === 'cut-request') cutBodyAt = fault.afterBytes;
    if (fault?.kind === 'cut-copy') request.copyBytesMax = fault.afterBytes;
    let answer = await handler(request);
    if (fault?.kind === 'cut-request') {
      socket.destroy();
      return;
    }
    if (fault?.kind === 'status') answer = statusAnswer(fault.status);
    if (answer === 'silence') return await closed(socket);
    if (answer === 'close') {
      socket.end();
      return;
    }
    await send(socket, answer, fault);
    if (answer.after === 'close') {
      socket.end();
      return;
    }
    await reader.drain(body);
  }
}

/** The body as if the client had gone away after so many bytes. */
async function* cutAt(
  body: AsyncIterable<Buffer>,
  limit: () => number,
): AsyncGenerator<Buffer, void, undefined> {
  let seen = 0;
  for await (const chunk of body) {
    const left = limit() - seen;
    if (chunk.length >= left) {
      if (left > 0) yield chunk.subarray(0, left);
      return;
    }
    seen += chunk.length;
    yield chunk;
  }
}

function statusAnswer(status: number): Response {
  const body = Buffer.from('injected');
  return {
    status: `${status} Injected`,
    headers: [
      ['content-type', 'text/plain'],
      ['content-length', String(body.length)],
    ],
    body,
    after: 'close',
  };
}

async function send(socket: Socket, answer: Response, fault?: FaultAction): Promise<void> {
  let left = fault?.kind === 'cut' ? fault.afterBytes : Infinity;
  const write = async (chunk: Buffer): Promise<boolean> => {
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= part.length;
    const flowing = socket.write(part);
    if (left <= 0) {
      // Everything before the cut is flushed, then the connection ends without what is missing.
      socket.end();
      return false;
    }
    if (!flowing && !socket.destroyed) await drained(socket);
    return !socket.destroyed;
  };
  socket.cork();
  let corked = true;
  const uncork = (): void => {
    if (corked) socket.uncork();
    corked = false;
  };
  try {
    if (answer.status !== undefined) {
      const head = Buffer.from(headText(answer, fault), 'latin1');
      left -= head.length;
      socket.write(left < 0 ? head.subarray(0, head.length + left) : head);
      if (left <= 0 && fault?.kind === 'cut') {
        uncork();
        socket.end();
        return;
      }
    }
    if (answer.body instanceof Uint8Array) {
      process.nextTick(uncork);
      await write(answer.body);
    } else if (answer.body !== undefined) {
      for await (const chunk of answer.body) {
        process.nextTick(uncork);
        if (!(await write(chunk))) return;
      }
    }
  } finally {
    uncork();
  }
}

function headText(answer: Response, fault: FaultAction | undefined): string {
  let text = `${answer.version ?? 'HTTP/1.1'} ${answer.status}\r\n`;
  for (const [name, value] of answer.headers ?? []) {
    text += `${name}: ${told(name.toLowerCase(), value, fault)}\r\n`;
  }
  return `${text}\r\n`;
}

function told(name: string, value: string, fault: FaultAction | undefined): string {
  if (fault?.kind === 'etag' && name === 'etag') return fault.value;
  if (fault?.kind !== 'content-length' || name !== 'content-length') return value;
  return String(Number(value) + fault.deltaBytes);
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
    // Read on, or the end of the client would never be noticed.
    socket.resume();
  });
}

function pause(ms: number, socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      socket.off('close', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    socket.once('close', end);
  });
}

interface Head {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: ReadonlyMap<string, string>;
}

function contentLengthOf(headers: ReadonlyMap<string, string>): number | undefined {
  const text = headers.get('content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Pulls heads and bodies out of a socket; the socket is paused while nobody pulls. */
class SocketReader {
  readonly #socket: Socket;
  #buffered: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('end', () => {
      this.#ended = true;
    });
    socket.on('close', () => {
      this.#ended = true;
    });
  }

  async head(): Promise<Head | undefined> {
    const text = await this.#until('\r\n\r\n');
    return text === undefined ? undefined : parseHead(text);
  }

  /** What comes before the mark, which is read, too; undefined where it does not come. */
  async #until(mark: string): Promise<string | undefined> {
    let searched = 0;
    for (;;) {
      const end = this.#buffered.indexOf(mark, searched);
      if (end >= 0) {
        const text = this.#buffered.toString('latin1', 0, end);
        this.#buffered = this.#buffered.subarray(end + mark.length);
        return text;
      }
      if (this.#buffered.length > HEAD_BYTES_MAX) return undefined;
      searched = Math.max(0, this.#buffered.length - mark.length + 1);
      const more = await this.#more();
      if (more === undefined) return undefined;
      this.#buffered = this.#buffered.length === 0 ? more : Buffer.concat([this.#buffered, more]);
    }
  }

  async *body(head: Head): AsyncGenerator<Buffer, void, undefined> {
    if (head.headers.get('transfer-encoding')?.toLowerCase() !== 'chunked') {
      yield* this.#bytes(contentLengthOf(head.headers) ?? 0);
      return;
    }
    for (;;) {
      const size = await this.#until('\r\n');
      const length = /^[\da-f]{1,8}/i.exec(size ?? '')?.[0];
      if (length === undefined) {
        this.#socket.destroy();
        return;
      }
      if (Number.parseInt(length, 16) === 0) break;
      yield* this.#bytes(Number.parseInt(length, 16));
      await this.#until('\r\n');
    }
    // Trailers, and the empty line after them.
    while (!['', undefined].includes(await this.#until('\r\n')));
  }

  async *#bytes(length: number): AsyncGenerator<Buffer, void, undefined> {
    let left = length;
    while (left > 0) {
      const chunk = this.#buffered.length > 0 ? this.#buffered : await this.#more();
      if (chunk === undefined) return;
      const part = chunk.subarray(0, left);
      this.#buffered = chunk.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  /** Reads what a handler left of a body, so that the next head begins where it should. */
  async drain(body: AsyncIterable<Buffer>): Promise<void> {
    for await (const part of body) void part;
  }

  #more(): Promise<Buffer | undefined> {
    const socket = this.#socket;
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const finish = (chunk: Buffer | undefined): void => {
        socket.pause();
        socket.off('data', finish);
        socket.off('end', none);
        socket.off('close', none);
        resolve(chunk);
      };
      const none = (): void => finish(undefined);
      socket.on('data', finish);
      socket.on('end', none);
      socket.on('close', none);
      socket.resume();
    });
  }
}

/** A request line that makes no sense becomes the target `/bad-request`, as in the real worker. */
function parseHead(text: string): Head {
  const lines = text.split('\r\n');
  const parts = (lines[0] ?? '').split(' ');
  const [method = '', target = '', version = ''] = parts;
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  if (parts.length !== 3 || !/^HTTP\/1\.[01]$/.test(version)) {
    return { method: 'GET', target: '/bad-request', version: 'HTTP/1.0', headers };
  }
  return { method, target, version, headers };
}
