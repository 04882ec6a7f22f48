/**
 * Fetching the next small files of a directory, where its files are opened in an order: as programs do
 * that walk a tree, and training that does not shuffle.
 */
import type { CoreContext } from './context.ts';
import type { Inode } from './inode.ts';
import type { Listing } from './listing.ts';
import type { Metadata } from './metadata.ts';
import { AsListed, Counted, Sorted, type Numbering } from './numberings.ts';
import type { Reader } from './reader.ts';
import type { FsErrorCode } from './types.ts';

/** Several readers share a scan file by file or in batches: they come this far out of order. */
const REORDER_FILES = 64;
/** What one reader needs on the longest line that we know of: 100 ms at a file a millisecond or two. */
const AHEAD_FILES_MAX = 64;
/**
 * Two neighbours opened one after the other bring a first try. Each file fetched ahead costs one, and
 * one that is opened later brings two: a scan that uses all of them fetches ever further ahead, one
 * that uses less than half of them ends.
 */
const GAIN = 2;
/** As many are sorted in some 30 ms, once for each listing; nobody is answered meanwhile. */
const SORTED_MAX = 20_000;
/** By then a scan in the order of the listing, or of numbers, would have been found. */
const OPENS_BEFORE_SORTING = 4;

/** In which order the files of one directory are opened, by one way to number them. */
export class ScanOrder {
  /** The furthest one that was opened in order. */
  #front: number | undefined;
  /** The first one that was not looked at yet. */
  #next = 0;
  #credit = 0;
  #isProven = false;
  /** Fetched ahead and not opened yet, with their bytes; the least number first. */
  readonly #ahead = new Map<number, number>();
  #aheadBytes = 0;

  /** Files in this order were fetched ahead and opened later. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** The file that may be fetched ahead next; undefined: none now. */
  next(bytesMax: number): number | undefined {
    if (this.#front === undefined || this.#credit === 0) return undefined;
    const isFull = this.#ahead.size >= AHEAD_FILES_MAX || this.#aheadBytes >= bytesMax;
    return isFull || this.#next > this.#front + REORDER_FILES ? undefined : this.#next;
  }

  opened(file: number): void {
    const isAhead = this.#ahead.has(file);
    this.#drop(file);
    const front = this.#front;
    if (front === undefined || Math.abs(file - front) > REORDER_FILES) {
      for (const each of this.#ahead.keys()) this.#drop(each);
      this.#credit = 0;
      this.#front = file;
      this.#next = file + 1;
      return;
    }
    if (isAhead) {
      this.#credit = Math.min(this.#credit + GAIN, AHEAD_FILES_MAX);
      this.#isProven = true;
    } else if (this.#credit === 0 && file === front + 1) this.#credit = 1;
    if (file <= front) return;
    this.#front = file;
    this.#next = Math.max(this.#next, file + 1);
    for (const each of this.#ahead.keys()) {
      if (each >= file - REORDER_FILES) break;
      this.#drop(each);
    }
  }

  /** The next file was looked at, and so many bytes of it are being fetched: all or none. */
  noted(bytes: number): void {
    if (bytes > 0) {
      this.#ahead.set(this.#next, bytes);
      this.#aheadBytes += bytes;
      this.#credit--;
    }
    this.#next++;
  }

  /** Fetched ahead in vain: its credit is lost. */
  failed(file: number): void {
    this.#drop(file);
  }

  #drop(file: number): void {
    this.#aheadBytes -= this.#ahead.get(file) ?? 0;
    this.#ahead.delete(file);
  }
}

/** One directory, by one listing of it. */
class Scan {
  readonly #listing: Listing;
  readonly #orders = new Map<Numbering, ScanOrder>();
  #counted: Numbering | undefined;
  #sorted: Numbering | undefined;
  #opens = 0;

  constructor(listing: Listing) {
    this.#listing = listing;
    this.#orders.set(new AsListed(listing), new ScanOrder());
  }

  /** All orders that this file continues or begins. */
  *opened(index: number): Generator<readonly [Numbering, ScanOrder], void, undefined> {
    this.#opens++;
    if (this.#counted?.numberOf(index) === undefined) this.#countLike(index);
    if (this.#sorted === undefined && this.#opens >= OPENS_BEFORE_SORTING) this.#sort();
    for (const [numbering, order] of this.#orders) {
      const number = numbering.numberOf(index);
      if (number === undefined) continue;
      order.opened(number);
      yield [numbering, order];
    }
  }

  #countLike(index: number): void {
    if (this.#counted !== undefined) this.#orders.delete(this.#counted);
    this.#counted = Counted.like(this.#listing, index);
    if (this.#counted !== undefined) this.#orders.set(this.#counted, new ScanOrder());
  }

  #sort(): void {
    const isKnown = [...this.#orders.values()].some((order) => order.isProven);
    if (isKnown || !this.#listing.isComplete || this.#listing.count > SORTED_MAX) return;
    this.#sorted = new Sorted(this.#listing);
    this.#orders.set(this.#sorted, new ScanOrder());
  }
}

export class ScanAhead {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #reader: Reader;
  /** As many as there are listings, which are bounded. */
  readonly #scans = new WeakMap<Listing, Scan>();

  constructor(context: CoreContext, metadata: Metadata, reader: Reader) {
    this.#context = context;
    this.#metadata = metadata;
    this.#reader = reader;
  }

  /** Somebody begins to read the file, which the kernel and the disk do not have. */
  opened({ parent, name }: Inode): void {
    const listing = parent?.listing;
    if (parent === undefined || listing === undefined) return;
    if (this.#context.options.readAheadBytes === 0 || !listing.isFresh(this.#context)) return;
    const index = listing.indexOf(name);
    if (index === undefined) return;
    const scan = this.#scans.get(listing) ?? new Scan(listing);
    this.#scans.set(listing, scan);
    for (const [numbering, order] of scan.opened(index)) {
      this.#fetchNext(parent, listing, numbering, order);
    }
  }

  #fetchNext(directory: Inode, listing: Listing, numbering: Numbering, order: ScanOrder): void {
    const bytesMax = this.#context.options.readAheadBytes;
    for (;;) {
      const number = order.next(bytesMax);
      if (number === undefined || number >= numbering.end) return;
      const ended = (error: FsErrorCode | undefined): void => {
        if (error !== undefined) order.failed(number);
      };
      const index = numbering.indexOf(number);
      const bytes = index === undefined ? 0 : this.#fetch(directory, listing, index, ended);
      if (bytes === undefined) return;
      order.noted(bytes);
    }
  }

  /** The bytes that are on their way now; undefined: there is no room for them. */
  #fetch(
    directory: Inode,
    listing: Listing,
    index: number,
    ended: (error: FsErrorCode | undefined) => void,
  ): number | undefined {
    const status = listing.status(index);
    if (status?.kind !== 'file' || !this.#reader.isSmall(status.lengthBytes)) return 0;
    const inode = this.#metadata.adoptListed(directory, listing.name(index), status, listing);
    const bytes = this.#begin(inode, ended);
    this.#metadata.release(inode);
    return bytes;
  }

  #begin(inode: Inode, ended: (error: FsErrorCode | undefined) => void): number | undefined {
    // What was opened before, the kernel has; what is staged is here; what leaves is not to be read.
    const isKnown = inode.content !== undefined && inode.openedContent === inode.content;
    const isOurs = inode.staged !== undefined || inode.departing !== undefined;
    if (inode.kind !== 'file' || isKnown || isOurs) return 0;
    const content = this.#metadata.contentOf(inode);
    const { lengthBytes, pages, backing } = content;
    if (!this.#reader.isSmall(lengthBytes) || pages.size > 0 || backing !== undefined) return 0;
    return this.#reader.fetchAhead(inode, content, ended) ? lengthBytes : undefined;
  }
}
