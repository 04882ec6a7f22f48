/** The batches that a cache directory is writing: of which files, which pages, and since when. */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { PageCopy } from './write-behind.ts';
import { WRITE_LATE_MS } from './write-behind.ts';

interface Writing {
  batches: number;
  readonly pages: Set<number>;
  look: Promise<void> | undefined;
}

export class WritesUnderWay {
  readonly #clock: Clock;
  /** When each began, the oldest first. */
  readonly #sinceMs = new Map<object, number>();
  /** By nonce: rows are used again. */
  readonly #files = new Map<number, Writing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The disk has not taken one in time. */
  get isOverdue(): boolean {
    const [oldestMs = Infinity] = this.#sinceMs.values();
    return this.#clock.nowMs() - oldestMs >= WRITE_LATE_MS;
  }

  has(nonce: number): boolean {
    return this.#files.has(nonce);
  }

  hasPage(nonce: number, index: number): boolean {
    return this.#files.get(nonce)?.pages.has(index) === true;
  }

  /** One batch and no other. */
  isSingle(nonce: number): boolean {
    return this.#files.get(nonce)?.batches === 1;
  }

  /**
   * Runs `look` before any of the batches that write a file side by side writes: the first to come runs it,
   * the others wait for it, and after it all changes are ours. Within `ofFile`.
   */
  async looked(nonce: number, look: () => Promise<void>): Promise<void> {
    const writing = this.#files.get(nonce);
    assert(writing !== undefined, 'Nobody writes the file');
    writing.look ??= look();
    await writing.look;
  }

  /** All of a batch, also the wait for room. */
  async timed(batch: object, work: () => Promise<void>): Promise<void> {
    this.#sinceMs.set(batch, this.#clock.nowMs());
    try {
      await work();
    } finally {
      this.#sinceMs.delete(batch);
    }
  }

  async ofFile(
    nonce: number,
    copies: readonly PageCopy[],
    work: () => Promise<void>,
  ): Promise<void> {
    const writing = this.#files.get(nonce) ?? { batches: 0, pages: new Set(), look: undefined };
    this.#files.set(nonce, writing);
    writing.batches++;
    for (const { index } of copies) writing.pages.add(index);
    try {
      await work();
    } finally {
      if (--writing.batches === 0) this.#files.delete(nonce);
    }
  }
}
