/**
 * One connection that fetches file content: its own small reading of HTTP, because content is where
 * the bytes are. The bytes of a body are received straight into their place; through a general client
 * each is copied twice more and costs two to three times the processor time (docs/decisions).
 *
 * It takes only the plainest of answers: a well-formed head and a Content-Length. Whatever else comes
 * is `NotPlain`, and the caller asks again through the general client, which judges it.
 *
 * INVARIANT: memory of a reader is in the hands of the socket only while the exchange is under way;
 * ending it early destroys the socket in the same turn.
 */
import { setMaxListeners } from 'node:events';
import { Socket } from 'node:net';
import { ClusterError, type CallContext } from '../types.ts';
import { ClosedWithoutAnswer, endOfCall, remaining } from './exchange.ts';
import type { ExchangeLimits, ExchangeRequest, ReadFlow, ResponseReader } from './exchange.ts';
import { parsePlainHead, type PlainHead } from './plain-head.ts';

/** An answer that only the general client should judge. */
export class NotPlain extends Error {}

/** Shared by all connections of the thread: bytes lie there within one read callback only. */
export const chunkBuffer = Buffer.allocUnsafeSlow(128 * 1024);
/** Heads of real answers are under 1 KiB; what of the body comes with the head has to be copied. */
const headBuffer = chunkBuffer.subarray(0, 16 * 1024);
/** Finds peers that vanished without a word. */
const keepAliveProbeMs = 60_000;
/** What a request line and a header may hold; undici says no to the rest. */
const plainText = /^[\x21-\x7e]+$/;

export interface ContentTarget {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Told when the connection ends while nothing is asked. */
  readonly onIdleEnd: () => void;
}

/** What a connection tells the exchange that is under way. */
export interface Receiver {
  /** Its own memory, `chunkBuffer` for a chunk of a body, or undefined while the head is awaited. */
  memory(): Uint8Array | undefined;
  onReceived(bytes: number): void;
  onChunk(chunk: Uint8Array): void;
  onConnect(): void;
  onStalled(): void;
  onEnded(error: Error | undefined): void;
}

export class ContentConnection {
  readonly #target: ContentTarget;
  readonly #socket: Socket;
  #receiver: Receiver | undefined;
  /** Where the next bytes go that are not taken as a chunk. */
  #memory: Uint8Array | undefined;
  #error: Error | undefined;
  #isConnected = false;
  /** Whether it served a request before: then it may just have been idle too long. */
  reused = false;
  /** As a request names the host. */
  readonly address: string;

  constructor(target: ContentTarget) {
    this.#target = target;
    const { host, port } = target;
    this.address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const onread = {
      buffer: (): Uint8Array => this.#nextBuffer(),
      callback: (bytes: number, buffer: Uint8Array): boolean => this.#onBytes(bytes, buffer),
    };
    // `onread` belongs to the constructor too (Node documents it so); the types have it on connect.
    this.#socket = new Socket({ onread } as ConstructorParameters<typeof Socket>[0]);
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, keepAliveProbeMs);
    this.#socket.on('connect', () => {
      this.#isConnected = true;
      this.#receiver?.onConnect();
    });
    this.#socket.on('timeout', () => {
      if (this.#receiver === undefined) this.destroy();
      else this.#receiver.onStalled();
    });
    this.#socket.on('error', (error) => (this.#error = error));
    this.#socket.on('end', () => this.#onEnded());
    this.#socket.on('close', () => this.#onEnded());
  }

  get isUsable(): boolean {
    return !this.#socket.destroyed;
  }

  get flow(): ReadFlow {
    return { pause: () => this.#socket.pause(), resume: () => this.#socket.resume() };
  }

  /** From here on the receiver is told everything; `onConnect` at once where there is a connection. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver;
    if (this.#isConnected) receiver.onConnect();
    else {
      const { host, port, connectTimeoutMs } = this.#target;
      this.timeOutAfter(connectTimeoutMs);
      this.#socket.connect({ host, port });
    }
  }

  detach(): void {
    this.#receiver = undefined;
    this.#memory = undefined;
    if (this.isUsable) this.timeOutAfter(this.#target.idleTimeoutMs);
  }

  write(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** How long the connection may be still from now on. */
  timeOutAfter(ms: number): void {
    this.#socket.setTimeout(ms);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #nextBuffer(): Uint8Array {
    // Node asks already while the socket is being made.
    if (this.#receiver === undefined) return headBuffer;
    const memory = this.#receiver.memory();
    this.#memory = memory === chunkBuffer ? undefined : memory;
    return memory ?? headBuffer;
  }

  #onBytes(bytes: number, buffer: Uint8Array): boolean {
    // Bytes that nobody asked for: this connection is out of step.
    if (this.#receiver === undefined) this.destroy();
    else if (buffer === this.#memory) this.#receiver.onReceived(bytes);
    else this.#receiver.onChunk(buffer.subarray(0, bytes));
    return true;
  }

  #onEnded(): void {
    this.destroy();
    if (this.#receiver === undefined) this.#target.onIdleEnd();
    else this.#receiver.onEnded(this.#error);
  }
}

/** The other end has closed the connection, in whatever words. */
export function isClosing(error: Error | undefined): boolean {
  const code = error !== undefined && 'code' in error ? error.code : undefined;
  return error === undefined || code === 'ECONNRESET' || code === 'EPIPE';
}

export function runContentExchange<T>(
  connection: ContentConnection,
  request: ExchangeRequest,
  reader: ResponseReader<T>,
  context: CallContext,
  limits: ExchangeLimits,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    new ContentExchange(connection, request, reader, context, limits, resolve, reject).start();
  });
}

class ContentExchange<T> implements Receiver {
  readonly #connection: ContentConnection;
  readonly #request: ExchangeRequest;
  readonly #reader: ResponseReader<T>;
  readonly #context: CallContext;
  readonly #limits: ExchangeLimits;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #giveUp = (): void => this.#fail(endOfCall(this.#context, this.#request));
  #timer: NodeJS.Timeout | undefined;
  #isConnected = false;
  #headText = '';
  #head: PlainHead | undefined;
  /** Bytes of the body that are still to come. */
  #left = 0;

  constructor(
    connection: ContentConnection,
    request: ExchangeRequest,
    reader: ResponseReader<T>,
    context: CallContext,
    limits: ExchangeLimits,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#connection = connection;
    this.#request = request;
    this.#reader = reader;
    this.#context = context;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal } = this.#context;
    const remainingMs = remaining(this.#context);
    if (signal.aborted || remainingMs <= 0) {
      this.#giveUp();
      return;
    }
    if (!plainText.test(this.#request.target)) {
      this.#fail(new NotPlain('The target needs the checks of the general client'));
      return;
    }
    this.#timer = setTimeout(this.#giveUp, remainingMs);
    // One signal may bound many calls at once; that is no leak.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', this.#giveUp, { once: true });
    this.#connection.attach(this);
  }

  onConnect(): void {
    this.#isConnected = true;
    const { method, target, headers = {}, closeAfter } = this.#request;
    const lines = [`${method} ${target} HTTP/1.1`, `host: ${this.#connection.address}`];
    lines.push(`connection: ${closeAfter ? 'close' : 'keep-alive'}`);
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    this.#connection.timeOutAfter(this.#limits.headersTimeoutMs);
    this.#connection.write(`${lines.join('\r\n')}\r\n\r\n`);
  }

  memory(): Uint8Array | undefined {
    if (this.#head === undefined) return undefined;
    const memory = this.#reader.memory?.();
    if (memory === undefined) return chunkBuffer;
    return memory.length > this.#left ? memory.subarray(0, this.#left) : memory;
  }

  onReceived(bytes: number): void {
    this.#guarded(() => {
      this.#left -= bytes;
      this.#reader.received?.(bytes);
      this.#finishIfWhole();
    });
  }

  onChunk(chunk: Uint8Array): void {
    this.#guarded(() => {
      if (this.#head !== undefined) this.#body(chunk);
      else {
        const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
        const before = this.#headText.length;
        this.#headText += text;
        const end = this.#headText.indexOf('\r\n\r\n');
        if (end >= 0) this.#onHead(end, chunk.subarray(end + 4 - before));
        else if (this.#headText.length > headBuffer.length) throw new NotPlain('A long head');
      }
    });
  }

  #onHead(end: number, body: Uint8Array): void {
    const head = parsePlainHead(this.#headText.slice(0, end));
    if (head === undefined) throw new NotPlain('Not a plain head');
    const { lengthBytes } = head;
    const isRedirect = head.status >= 300 && head.status < 400;
    if (lengthBytes === undefined && !isRedirect) throw new NotPlain('Not a plain body');
    this.#head = head;
    this.#headText = '';
    if (this.#reader.onHead(head) === 'stop') {
      const value = this.#reader.onEnd();
      this.#connection.destroy();
      this.#succeed(value);
      return;
    }
    if (lengthBytes === undefined) throw new NotPlain('Not a plain body');
    this.#left = lengthBytes;
    this.#connection.timeOutAfter(this.#limits.bodyStallTimeoutMs);
    if (body.length > 0) this.#body(body);
    else this.#finishIfWhole();
  }

  #body(chunk: Uint8Array): void {
    // Bytes behind the answer are no part of anything: the connection is out of step.
    const isOutOfStep = chunk.length > this.#left;
    const own = isOutOfStep ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= own.length;
    if (own.length > 0) this.#reader.onData(own, this.#connection.flow);
    if (isOutOfStep) this.#connection.destroy();
    this.#finishIfWhole();
  }

  #finishIfWhole(): void {
    if (this.#left > 0) return;
    const value = this.#reader.onEnd();
    this.#connection.reused = true;
    if (this.#request.closeAfter || this.#head?.isLast === true) this.#connection.destroy();
    this.#succeed(value);
  }

  onStalled(): void {
    if (this.#isConnected) this.#fail(this.#error('unavailable', 'The worker has stopped sending'));
    else this.onEnded(new Error('It took too long'));
  }

  onEnded(error: Error | undefined): void {
    const isUnanswered = this.#head === undefined && this.#headText === '';
    if (this.#isConnected && isUnanswered && isClosing(error)) {
      this.#fail(new ClosedWithoutAnswer(this.#connection.reused, error));
      return;
    }
    const what = isUnanswered ? 'No connection' : 'The connection broke within the answer';
    const hint = isUnanswered ? (this.#request.hint ?? '') : '';
    const message = `${what} (${error?.message ?? 'closed'})${hint}`;
    this.#fail(this.#error('unavailable', message, error));
  }

  #error(code: 'protocol' | 'unavailable', message: string, cause?: unknown): ClusterError {
    const { workerId: worker, path } = this.#request;
    return new ClusterError(code, message, { worker, path, retryable: true, cause });
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #succeed(value: T): void {
    this.#settle();
    this.#resolve(value);
  }

  /** What is still on its way is nobody's: the connection goes too. */
  #fail(error: unknown): void {
    this.#settle();
    this.#connection.destroy();
    this.#reject(error);
  }

  #settle(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#context.signal.removeEventListener('abort', this.#giveUp);
    this.#connection.detach();
  }
}
