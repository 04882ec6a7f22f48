/** The open /dev/fuse of one mount: one message per read, one per write, errors told apart. */
import { constants, openSync, readSync, write, writeSync, writevSync } from 'node:fs';
import { IN_HEADER_SIZE, requestBufferSize } from '../wire/index.ts';
import { REQUEST_BYTES_MAX } from './negotiate.ts';

/** The kernel refuses to be read with less than the largest WRITE takes. */
export const READ_BUFFER_BYTES = requestBufferSize(REQUEST_BYTES_MAX);

export function openFuseDevice(): number {
  return openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK);
}

export type ReadOutcome = number | 'none' | 'gone';

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

/** The mount was taken away (ENODEV), or aborted through fusectl (ECONNABORTED). */
function isGone(code: string): boolean {
  return code === 'ENODEV' || code === 'ECONNABORTED' || code === 'ENOTCONN';
}

export class FuseChannel {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Length of the next request in `buffer`; 'none' when there is none now. */
  read(buffer: Buffer): ReadOutcome {
    try {
      const length = readSync(this.fd, buffer, 0, buffer.length, null);
      return length >= IN_HEADER_SIZE ? length : 'gone';
    } catch (error) {
      const code = codeOf(error);
      // ENOENT: the request was taken back (its program was killed) while it was being read.
      if (code === 'EAGAIN' || code === 'EINTR' || code === 'ENOENT') return 'none';
      if (isGone(code)) return 'gone';
      throw error;
    }
  }

  /** False when nobody waits for this reply any more. */
  write(message: Buffer, length: number): boolean {
    return this.#attempt(() => writeSync(this.fd, message, 0, length));
  }

  writev(parts: readonly Uint8Array[]): boolean {
    return this.#attempt(() => writevSync(this.fd, parts));
  }

  #attempt(send: () => void): boolean {
    try {
      send();
      return true;
    } catch (error) {
      const code = codeOf(error);
      // ENOENT: the request was interrupted and forgotten. Gone: the next read says so.
      if (code === 'ENOENT' || isGone(code)) return false;
      throw error;
    }
  }
}

/**
 * Notifications that drop cached pages wait in the kernel for page locks that only our replies set
 * free, so they are written from another thread (libuv's pool), one after the other.
 */
export class NotificationQueue {
  readonly #fd: number;
  readonly #onDone: (error: string | undefined) => void;
  readonly #queue: Buffer[] = [];
  readonly #limit: number;
  #isWriting = false;

  constructor(fd: number, limit: number, onDone: (error: string | undefined) => void) {
    this.#fd = fd;
    this.#limit = limit;
    this.#onDone = onDone;
  }

  /** False when the queue is full: the kernel then finds out by its own TTLs. */
  push(message: Buffer): boolean {
    if (this.#queue.length >= this.#limit) return false;
    this.#queue.push(message);
    this.#next();
    return true;
  }

  #next(): void {
    if (this.#isWriting) return;
    const message = this.#queue.shift();
    if (message === undefined) return;
    this.#isWriting = true;
    write(this.#fd, message, 0, message.length, null, (error) => {
      this.#isWriting = false;
      // ENOENT: the kernel does not hold what should go, which is as good.
      const code = error === null ? undefined : codeOf(error);
      this.#onDone(code === undefined || code === 'ENOENT' || isGone(code) ? undefined : code);
      this.#next();
    });
  }
}
