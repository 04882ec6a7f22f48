/**
 * Reads of this process that workers may still be answering. A worker that reads a file while it is
 * replaced keeps old pages, if it is told of the change before it has them: it has to be told after.
 */
import type { ByteString } from '../base/byte-string.ts';

export class ReadsUnderWay {
  readonly #byPath = new Map<ByteString, Set<Promise<unknown>>>();

  async during<T>(path: ByteString, read: Promise<T>): Promise<T> {
    const reads = this.#byPath.get(path) ?? new Set();
    this.#byPath.set(path, reads.add(read));
    try {
      return await read;
    } finally {
      reads.delete(read);
      if (reads.size === 0) this.#byPath.delete(path);
    }
  }

  /** Once those that run now are over, or the signal is; false at once where none runs. */
  async ended(path: ByteString, signal: AbortSignal): Promise<boolean> {
    const reads = this.#byPath.get(path);
    if (reads === undefined) return false;
    let end: () => void = () => undefined;
    const late = new Promise<void>((resolve) => (end = resolve));
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    await Promise.race([Promise.allSettled(reads), late]);
    signal.removeEventListener('abort', end);
    return true;
  }
}
