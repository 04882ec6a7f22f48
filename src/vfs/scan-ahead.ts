/**
 * Fetching the next small files of a directory, where its files are opened in the order in which it
 * lists them: as programs do that walk a tree, and training that does not shuffle.
 */
import { LRUCache } from 'lru-cache';
import type { CoreContext } from './context.ts';
import type { Inode } from './inode.ts';
import type { Listing } from './listing.ts';
import type { Metadata } from './metadata.ts';
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
/** Directories scanned at a time; some 5 KB each. */
const SCANS_MAX = 256;

/** The order in which the files of one directory are opened. Files are numbers of its listing. */
export class ScanOrder {
  /** The furthest one that was opened in order. */
  #front: number | undefined;
  /** The first one that was not looked at yet. */
  #next = 0;
  #credit = 0;
  /** Fetched ahead and not opened yet, with their bytes; in the order of the listing. */
  readonly #ahead = new Map<number, number>();
  #aheadBytes = 0;

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
    if (isAhead) this.#credit = Math.min(this.#credit + GAIN, AHEAD_FILES_MAX);
    else if (this.#credit === 0 && file === front + 1) this.#credit = 1;
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

export class ScanAhead {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #reader: Reader;
  readonly #scans = new LRUCache<Inode, { readonly listingId: number; readonly order: ScanOrder }>({
    max: SCANS_MAX,
  });

  constructor(context: CoreContext, metadata: Metadata, reader: Reader) {
    this.#context = context;
    this.#metadata = metadata;
    this.#reader = reader;
  }

  /** Somebody begins to read the file, which the kernel and the disk do not have. */
  opened({ parent, name }: Inode): void {
    const bytesMax = this.#context.options.readAheadBytes;
    const listing = parent?.listing;
    if (parent === undefined || listing === undefined || bytesMax === 0) return;
    const index = this.#metadata.isFresh(listing) ? listing.indexOf(name) : undefined;
    if (index === undefined) return;
    const order = this.#orderOf(parent, listing);
    order.opened(index);
    for (let next = order.next(bytesMax); next !== undefined; next = order.next(bytesMax)) {
      if (next >= listing.count) return;
      const bytes = this.#fetch(parent, listing, next, order);
      if (bytes === undefined) return;
      order.noted(bytes);
    }
  }

  #orderOf(directory: Inode, { id }: Listing): ScanOrder {
    const known = this.#scans.get(directory);
    if (known?.listingId === id) return known.order;
    const order = new ScanOrder();
    this.#scans.set(directory, { listingId: id, order });
    return order;
  }

  /** The bytes that are on their way now; undefined: there is no room for them. */
  #fetch(directory: Inode, listing: Listing, index: number, order: ScanOrder): number | undefined {
    const status = listing.status(index);
    if (status?.kind !== 'file' || !this.#reader.isSmall(status.lengthBytes)) return 0;
    const inode = this.#metadata.adoptListed(directory, listing.name(index), status, listing);
    const bytes = this.#begin(inode, (error) => {
      if (error !== undefined) order.failed(index);
    });
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
