/**
 * Reads of this process that workers may still be answering. A worker that reads a file while it is
 * replaced keeps old pages, if it is told of the change before it has them: it has to be told after. And
 * one that finds less than it has promised, since the file is shorter or gone by then, says nothing more:
 * its reader would wait for a stall.
 */
import type { ByteString } from '../base/byte-string.ts';

/** A change is some small requests; with a worker that hangs, reads take their chance. */
const HELD_MS_MAX = 5_000;

export class ReadsUnderWay {
  readonly #byPath = new Map<ByteString, Set<Promise<unknown>>>();
  /** Reads that come wait for these. */
  readonly #held = new Map<ByteString, Promise<unknown>>();

  async during<T>(path: ByteString, start: () => Promise<T>): Promise<T> {
    const held = this.#held.get(path);
    if (held !== undefined) await held;
    const read = start();
    const reads = this.#byPath.get(path) ?? new Set();
    this.#byPath.set(path, reads.add(read));
    try {
      return await read;
    } finally {
      reads.delete(read);
      if (reads.size === 0) this.#byPath.delete(path);
    }
  }

  /**
   * Keeps reads from beginning, and resolves once those that run are over, or the signal is. They go on
   * when the returned function is called, or a change has taken too long.
   */
  async hold(path: ByteString, signal: AbortSignal): Promise<() => void> {
    let letGo: () => void = () => undefined;
    const mine = new Promise<void>((resolve) => (letGo = resolve));
    const before = this.#held.get(path);
    const held = Promise.all([before, mine]);
    this.#held.set(path, held);
    let timer: NodeJS.Timeout | undefined;
    void held.finally(() => {
      clearTimeout(timer);
      if (this.#held.get(path) === held) this.#held.delete(path);
    });
    // Reads that waited for another change begin now, and are waited for in turn.
    await before;
    await this.ended(path, signal);
    timer = setTimeout(letGo, HELD_MS_MAX);
    return letGo;
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
