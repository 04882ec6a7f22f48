/**
 * What to fetch ahead of one handle. Sequential reading doubles the window up to a bound; a jump closes
 * it, so that random reading fetches nothing that nobody asked for. Jumps that are all of one length (a
 * column of a matrix, one record in so many) are followed.
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

/** Of the memory: read without a loss before windows are made wider, and after one before the next counts. */
const QUIET_PART = 1 / 2;
const SETTLING_PART = 1 / 8;

/** Two jumps may be of one length by chance. */
const SAME_JUMPS_MIN = 3;
/**
 * Places fetched ahead of a strided reader. A page each, as a rule: more than covers a round trip, and
 * all that is lost when the reader stops.
 */
const PLACES_MAX = 8;

export interface Place {
  readonly offset: number;
  readonly end: number;
}

const NOWHERE: readonly Place[] = [];

/**
 * How wide the windows of all handles may be. Where pages that were fetched ahead had to make room before
 * they were read, as with many readers in a small memory, each is fetched twice: windows are halved then,
 * and doubled again once a part of the memory was read without such a loss.
 */
export class WindowLimit {
  readonly #bytesMax: number;
  readonly #memoryBytes: number;
  #bytes: number;
  /** Read in order since the limit was changed, or the last loss. */
  #readBytes = 0;

  constructor(bytesMax: number, memoryBytes: number) {
    this.#bytesMax = bytesMax;
    this.#memoryBytes = memoryBytes;
    this.#bytes = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  read(bytes: number): void {
    if (this.#bytes === this.#bytesMax) return;
    this.#readBytes += bytes;
    if (this.#readBytes < this.#memoryBytes * QUIET_PART) return;
    this.#readBytes = 0;
    this.#bytes = Math.min(this.#bytes * 2, this.#bytesMax);
  }

  lost(): void {
    // What is lost at the same time has the same cause.
    if (this.#bytes < this.#bytesMax && this.#readBytes < this.#memoryBytes * SETTLING_PART) return;
    this.#readBytes = 0;
    this.#bytes = Math.max(this.#bytes / 2, Math.min(INITIAL_WINDOW_BYTES, this.#bytesMax));
  }
}

export class ReadAhead {
  readonly #limit: WindowLimit;
  /** What nobody has read of the current run, and up to where it was fetched ahead. */
  #unreadFrom = 0;
  #fetchedEnd = 0;
  #content: object | undefined;
  /** End of the furthest read of the current run; 0: nothing was read, so offset 0 continues it. */
  #sequentialEnd = 0;
  #windowBytes = 0;
  /** Where the last jump went, how long it was, and how many of that length came in a row. */
  #jumpedTo = 0;
  #stride = 0;
  #sameJumps = 0;
  /** From a jump to the end of what was read there, the last time. */
  #strideBytes = 0;

  constructor(limit: WindowLimit) {
    this.#limit = limit;
  }

  /** Notes a read and says up to which offset the file should be on its way. */
  next(offset: number, end: number): number {
    const continues =
      offset <= this.#sequentialEnd + REORDER_BYTES &&
      end > this.#sequentialEnd - REORDER_BYTES &&
      // A first read in the middle of a file is a jump, even a short one.
      (this.#sequentialEnd > 0 || offset === 0);
    if (!continues) {
      this.#noteJump(offset);
      this.#sequentialEnd = end;
      this.#unreadFrom = end;
      this.#fetchedEnd = end;
      this.#windowBytes = 0;
      return end;
    }
    this.#unreadFrom = this.#sequentialEnd;
    const limitBytes = this.#limit.bytes;
    if (end > this.#sequentialEnd) {
      this.#limit.read(end - this.#sequentialEnd);
      this.#sequentialEnd = end;
      // What is read between two jumps, as long as it is no longer than the last time.
      if (this.#isStrided && end <= this.#jumpedTo + this.#strideBytes) return end;
      const doubled = Math.max(this.#windowBytes * 2, INITIAL_WINDOW_BYTES);
      this.#windowBytes = Math.min(doubled, limitBytes);
    }
    const target = this.#sequentialEnd + Math.min(this.#windowBytes, limitBytes);
    // Less than two steps would leave nothing ahead of a reader at the end of one.
    if (this.#windowBytes < limitBytes || limitBytes < 2 * STEP_BYTES) return target;
    return Math.floor(target / STEP_BYTES) * STEP_BYTES;
  }

  /**
   * For a read, or ahead of it, pages are fetched: the first from `start` on, the last up to `end`. Pages of
   * another `content` than before (another version of the file) were not lost for lack of memory.
   */
  fetching(content: object, start: number, end: number): void {
    const isKnown = content === this.#content && start < this.#fetchedEnd;
    this.#content = content;
    if (isKnown && start >= this.#unreadFrom) this.#limit.lost();
    // What was lost beyond it was lost with it.
    this.#fetchedEnd = isKnown ? end : Math.max(this.#fetchedEnd, end);
  }

  /** Where a reader is expected that jumps by one length, the next place first. */
  places(): readonly Place[] {
    if (!this.#isStrided) return NOWHERE;
    const lengthBytes = Math.max(this.#strideBytes, this.#sequentialEnd - this.#jumpedTo);
    const doubled = 2 ** (this.#sameJumps - SAME_JUMPS_MIN);
    const count = Math.min(doubled, PLACES_MAX, Math.floor(this.#limit.bytes / lengthBytes));
    return Array.from({ length: count }, (_, index) => {
      const offset = this.#jumpedTo + (index + 1) * this.#stride;
      return { offset, end: offset + lengthBytes };
    }).filter(({ offset }) => offset >= 0);
  }

  get #isStrided(): boolean {
    return this.#sameJumps >= SAME_JUMPS_MIN;
  }

  #noteJump(offset: number): void {
    const stride = offset - this.#jumpedTo;
    this.#sameJumps = stride === this.#stride ? this.#sameJumps + 1 : 1;
    this.#stride = stride;
    this.#strideBytes = this.#sequentialEnd - this.#jumpedTo;
    this.#jumpedTo = offset;
  }
}
