/** The readers of whole small answers and of file content. */
import { ClusterError, type ByteSink } from '../types.ts';
import type { ResponseHead, ResponseReader } from './exchange.ts';
import { parseContentLength } from './s3-answers.ts';

export interface SmallAnswer {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

/** Collects a body of at most `maxBytes`. */
export function smallAnswer(maxBytes: number): ResponseReader<SmallAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  let head: ResponseHead | undefined;
  return {
    onHead(received) {
      head = received;
      const announced = parseContentLength(received.header('content-length'));
      if (announced !== undefined && announced > maxBytes) throw tooLong(maxBytes);
      return 'read';
    },
    onData(chunk) {
      size += chunk.length;
      if (size > maxBytes) throw tooLong(maxBytes);
      // Copied: the chunk is used again.
      chunks.push(Buffer.from(chunk));
    },
    onEnd() {
      if (head === undefined) throw new ClusterError('protocol', 'An answer without a head');
      return { head, body: Buffer.concat(chunks, size) };
    },
  };
}

/** For HEAD: there is no body, whatever length the head announces. */
export function headOnly(): ResponseReader<SmallAnswer> {
  let head: ResponseHead | undefined;
  return {
    onHead(received) {
      head = received;
      return 'read';
    },
    onData() {
      throw new ClusterError('protocol', 'A HEAD was answered with a body');
    },
    onEnd() {
      if (head === undefined) throw new ClusterError('protocol', 'An answer without a head');
      return { head, body: Buffer.alloc(0) };
    },
  };
}

/** Takes the status line and drops the rest unread: for answers that may hold secrets. */
export function statusOnly(): ResponseReader<number> {
  let status = 0;
  return {
    onHead(head) {
      status = head.status;
      return 'stop';
    },
    onData() {
      throw new ClusterError('protocol', 'Bytes of an answer that was not wanted');
    },
    onEnd: () => status,
  };
}

/** Hands content to the sink, and holds it to the length that the head announced. */
export class ContentCounter {
  readonly #sink: ByteSink;
  #expected = 0;
  #received = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  expect(bytes: number): void {
    this.#expected = bytes;
  }

  take(chunk: Uint8Array): void {
    const offset = this.#received;
    this.#received += chunk.length;
    if (this.#received > this.#expected) {
      throw new ClusterError('protocol', 'The worker sends more bytes than it announced', {
        retryable: true,
      });
    }
    this.#sink(chunk, offset);
  }

  /** Where the next bytes may be received straight away; never more room than was announced. */
  memory(): Uint8Array | undefined {
    const left = this.#expected - this.#received;
    const memory = left > 0 ? this.#sink.direct?.memoryAt(this.#received) : undefined;
    return memory !== undefined && memory.length > left ? memory.subarray(0, left) : memory;
  }

  received(bytes: number): void {
    const offset = this.#received;
    this.#received += bytes;
    this.#sink.direct?.received(offset, bytes);
  }

  finish(): number {
    if (this.#received !== this.#expected) {
      throw new ClusterError(
        'protocol',
        `The worker sent ${this.#received} of ${this.#expected} bytes`,
        { retryable: true },
      );
    }
    return this.#received;
  }
}

function tooLong(maxBytes: number): ClusterError {
  return new ClusterError('protocol', `The answer is longer than ${maxBytes} bytes`);
}
