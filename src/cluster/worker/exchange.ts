/**
 * One HTTP exchange on one undici client: the head is judged before any byte is believed, the body
 * goes to the reader chunk by chunk, and every way it can end is one of a few named failures.
 */
import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { errors, type Client, type Dispatcher } from 'undici';
import { ClusterError, type CallContext } from '../types.ts';

export interface ResponseHead {
  readonly status: number;
  /** The header's value; the values joined where it came more than once. */
  header(name: string): string | undefined;
}

export interface ReadFlow {
  pause(): void;
  resume(): void;
}

/** Receives one response. Whatever it throws ends the exchange and is what the caller sees. */
export interface ResponseReader<T> {
  /** `stop` ends the exchange here, successfully, without reading the body. */
  onHead(head: ResponseHead): 'read' | 'stop';
  onData(chunk: Uint8Array, flow: ReadFlow): void;
  onEnd(): T;
  /** Asked before bytes of the body are read: memory to read them into, if there is any. */
  readonly memory?: () => Uint8Array | undefined;
  /** So many bytes of the body were read into it; they do not come as data. */
  readonly received?: (bytes: number) => void;
}

export interface ExchangeRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array> | undefined;
  /** Until the head of the answer, where that depends on the request: writing takes as long as it does. */
  readonly headersTimeoutMs?: number | undefined;
  /** Close the connection after this exchange, whatever the server says. */
  readonly closeAfter: boolean;
  /** For messages. */
  readonly workerId: string;
  readonly path?: string;
  /** What to look at where nobody answers at all: ends the message. */
  readonly hint?: string;
}

export interface ExchangeLimits {
  readonly headersTimeoutMs: number;
  readonly bodyStallTimeoutMs: number;
}

/**
 * The connection ended in good order, or was reset, before a single byte of an answer. On open
 * source this is how "no" is said; the caller decides what it means.
 */
export class ClosedWithoutAnswer extends Error {
  /** Whether the connection had served a request before: then it may just have been idle too long. */
  readonly reused: boolean;

  constructor(reused: boolean, cause: unknown) {
    super('The worker closed the connection without an answer', { cause });
    this.name = 'ClosedWithoutAnswer';
    this.reused = reused;
  }
}

/** The connection an exchange runs on, and what the exchange finds out about it. */
export interface Connection {
  readonly client: Client;
  /** True once a request was answered on the socket that is open now. */
  reused: boolean;
}

export function runExchange<T>(
  connection: Connection,
  request: ExchangeRequest,
  reader: ResponseReader<T>,
  context: CallContext,
  limits: ExchangeLimits,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    new Exchange(connection, request, reader, context, limits, resolve, reject).start();
  });
}

class Exchange<T> implements Dispatcher.DispatchHandler {
  readonly #connection: Connection;
  readonly #request: ExchangeRequest;
  readonly #reader: ResponseReader<T>;
  readonly #context: CallContext;
  readonly #limits: ExchangeLimits;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #flow: ReadFlow | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onAbort: (() => void) | undefined;
  #answered = false;
  #reused = false;
  #settled = false;

  constructor(
    connection: Connection,
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
      this.#fail(endOfCall(this.#context, this.#request));
      return;
    }
    this.#timer = setTimeout(() => {
      this.#abort(endOfCall(this.#context, this.#request));
    }, remainingMs);
    this.#onAbort = () => {
      this.#abort(endOfCall(this.#context, this.#request));
    };
    // One signal may bound many calls at once; that is no leak.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', this.#onAbort, { once: true });
    try {
      this.#connection.client.dispatch(
        {
          method: this.#request.method,
          path: this.#request.target,
          headers: this.#request.headers ?? {},
          body: bodyOf(this.#request),
          headersTimeout: this.#request.headersTimeoutMs ?? this.#limits.headersTimeoutMs,
          bodyTimeout: this.#limits.bodyStallTimeoutMs,
          reset: this.#request.closeAfter,
        },
        this,
      );
    } catch (error) {
      this.#abort(error);
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#reused = this.#connection.reused;
    if (this.#settled) controller.abort(new Error('The call was given up'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // An informational answer is not the answer.
    if (this.#settled || status < 200) return;
    this.#answered = true;
    try {
      const decision = this.#reader.onHead({
        status,
        header: (name) => {
          const value = headers[name];
          return Array.isArray(value) ? value.join(', ') : value;
        },
      });
      if (decision === 'stop') {
        const value = this.#reader.onEnd();
        this.#succeed(value);
        this.#drop(controller, new Error('The rest of the answer is not wanted'));
      }
    } catch (error) {
      this.#abort(error);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    this.#flow ??= { pause: () => controller.pause(), resume: () => controller.resume() };
    try {
      this.#reader.onData(chunk, this.#flow);
    } catch (error) {
      this.#abort(error);
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    this.#connection.reused = true;
    try {
      this.#succeed(this.#reader.onEnd());
    } catch (error) {
      this.#fail(error);
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#translate(error));
  }

  #abort(error: unknown): void {
    if (this.#settled) return;
    this.#fail(error);
    this.#drop(this.#controller, new Error('The exchange was given up', { cause: error }));
  }

  /**
   * The client goes with the connection: undici would connect again for an aborted request, only to
   * find that there is nothing to send. (Without a controller the request still waits for a
   * connection, and only the client can drop it.)
   */
  #drop(controller: Dispatcher.DispatchController | undefined, reason: Error): void {
    controller?.abort(reason);
    void this.#connection.client.destroy(reason);
  }

  #succeed(value: T): void {
    if (!this.#settle()) return;
    this.#resolve(value);
  }

  #fail(error: unknown): void {
    if (!this.#settle()) return;
    this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (this.#onAbort !== undefined) {
      this.#context.signal.removeEventListener('abort', this.#onAbort);
    }
    return true;
  }

  #translate(error: Error): unknown {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    const details = {
      worker: this.#request.workerId,
      path: this.#request.path,
      retryable: true,
      cause: error,
    };
    if (this.#controller !== undefined && !this.#answered && closingCodes.has(code)) {
      return new ClosedWithoutAnswer(this.#reused, error);
    }
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
      return new ClusterError('unavailable', 'The worker has stopped sending', details);
    }
    if (error instanceof errors.HTTPParserError || protocolCodes.has(code)) {
      return new ClusterError(
        'protocol',
        `The answer is not valid HTTP: ${error.message}`,
        details,
      );
    }
    if (code === 'UND_ERR_INVALID_ARG') {
      return new ClusterError('inexpressible', 'The name cannot be written in a request', {
        ...details,
        retryable: false,
      });
    }
    const what = this.#answered ? 'The connection broke within the answer' : 'No connection';
    const hint = this.#answered ? '' : (this.#request.hint ?? '');
    return new ClusterError('unavailable', `${what} (${error.message || code})${hint}`, details);
  }
}

/** Undici takes any iterable and holds it to the Content-Length; its types know readables only. */
function bodyOf({ body }: ExchangeRequest): Readable | null {
  return (body ?? null) as unknown as Readable | null;
}

const closingCodes: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const protocolCodes: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
]);

export function remaining(context: CallContext): number {
  return Math.ceil(context.deadlineMs - performance.now());
}

/** Why a call that is over is over. */
export function endOfCall(
  context: CallContext,
  about: { readonly workerId: string; readonly path?: string },
): ClusterError {
  const details = { worker: about.workerId, path: about.path };
  return context.signal.aborted
    ? new ClusterError('cancelled', 'The call was cancelled', details)
    : new ClusterError('timeout', 'The deadline of the call has passed', details);
}
