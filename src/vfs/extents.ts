/**
 * Which bytes of a file are held locally: disjoint, sorted half-open ranges that never touch (ranges
 * that meet become one).
 */

/** Where a search would put `value`: the first index whose element is larger. */
function upperBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Run {
  readonly start: number;
  readonly end: number;
  readonly isHeld: boolean;
}

export class Extents {
  /** By index: where the range starts, and where it ends. */
  #starts: number[] = [];
  #ends: number[] = [];
  #totalBytes = 0;

  get count(): number {
    return this.#starts.length;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** How many bytes of the range are not held. */
  missing(start: number, end: number): number {
    let bytes = 0;
    for (const run of this.runs(start, end)) if (!run.isHeld) bytes += run.end - run.start;
    return bytes;
  }

  add(start: number, end: number): void {
    if (start >= end) return;
    // The first range that ends at or after the start, the first that starts after the end.
    let first = upperBound(this.#ends, start);
    if (first > 0 && this.#ends[first - 1] === start) first--;
    const last = upperBound(this.#starts, end);
    const merged = first < last;
    const from = merged ? Math.min(start, this.#starts[first] as number) : start;
    const to = merged ? Math.max(end, this.#ends[last - 1] as number) : end;
    for (let index = first; index < last; index++) {
      this.#totalBytes -= (this.#ends[index] as number) - (this.#starts[index] as number);
    }
    this.#starts.splice(first, last - first, from);
    this.#ends.splice(first, last - first, to);
    this.#totalBytes += to - from;
  }

  remove(start: number, end: number): void {
    if (start >= end) return;
    const first = upperBound(this.#ends, start);
    const last = upperBound(this.#starts, end - 1);
    if (first >= last) return;
    const starts: number[] = [];
    const ends: number[] = [];
    const head = this.#starts[first] as number;
    const tail = this.#ends[last - 1] as number;
    for (let index = first; index < last; index++) {
      this.#totalBytes -= (this.#ends[index] as number) - (this.#starts[index] as number);
    }
    if (head < start) {
      starts.push(head);
      ends.push(start);
      this.#totalBytes += start - head;
    }
    if (tail > end) {
      starts.push(end);
      ends.push(tail);
      this.#totalBytes += tail - end;
    }
    this.#starts.splice(first, last - first, ...starts);
    this.#ends.splice(first, last - first, ...ends);
  }

  /** The range in order, held and not held in turn. */
  *runs(start: number, end: number): IterableIterator<Run> {
    let at = start;
    for (let index = upperBound(this.#ends, start); at < end; index++) {
      const from = Math.min(this.#starts[index] ?? end, end);
      const to = Math.min(this.#ends[index] ?? end, end);
      if (from > at) yield { start: at, end: from, isHeld: false };
      const heldFrom = Math.max(from, at);
      if (to > heldFrom) yield { start: heldFrom, end: to, isHeld: true };
      at = Math.max(to, at);
    }
  }
}
