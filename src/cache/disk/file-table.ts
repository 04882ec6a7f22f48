/**
 * What one cache directory holds: a row for each file in typed arrays, some 75 bytes a file, found by
 * key through open addressing; and the order of use. Plain synchronous state.
 *
 * INVARIANT: every row is either free, or in the buckets and in the list of use exactly once.
 */
import { assert } from '../../base/assert.ts';
import { KEY_WORDS } from './cache-key.ts';
import type { CacheKey } from './cache-key.ts';
import { PageSums } from './page-sums.ts';
import type { FileIdentity, PageSum } from './records.ts';

declare const rowBrand: unique symbol;
/** Names a file until it is removed; then the number may come again, with another nonce. */
export type Row = number & { readonly [rowBrand]: true };

const NONE = -1;
/** Bounds the memory of a table (some 160 MB). Row and time share a number's 53 bits while sorted. */
const ROWS_MAX = 2 ** 21;
const FIRST_CAPACITY = 1024;
/** No file was changed at this very moment. */
const UNCHECKED = 0n;
/** What a file system gives out. */
const BLOCK_BYTES = 4096;

/** What shows that nobody touched a backing file since all of it was seen to be right. */
export interface Seen {
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

/** Of a last use, in seconds: fits in 32 bits until 2106. */
export const nowS = (): number => Math.floor(Date.now() / 1000);

export function onDiskBytes(lengthBytes: number): number {
  return Math.ceil(lengthBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

export class FileTable {
  readonly pageSizeBytes: number;
  #capacity = FIRST_CAPACITY;
  #keys = new Uint32Array(KEY_WORDS * FIRST_CAPACITY);
  #nonces = new Uint32Array(FIRST_CAPACITY);
  #lengths = new Float64Array(FIRST_CAPACITY);
  #lastUsesS = new Uint32Array(FIRST_CAPACITY);
  /** Pages held. */
  #counts = new Uint32Array(FIRST_CAPACITY);
  /** Of files of one page: its checksum. */
  #sums = new Uint32Array(FIRST_CAPACITY);
  /** 1 while in use. */
  #isTaken = new Uint8Array(FIRST_CAPACITY);
  /** 1 where pages of it may be another's work: of an earlier life, or of who touched the file since. */
  #isUnsure = new Uint8Array(FIRST_CAPACITY);
  /** Of files of which all that is held was known to be right in this life of the daemon, as they were then. */
  #inos = new BigUint64Array(FIRST_CAPACITY);
  #ctimesNs = new BigInt64Array(FIRST_CAPACITY);
  #newer = new Int32Array(FIRST_CAPACITY);
  #older = new Int32Array(FIRST_CAPACITY);
  /** Of files of several pages. */
  readonly #many = new Map<Row, PageSums>();
  #buckets = new Int32Array(2 * FIRST_CAPACITY).fill(NONE);
  readonly #free: number[] = [];
  #rows = 0;
  #newest = NONE;
  #oldest = NONE;
  #fileCount = 0;
  #pageCount = 0;
  #usedBytes = 0;

  constructor(pageSizeBytes: number) {
    this.pageSizeBytes = pageSizeBytes;
  }

  get fileCount(): number {
    return this.#fileCount;
  }

  get pageCount(): number {
    return this.#pageCount;
  }

  get isFull(): boolean {
    return this.#free.length === 0 && this.#rows === ROWS_MAX;
  }

  /** Of backing files, as their pages take room on the disk. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  find(key: CacheKey): Row | undefined {
    const row = this.#buckets[this.#bucketOf(key, 0)] as number;
    return row === NONE ? undefined : (row as Row);
  }

  /** Only the very file: not a later one of the same key. */
  findExactly({ key, nonce }: FileIdentity): Row | undefined {
    const row = this.find(key);
    return row !== undefined && this.#nonces[row] === nonce ? row : undefined;
  }

  /** The most recently used from now on. The key must not be there. */
  add(
    { key, nonce }: FileIdentity,
    lengthBytes: number,
    lastUseS: number,
    { isLoaded }: { readonly isLoaded: boolean },
  ): Row {
    assert(!this.isFull, 'The table is full');
    // Buckets are twice the rows, so there is always an empty one.
    if (this.#free.length === 0 && this.#rows === this.#capacity) this.#grow();
    const row = (this.#free.pop() ?? this.#rows++) as Row;
    const bucket = this.#bucketOf(key, 0);
    assert(this.#buckets[bucket] === NONE, 'The file is in the table already');
    this.#buckets[bucket] = row;
    this.#keys.set(key, KEY_WORDS * row);
    this.#nonces[row] = nonce;
    this.#lengths[row] = lengthBytes;
    this.#lastUsesS[row] = lastUseS;
    this.#counts[row] = 0;
    this.#isTaken[row] = 1;
    this.#isUnsure[row] = isLoaded ? 1 : 0;
    this.#ctimesNs[row] = UNCHECKED;
    this.#fileCount++;
    this.#linkNewest(row);
    return row;
  }

  remove(row: Row): void {
    this.#usedBytes -= this.heldBytes(row);
    this.#pageCount -= this.#counts[row] as number;
    this.#many.delete(row);
    this.#unlink(row);
    this.#emptyBucket(this.#bucketOf(this.keyOf(row), 0));
    this.#isTaken[row] = 0;
    this.#free.push(row);
    this.#fileCount--;
  }

  keyOf(row: Row): CacheKey {
    return this.#keys.slice(KEY_WORDS * row, KEY_WORDS * (row + 1));
  }

  nonceOf(row: Row): number {
    return this.#nonces[row] as number;
  }

  identityOf(row: Row): FileIdentity {
    return { key: this.keyOf(row), nonce: this.#nonces[row] as number };
  }

  lengthOf(row: Row): number {
    return this.#lengths[row] as number;
  }

  lastUseOf(row: Row): number {
    return this.#lastUsesS[row] as number;
  }

  setLastUse(row: Row, lastUseS: number): void {
    this.#lastUsesS[row] = lastUseS;
  }

  /** Whether all of it has to be read before it is known to be right. */
  isUnsure(row: Row): boolean {
    return this.#isUnsure[row] === 1;
  }

  makeUnsure(row: Row): void {
    this.#isUnsure[row] = 1;
  }

  seenOf(row: Row): Seen | undefined {
    const ctimeNs = this.#ctimesNs[row] as bigint;
    return ctimeNs === UNCHECKED ? undefined : { ino: this.#inos[row] as bigint, ctimeNs };
  }

  /** Undefined: it is to be checked again. */
  setSeen(row: Row, seen: Seen | undefined): void {
    this.#inos[row] = seen?.ino ?? 0n;
    this.#ctimesNs[row] = seen?.ctimeNs ?? UNCHECKED;
  }

  pagesOf(row: Row): number {
    return Math.ceil(this.lengthOf(row) / this.pageSizeBytes);
  }

  pageLength(row: Row, index: number): number {
    return Math.min(this.pageSizeBytes, this.lengthOf(row) - index * this.pageSizeBytes);
  }

  heldPages(row: Row): number {
    return this.#counts[row] as number;
  }

  isComplete(row: Row): boolean {
    return this.heldPages(row) === this.pagesOf(row);
  }

  heldBytes(row: Row): number {
    const count = this.heldPages(row);
    if (count === 0) return 0;
    const last = this.pagesOf(row) - 1;
    const missing = this.hasPage(row, last)
      ? this.pageSizeBytes - onDiskBytes(this.pageLength(row, last))
      : 0;
    return count * this.pageSizeBytes - missing;
  }

  hasPage(row: Row, index: number): boolean {
    const many = this.#many.get(row);
    if (many !== undefined) return many.sumOf(index) !== undefined;
    return index === 0 && this.#counts[row] === 1;
  }

  sumOf(row: Row, index: number): number {
    return this.#many.get(row)?.sumOf(index) ?? (this.#sums[row] as number);
  }

  /** A page told again is as told last; one that the file cannot have is not taken. */
  addPage(row: Row, index: number, sum: number): void {
    const pages = this.pagesOf(row);
    if (index >= pages) return;
    const isNew = !this.hasPage(row, index);
    if (pages === 1) this.#sums[row] = sum;
    else {
      let many = this.#many.get(row);
      if (many === undefined) {
        many = new PageSums(pages);
        this.#many.set(row, many);
      }
      many.set(index, sum);
    }
    if (!isNew) return;
    (this.#counts[row] as number)++;
    this.#pageCount++;
    this.#usedBytes += onDiskBytes(this.pageLength(row, index));
  }

  sumsOf(row: Row): PageSum[] {
    const many = this.#many.get(row);
    if (many !== undefined) return many.all();
    return this.hasPage(row, 0) ? [{ index: 0, sum: this.sumOf(row, 0) }] : [];
  }

  /** It becomes the most recently used. */
  touch(row: Row): void {
    if (row === this.#newest) return;
    this.#unlink(row);
    this.#linkNewest(row);
  }

  /** From the least recently used on; the row told last may be removed meanwhile, others not. */
  *oldestFirst(): Generator<Row> {
    for (let row = this.#oldest; row !== NONE;) {
      const next = this.#newer[row] as number;
      yield row as Row;
      row = next;
    }
  }

  /** Orders all by the times of their last use, as a log tells them. */
  sortByUse(): void {
    // The row in the low part: one array of numbers sorts natively.
    const order = new Float64Array(this.#fileCount);
    let count = 0;
    for (let row = 0; row < this.#rows; row++) {
      if (this.#isTaken[row] === 1)
        order[count++] = (this.#lastUsesS[row] as number) * ROWS_MAX + row;
    }
    order.sort();
    [this.#newest, this.#oldest] = [NONE, NONE];
    for (const item of order) this.#linkNewest(item % ROWS_MAX);
  }

  /** To tell later which of the rows of now are still the same files. */
  snapshot(): {
    readonly rowsEnd: number;
    readonly stillThere: (row: Row) => FileIdentity | undefined;
  } {
    const nonces = this.#nonces.slice(0, this.#rows);
    const isTaken = this.#isTaken.slice(0, this.#rows);
    return {
      rowsEnd: this.#rows,
      stillThere: (row) => {
        const isSame = this.#isTaken[row] === 1 && this.#nonces[row] === nonces[row];
        return isSame && isTaken[row] === 1 ? this.identityOf(row) : undefined;
      },
    };
  }

  #linkNewest(row: number): void {
    this.#older[row] = this.#newest;
    this.#newer[row] = NONE;
    if (this.#newest !== NONE) this.#newer[this.#newest] = row;
    this.#newest = row;
    if (this.#oldest === NONE) this.#oldest = row;
  }

  #unlink(row: number): void {
    const [newer, older] = [this.#newer[row] as number, this.#older[row] as number];
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
  }

  /** Where the key is, or would go. Keys are hashes: their first word spreads them. */
  #bucketOf(words: Uint32Array, at: number): number {
    const mask = this.#buckets.length - 1;
    for (let bucket = (words[at] as number) & mask; ; bucket = (bucket + 1) & mask) {
      const row = this.#buckets[bucket] as number;
      if (row === NONE || this.#isKey(row, words, at)) return bucket;
    }
  }

  #isKey(row: number, words: Uint32Array, at: number): boolean {
    const own = KEY_WORDS * row;
    for (let word = 0; word < KEY_WORDS; word++) {
      if (this.#keys[own + word] !== words[at + word]) return false;
    }
    return true;
  }

  /** Moves back those behind it that would not be found any more. */
  #emptyBucket(emptied: number): void {
    const mask = this.#buckets.length - 1;
    let hole = emptied;
    for (let at = (hole + 1) & mask; this.#buckets[at] !== NONE; at = (at + 1) & mask) {
      const row = this.#buckets[at] as number;
      const home = (this.#keys[KEY_WORDS * row] as number) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.#buckets[hole] = row;
      hole = at;
    }
    this.#buckets[hole] = NONE;
  }

  #grow(): void {
    this.#capacity *= 2;
    const capacity = this.#capacity;
    this.#keys = copied(this.#keys, new Uint32Array(KEY_WORDS * capacity));
    this.#nonces = copied(this.#nonces, new Uint32Array(capacity));
    this.#lengths = copied(this.#lengths, new Float64Array(capacity));
    this.#lastUsesS = copied(this.#lastUsesS, new Uint32Array(capacity));
    this.#counts = copied(this.#counts, new Uint32Array(capacity));
    this.#sums = copied(this.#sums, new Uint32Array(capacity));
    this.#isTaken = copied(this.#isTaken, new Uint8Array(capacity));
    this.#isUnsure = copied(this.#isUnsure, new Uint8Array(capacity));
    this.#inos = copied(this.#inos, new BigUint64Array(capacity));
    this.#ctimesNs = copied(this.#ctimesNs, new BigInt64Array(capacity));
    this.#newer = copied(this.#newer, new Int32Array(capacity));
    this.#older = copied(this.#older, new Int32Array(capacity));
    this.#buckets = new Int32Array(2 * capacity).fill(NONE);
    for (let row = 0; row < this.#rows; row++) {
      if (this.#isTaken[row] !== 1) continue;
      this.#buckets[this.#bucketOf(this.#keys, KEY_WORDS * row)] = row;
    }
  }
}

function copied<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
