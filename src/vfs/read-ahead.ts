/**
 * How far to fetch ahead of one handle. Sequential reading doubles the window up to a bound; a jump
 * closes it, so that random reading fetches nothing that nobody asked for.
 */

/** First window after a file is found to be read in order. */
const INITIAL_WINDOW_BYTES = 1024 * 1024;
/**
 * The kernel sends read-ahead requests of one stream from several threads, so they arrive a few
 * requests (of up to 1 MiB) out of order.
 */
const REORDER_BYTES = 4 * 1024 * 1024;
/**
 * The window moves in steps: one job for four pages of 1 MiB costs less than four jobs for one,
 * above all where each job is a connection.
 */
const STEP_BYTES = 4 * 1024 * 1024;

export class ReadAhead {
  readonly #windowBytesMax: number;
  /** End of the furthest read of the current run; 0: nothing was read, so offset 0 continues it. */
  #sequentialEnd = 0;
  #windowBytes = 0;

  constructor(windowBytesMax: number) {
    this.#windowBytesMax = windowBytesMax;
  }

  /** Notes a read and says up to which offset the file should be on its way. */
  next(offset: number, end: number): number {
    const continues =
      offset <= this.#sequentialEnd + REORDER_BYTES &&
      end > this.#sequentialEnd - REORDER_BYTES &&
      // A first read in the middle of a file is a jump, even a short one.
      (this.#sequentialEnd > 0 || offset === 0);
    if (!continues) {
      this.#sequentialEnd = end;
      this.#windowBytes = 0;
      return end;
    }
    if (end > this.#sequentialEnd) {
      this.#sequentialEnd = end;
      const doubled = Math.max(this.#windowBytes * 2, INITIAL_WINDOW_BYTES);
      this.#windowBytes = Math.min(doubled, this.#windowBytesMax);
    }
    const target = this.#sequentialEnd + this.#windowBytes;
    if (this.#windowBytes < this.#windowBytesMax || this.#windowBytesMax < STEP_BYTES)
      return target;
    return Math.floor(target / STEP_BYTES) * STEP_BYTES;
  }
}
