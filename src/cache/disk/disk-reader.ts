/**
 * Reads backing files, with a deadline. A call that the disk does not answer cannot be taken back and
 * writes into its memory whenever it ends, so calls have memory of their own, and what comes in time is
 * copied: some 0.1 CPU seconds a gigabyte, out of the processor's cache.
 */
import { HandleCache } from './handle-cache.ts';
import { scatter } from './vectors.ts';

/** A disk that works takes milliseconds, one that is woken up some seconds; the cluster takes less. */
const DEADLINE_MS = 5_000;
/** Reads that hang keep their threads: of Node's pool, some must be left for other directories and for names. */
const READS_MAX = 3;
/** Of one call: large enough for the disk, and small enough for the processor's cache. */
const READ_BYTES = 1024 * 1024;

export class OverdueError extends Error {
  constructor() {
    super(`The disk did not answer a read within ${DEADLINE_MS / 1000} s`);
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

  /** Fills all pieces; false where the file ends before. Whatever happens, nothing touches them later. */
  async read(path: string, pieces: readonly Uint8Array[], position: number): Promise<boolean> {
    let left = pieces;
    let leftBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    for (let at = position; leftBytes > 0;) {
      const into = left;
      const bytes = await this.#call(path, Math.min(READ_BYTES, leftBytes), at, (read) => {
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
    lengthBytes: number,
    position: number,
    take: (bytes: Buffer) => void,
  ): Promise<number> {
    const memory = await this.#memory();
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
      throw new OverdueError();
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
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    void ended.finally(() => {
      this.#overdue--;
      this.#giveBack(memory);
    });
  }

  async #memory(): Promise<Buffer> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made < READS_MAX) {
      this.#made++;
      return Buffer.allocUnsafeSlow(READ_BYTES);
    }
    const given = await new Promise<Buffer | undefined>((resolve) => this.#waiting.push(resolve));
    if (given === undefined) throw new OverdueError();
    return given;
  }

  #giveBack(memory: Buffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(memory);
    else next(memory);
  }
}
