/** The batches that a cache directory is writing: of which files, which pages, and since when. */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { PageCopy } from './write-behind.ts';
import { lateAfterMs } from './write-behind.ts';
import type { WriteBatch } from './write-pages.ts';

interface Writing {
  batches: number;
  /** Of them, those that write still. */
  unwritten: number;
  readonly pages: Set<number>;
  opening: Promise<unknown> | undefined;
}

export class WritesUnderWay {
  readonly #clock: Clock;
  /** When each is late. */
  readonly #lateAtMs = new Map<WriteBatch, number>();
  /** By nonce: rows are used again. */
  readonly #files = new Map<number, Writing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The disk has not taken one in time. */
  get isOverdue(): boolean {
    const nowMs = this.#clock.nowMs();
    for (const lateAtMs of this.#lateAtMs.values()) if (nowMs >= lateAtMs) return true;
    return false;
  }

  has(nonce: number): boolean {
    return this.#files.has(nonce);
  }

  hasPage(nonce: number, index: number): boolean {
    return this.#files.get(nonce)?.pages.has(index) === true;
  }

  /**
   * Opens the file for one of the batches that write it side by side, within `ofFile`. The first one, which makes
   * or looks at it, is done before another opens it; after that all changes are ours.
   */
  async opened<T>(nonce: number, open: (isFirst: boolean) => Promise<T>): Promise<T> {
    const writing = this.#files.get(nonce);
    assert(writing !== undefined, 'Nobody writes the file');
    if (writing.opening === undefined) {
      const opening = open(true);
      writing.opening = opening;
      return await opening;
    }
    await writing.opening;
    return await open(false);
  }

  /** All of a batch, also the wait for room. */
  async timed(batch: WriteBatch, work: () => Promise<void>): Promise<void> {
    this.#lateAtMs.set(batch, this.#clock.nowMs() + lateAfterMs(batch.copies));
    try {
      await work();
    } finally {
      this.#lateAtMs.delete(batch);
    }
  }

  /** `isLast`, once it has written: whether no other batch of the file writes any more. */
  async ofFile(
    nonce: number,
    copies: readonly PageCopy[],
    work: (isLast: () => boolean) => Promise<void>,
  ): Promise<void> {
    const writing = this.#files.get(nonce) ?? {
      batches: 0,
      unwritten: 0,
      pages: new Set(),
      opening: undefined,
    };
    this.#files.set(nonce, writing);
    writing.batches++;
    writing.unwritten++;
    for (const { index } of copies) writing.pages.add(index);
    let isWritten = false;
    const isLast = (): boolean => {
      if (!isWritten) writing.unwritten--;
      isWritten = true;
      return writing.unwritten === 0;
    };
    try {
      await work(isLast);
    } finally {
      isLast();
      if (--writing.batches === 0) this.#files.delete(nonce);
    }
  }
}
