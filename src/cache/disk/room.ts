/** How much a cache directory may take: its own limit, and what must stay free of the file system. */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';

/** As given: bytes, or a share of the file system. */
export type FreeSpace = { readonly bytes: number } | { readonly percent: number };

/** Others write to the disk, too. */
const MAX_AGE_MS = 1_000;
/** What is written is taken off the figure; past this it is asked for again. */
const WRITTEN_BYTES_MAX = 64 * 1024 * 1024;

export class Room {
  readonly #path: string;
  readonly #floor: FreeSpace;
  readonly #clock: Clock;
  #freeBytes = 0;
  #floorBytes = Infinity;
  #askedAtMs = -Infinity;
  /** In all, without what was removed. */
  #writtenBytes = 0;
  /** Of them, those that the figure has. */
  #countedBytes = 0;

  constructor(path: string, floor: FreeSpace, clock: Clock) {
    this.#path = path;
    this.#floor = floor;
    this.#clock = clock;
  }

  /**
   * Above what must stay free; below 0 where others have taken it. What is being written or removed is
   * not in it before it is done.
   */
  get leftBytes(): number {
    return this.#freeBytes - this.#changedBytes - this.#floorBytes;
  }

  get #changedBytes(): number {
    return this.#writtenBytes - this.#countedBytes;
  }

  get floorBytes(): number {
    return this.#floorBytes;
  }

  wrote(bytes: number): void {
    this.#writtenBytes += bytes;
  }

  freed(bytes: number): void {
    this.#writtenBytes -= bytes;
  }

  get isFresh(): boolean {
    const ageMs = this.#clock.nowMs() - this.#askedAtMs;
    return ageMs < MAX_AGE_MS && Math.abs(this.#changedBytes) < WRITTEN_BYTES_MAX;
  }

  async refresh(): Promise<void> {
    // What is done while the answer comes may be in it or not: it is not forgotten.
    const countedBytes = this.#writtenBytes;
    const { bavail, blocks, bsize } = await statfs(this.#path);
    this.#freeBytes = bavail * bsize;
    this.#countedBytes = countedBytes;
    this.#floorBytes =
      'bytes' in this.#floor ? this.#floor.bytes : (blocks * bsize * this.#floor.percent) / 100;
    this.#askedAtMs = this.#clock.nowMs();
  }
}
