/**
 * Pages on their way to the disk: copies in memory of a fixed size, written by a few calls at a time.
 * Where the disk is slower than the network the memory is full, and pages are not kept.
 */
import { assert } from '../../base/assert.ts';
import { checksumOf } from './checksum.ts';

/**
 * Small files take little, so that thousands wait where they are read faster than files are made;
 * large pages are written from many chunks at once.
 */
const CHUNK_BYTES = 16 * 1024;
/** Two seconds of a slow disk, and part of what the daemon may take beside its memory limit. */
const QUEUE_BYTES = 64 * 1024 * 1024;
/** Beside them, readers need threads of Node's pool. */
const WRITERS_MAX = 2;
/** What a disk has not taken by then, it may never take: other directories need the writer. */
const LATE_MS = 10_000;
/** 10 MB/s, for large pages. */
const SLOWEST_BYTES_PER_MS = 10_000;

/** From the beginning of a write of these. */
export function lateAfterMs(copies: readonly PageCopy[]): number {
  const bytes = copies.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  return LATE_MS + bytes / SLOWEST_BYTES_PER_MS;
}

/** A page that waits; `keep` or `discard` gives its memory back. */
export interface PageCopy {
  readonly index: number;
  readonly lengthBytes: number;
  readonly sum: number;
  readonly pieces: readonly Buffer[];
  readonly chunks: readonly number[];
}

export class WriteBehind {
  readonly #memory: ArrayBuffer;
  readonly #free: number[] = [];
  readonly #chunkCount: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;
  #idle: (() => void)[] = [];
  readonly #onLate: (pages: number) => void;

  constructor(pageSizeBytes: number, onLate: (pages: number) => void) {
    this.#onLate = onLate;
    // At least one page, however large pages are. Untouched memory costs nothing.
    this.#chunkCount = Math.ceil(Math.max(QUEUE_BYTES, pageSizeBytes) / CHUNK_BYTES);
    this.#memory = new ArrayBuffer(this.#chunkCount * CHUNK_BYTES);
    // The last are taken first: what was used lately is used again.
    for (let chunk = this.#chunkCount - 1; chunk >= 0; chunk--) this.#free.push(chunk);
  }

  get usedBytes(): number {
    return (this.#chunkCount - this.#free.length) * CHUNK_BYTES;
  }

  get limitBytes(): number {
    return this.#chunkCount * CHUNK_BYTES;
  }

  /** Copies a page; undefined where there is no room. */
  copy(index: number, source: readonly Uint8Array[]): PageCopy | undefined {
    const lengthBytes = source.reduce((sum, piece) => sum + piece.length, 0);
    const count = Math.ceil(lengthBytes / CHUNK_BYTES);
    if (count > this.#free.length) return undefined;
    const chunks = this.#free.splice(this.#free.length - count, count).toReversed();
    const pieces = chunks.map((chunk, order) => {
      const length = Math.min(CHUNK_BYTES, lengthBytes - order * CHUNK_BYTES);
      return Buffer.from(this.#memory, chunk * CHUNK_BYTES, length);
    });
    fill(pieces, source);
    return { index, lengthBytes, pieces, chunks, sum: checksumOf(pieces) };
  }

  discard(copies: readonly PageCopy[]): void {
    for (const { chunks } of copies) this.#free.push(...chunks);
    assert(this.#free.length <= this.#chunkCount, 'A copy was given back twice');
  }

  /**
   * `write` is run some time later; it must not reject. The copies are given back after it. Resolves then,
   * or when it is late.
   */
  async add(copies: readonly PageCopy[], write: () => Promise<void>): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(async () => {
        const written = write().finally(() => this.discard(copies));
        if (await isLate(written, lateAfterMs(copies))) this.#onLate(copies.length);
        resolve();
      });
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < WRITERS_MAX) {
      const work = this.#waiting.shift();
      if (work === undefined) break;
      this.#running++;
      void work().finally(() => {
        this.#running--;
        this.#next();
      });
    }
    if (this.#running > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Resolves when nothing waits any more, but for what is late. */
  async drained(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}

async function isLate(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), ms);
  });
  const ended = await Promise.race([work.then(() => false), late]);
  clearTimeout(timer);
  return ended;
}

function fill(targets: readonly Buffer[], source: readonly Uint8Array[]): void {
  let order = 0;
  let at = 0;
  for (const piece of source) {
    for (let done = 0; done < piece.length;) {
      const target = targets[order] as Buffer;
      const length = Math.min(piece.length - done, target.length - at);
      // Not `set`: out of shared memory it copies word by word.
      target.fill(piece.subarray(done, done + length), at, at + length);
      done += length;
      at += length;
      if (at < target.length) continue;
      order++;
      at = 0;
    }
  }
}
