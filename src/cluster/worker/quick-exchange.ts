/**
 * One page over a kept connection with as little around it as can be: of a small file the request is
 * all there is, and every promise, timer and listener counts. What is not the plain answer that was
 * hoped for ends the connection with the exchange; what it meant is found out in the general way.
 */
import { ClusterError, type ByteSink } from '../types.ts';
import {
  chunkBuffer,
  isClosing,
  type ContentConnection,
  type Receiver,
} from './content-connection.ts';
import { parsePlainHead } from './plain-head.ts';

/**
 * `closed`: without an answer, on a connection that had served before (`reused`) or not. `odd`: an
 * answer, but no 200 with all that was asked for.
 */
export type QuickEnd = 'whole' | 'closed' | 'closed-reused' | 'odd' | ClusterError;

export interface QuickRequest {
  readonly target: string;
  /** What the answer must be long. */
  readonly lengthBytes: number;
  readonly sink: ByteSink;
  /** On the clock of `performance.now()`. */
  readonly deadlineMs: number;
  /** How long a new connection may be still; a kept one has its own bound. */
  readonly stallTimeoutMs: number;
  readonly workerId: string;
}

/** Heads of real answers are under 1 KiB. */
const headBytesMax = 16 * 1024;
const headEnd = Buffer.from('\r\n\r\n');

export class QuickExchange implements Receiver {
  readonly #connection: ContentConnection;
  readonly #request: QuickRequest;
  readonly #onEnd: (end: QuickEnd) => void;
  readonly #timer: NodeJS.Timeout;
  #isConnected = false;
  #headText = '';
  #hasHead = false;
  #isLast = false;
  #received = 0;

  constructor(
    connection: ContentConnection,
    request: QuickRequest,
    onEnd: (end: QuickEnd) => void,
  ) {
    this.#connection = connection;
    this.#request = request;
    this.#onEnd = onEnd;
    const leftMs = Math.max(0, Math.ceil(request.deadlineMs - performance.now()));
    this.#timer = setTimeout(() => this.#late(), leftMs);
    connection.attach(this);
  }

  onConnect(): void {
    this.#isConnected = true;
    const { target, stallTimeoutMs } = this.#request;
    const { address, reused } = this.#connection;
    if (!reused) this.#connection.timeOutAfter(stallTimeoutMs);
    this.#connection.write(
      `GET ${target} HTTP/1.1\r\nhost: ${address}\r\nconnection: keep-alive\r\n\r\n`,
    );
  }

  memory(): Uint8Array | undefined {
    if (!this.#hasHead) return undefined;
    const { sink, lengthBytes } = this.#request;
    const left = lengthBytes - this.#received;
    const memory = sink.direct?.memoryAt(this.#received);
    if (memory === undefined) return chunkBuffer;
    return memory.length > left ? memory.subarray(0, left) : memory;
  }

  onReceived(bytes: number): void {
    this.#guarded(() => {
      const at = this.#received;
      this.#received += bytes;
      this.#request.sink.direct?.received(at, bytes);
      return this.#endSoFar();
    });
  }

  onChunk(chunk: Uint8Array): void {
    this.#guarded(() => (this.#hasHead ? this.#body(chunk) : this.#beginning(chunk)));
  }

  #beginning(chunk: Uint8Array): QuickEnd | undefined {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const end = this.#headText === '' ? bytes.indexOf(headEnd) : -1;
    if (end >= 0) {
      return this.#onHead(bytes.toString('latin1', 0, end), chunk.subarray(end + headEnd.length));
    }
    // It comes in pieces: rare, so it may cost.
    const before = this.#headText.length;
    this.#headText += bytes.toString('latin1');
    const at = this.#headText.indexOf('\r\n\r\n');
    if (at >= 0) return this.#onHead(this.#headText.slice(0, at), chunk.subarray(at + 4 - before));
    return this.#headText.length > headBytesMax ? 'odd' : undefined;
  }

  #onHead(text: string, body: Uint8Array): QuickEnd | undefined {
    const head = parsePlainHead(text);
    if (head?.status !== 200 || head.lengthBytes !== this.#request.lengthBytes) return 'odd';
    this.#hasHead = true;
    this.#isLast = head.isLast;
    return body.length > 0 ? this.#body(body) : undefined;
  }

  #body(chunk: Uint8Array): QuickEnd | undefined {
    const at = this.#received;
    this.#received += chunk.length;
    // Bytes behind the answer: the connection is out of step, and perhaps was before.
    if (this.#received > this.#request.lengthBytes) return 'odd';
    this.#request.sink(chunk, at);
    return this.#endSoFar();
  }

  #endSoFar(): QuickEnd | undefined {
    return this.#received === this.#request.lengthBytes ? 'whole' : undefined;
  }

  /** Whatever an answer makes us throw is an end of this exchange and of nothing else. */
  #guarded(take: () => QuickEnd | undefined): void {
    let end: QuickEnd | undefined;
    try {
      end = take();
    } catch {
      // The long way meets the same answer and says what is wrong with it.
      end = 'odd';
    }
    if (end === 'whole') this.#succeed();
    else if (end !== undefined) this.#fail(end);
  }

  onStalled(): void {
    this.#fail(this.#error('unavailable', 'The worker has stopped sending'));
  }

  onEnded(error: Error | undefined): void {
    const isUnanswered = !this.#hasHead && this.#headText === '';
    if (this.#isConnected && isUnanswered && isClosing(error)) {
      this.#fail(this.#connection.reused ? 'closed-reused' : 'closed');
      return;
    }
    const what = isUnanswered ? 'No connection' : 'The connection broke within the answer';
    this.#fail(this.#error('unavailable', `${what} (${error?.message ?? 'closed'})`));
  }

  /** The caller has given up. */
  cancel(): void {
    this.#fail(this.#error('cancelled', 'The call was cancelled'));
  }

  #late(): void {
    this.#fail(this.#error('timeout', 'No complete answer in time'));
  }

  #error(code: 'unavailable' | 'timeout' | 'cancelled', message: string): ClusterError {
    return new ClusterError(code, message, { worker: this.#request.workerId, retryable: true });
  }

  #succeed(): void {
    clearTimeout(this.#timer);
    this.#connection.detach();
    this.#connection.reused = true;
    if (this.#isLast) this.#connection.destroy();
    this.#onEnd('whole');
  }

  /** What is still on its way is nobody's: the connection goes too, before anybody is told. */
  #fail(end: QuickEnd): void {
    clearTimeout(this.#timer);
    this.#connection.detach();
    this.#connection.destroy();
    this.#onEnd(end);
  }
}
