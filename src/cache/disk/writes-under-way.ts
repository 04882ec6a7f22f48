/** The batches that a cache directory is writing: of which files, which pages, and since when. */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { PageCopy } from './write-behind.ts';
import { WRITE_LATE_MS } from './write-behind.ts';

interface Writing {
  batches: number;
  /** Of them, those that write still. */
  unwritten: number;
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
      look: undefined,
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
