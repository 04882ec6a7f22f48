/**
 * Reads backing files, with a deadline. A call that the disk does not answer cannot be taken back and
 * writes into its memory whenever it ends, so calls have memory of their own, and what comes in time is
 * copied: some 0.1 CPU seconds a gigabyte, out of the processor's cache.
 */
import { HandleCache } from './handle-cache.ts';
import { scatter } from './vectors.ts';

/** Of a call: a disk that works takes milliseconds, one that is woken up some seconds; the cluster takes less. */
const DEADLINE_MS = 5_000;
/** 10 MB/s, for large pages, and for who waits for others. */
const SLOWEST_BYTES_PER_MS = 10_000;
/** Reads that hang keep their threads: of Node's pool, some must be left for other directories and for names. */
const READS_MAX = 3;
/** Of one call: large enough for the disk, and small enough for the processor's cache. */
const READ_BYTES = 1024 * 1024;

export class OverdueError extends Error {
  constructor(what: 'read' | 'write') {
    super(`The disk did not answer a ${what} in time`);
    this.name = 'OverdueError';
  }
}

export class DiskReader {
  readonly #handles = new HandleCache();
  readonly #free: Buffer[] = [];
  #made = 0;
  #waiting: ((memory: Buffer | undefined) => void)[] = [];
  #overdue = 0;

  /** A call has not ended that should have: nothing is asked of the disk meanwhile. */
  get isOverdue(): boolean {
    return this.#overdue > 0;
  }

  drop(path: string): void {
    this.#handles.drop(path);
  }

  clear(): void {
    this.#handles.clear();
  }

  /**
   * Fills all pieces; false where the file ends before. Whatever happens, it is over in time, and nothing
   * touches them later.
   */
  async read(path: string, pieces: readonly Uint8Array[], position: number): Promise<boolean> {
    let left = pieces;
    let leftBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const deadlineMs = performance.now() + DEADLINE_MS + leftBytes / SLOWEST_BYTES_PER_MS;
    for (let at = position; leftBytes > 0;) {
      if (performance.now() > deadlineMs) throw new OverdueError('read');
      const into = left;
      const range = { lengthBytes: Math.min(READ_BYTES, leftBytes), position: at };
      const bytes = await this.#call(path, range, deadlineMs, (read) => {
        left = scatter(read, into);
      });
      if (bytes === 0) return false;
      at += bytes;
      leftBytes -= bytes;
    }
    return true;
  }

  async #call(
    path: string,
    { lengthBytes, position }: { readonly lengthBytes: number; readonly position: number },
    deadlineMs: number,
    take: (bytes: Buffer) => void,
  ): Promise<number> {
    const memory = await this.#memory(deadlineMs);
    const ended = this.#handles
      .use(path, async (handle) => await handle.read(memory, 0, lengthBytes, position))
      .then(
        ({ bytesRead }) => ({ bytesRead }),
        (error: unknown) => ({ error: error as Error }),
      );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), DEADLINE_MS);
    });
    const end = await Promise.race([ended, late]);
    clearTimeout(timer);
    if (end === undefined) {
      this.#isLate(path, memory, ended);
      throw new OverdueError('read');
    }
    try {
      if ('error' in end) throw end.error;
      take(memory.subarray(0, end.bytesRead));
      return end.bytesRead;
    } finally {
      this.#giveBack(memory);
    }
  }

  /** Those that wait for its memory are told at once. */
  #isLate(path: string, memory: Buffer, ended: Promise<unknown>): void {
    this.#overdue++;
    this.#handles.drop(path);
    for (const give of this.#waiting.splice(0)) give(undefined);
    void ended.finally(() => {
      this.#overdue--;
      this.#giveBack(memory);
    });
  }

  async #memory(deadlineMs: number): Promise<Buffer> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made < READS_MAX) {
      this.#made++;
      return Buffer.allocUnsafeSlow(READ_BYTES);
    }
    const given = await new Promise<Buffer | undefined>((resolve) => {
      const give = (memory: Buffer | undefined): void => {
        clearTimeout(timer);
        resolve(memory);
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== give);
        resolve(undefined);
      }, deadlineMs - performance.now());
      this.#waiting.push(give);
    });
    if (given === undefined) throw new OverdueError('read');
    return given;
  }

  #giveBack(memory: Buffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(memory);
    else next(memory);
  }
}
