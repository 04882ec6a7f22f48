/** Memory that files arrive in on their way to the cache: one bound over all `warm` requests of a daemon. */
import { assert } from '../base/assert.ts';

/**
 * Eight requests of 4 MiB, as many as `--parallel` has by default: more of them at once fill no network better.
 * The README tells it beside what else the daemon takes.
 */
const WARM_BYTES = 32 * 1024 * 1024;
/** Small files take little, so that as many as `--parallel` allows (64) arrive at a time. */
const PIECE_BYTES = 512 * 1024;

interface Waiter {
  readonly pieces: number;
  readonly resolve: (firstPiece: number) => void;
}

export class WarmMemory {
  readonly #isTaken: boolean[];
  /** First come, first served: a large request is not passed by small ones for ever. */
  readonly #waiting: Waiter[] = [];
  #memory: Buffer | undefined;
  #takenPieces = 0;
  #users = 0;

  /** Room for one page at least, however large pages are. */
  constructor(pageSizeBytes: number) {
    const count = Math.ceil(Math.max(WARM_BYTES, pageSizeBytes) / PIECE_BYTES);
    this.#isTaken = Array.from({ length: count }, () => false);
  }

  get takenBytes(): number {
    return this.#takenPieces * PIECE_BYTES;
  }

  /** It is there from the first use on, and given back to the system after the last. */
  async during(work: () => Promise<void>): Promise<void> {
    this.#users++;
    try {
      await work();
    } finally {
      if (--this.#users === 0) this.#memory = undefined;
    }
  }

  /** Waits until there is room. Only within `during`; `work` must not ask for more. */
  async use(bytes: number, work: (memory: Buffer) => Promise<void>): Promise<void> {
    assert(this.#users > 0, 'Memory is taken outside of any use');
    const pieces = Math.ceil(bytes / PIECE_BYTES);
    assert(pieces <= this.#isTaken.length, 'More memory is asked for than there is');
    const first = await new Promise<number>((resolve) => {
      this.#waiting.push({ pieces, resolve });
      this.#next();
    });
    this.#memory ??= Buffer.allocUnsafeSlow(this.#isTaken.length * PIECE_BYTES);
    const offset = first * PIECE_BYTES;
    try {
      await work(this.#memory.subarray(offset, offset + bytes));
    } finally {
      this.#isTaken.fill(false, first, first + pieces);
      this.#takenPieces -= pieces;
      this.#next();
    }
  }

  #next(): void {
    for (;;) {
      const [waiter] = this.#waiting;
      const first = waiter === undefined ? undefined : this.#findFree(waiter.pieces);
      if (waiter === undefined || first === undefined) return;
      this.#waiting.shift();
      this.#isTaken.fill(true, first, first + waiter.pieces);
      this.#takenPieces += waiter.pieces;
      waiter.resolve(first);
    }
  }

  /** The first of so many free pieces in a row. */
  #findFree(pieces: number): number | undefined {
    for (let first = 0; first + pieces <= this.#isTaken.length; first++) {
      if (!this.#isTaken.slice(first, first + pieces).includes(true)) return first;
    }
    return undefined;
  }
}
