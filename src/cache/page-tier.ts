/**
 * The seam between the core and a tier of cached pages. The memory tier (slab) is the one the
 * kernel is answered from; other tiers fill pages of this one instead of the network.
 */

/** One version of one file, as the cache knows it. */
export interface CachedFile {
  /** Unique for the life of the process; a changed version of the same path has another. */
  readonly fileId: number;
  readonly lengthBytes: number;
  /** By page index: pages being filled and pages ready. */
  readonly pages: Map<number, Page>;
}

export type PageState = 'filling' | 'ready' | 'dropped';

export interface Page {
  readonly file: CachedFile;
  readonly index: number;
  readonly lengthBytes: number;
  /** Slots that hold the bytes, in order. */
  readonly slots: readonly number[];
  state: PageState;
  /** While above zero the page is not evicted. */
  pins: number;
  /** Fetched ahead of any reader and not read yet. */
  isUnread: boolean;
}

export interface PageTier {
  readonly pageSizeBytes: number;
  /** The page if it is ready or being filled. */
  find(file: CachedFile, pageIndex: number): Page | undefined;
  /** Whether pages of these lengths could all be reserved now, by evicting if need be. */
  canReserve(lengthsBytes: readonly number[]): boolean;
  /** Takes slots for a page, evicting the least recently used ones; undefined when none is left. */
  reserve(file: CachedFile, pageIndex: number, isAhead: boolean): Page | undefined;
  /** The bytes of a page being filled are all there. */
  complete(page: Page): void;
  /** The fill ended without the bytes; only now may its slots be used again. */
  abandon(page: Page): void;
  /** The page was read: it becomes the most recently used. */
  touch(page: Page): void;
  /** Keeps the page from eviction until `unpin`, as often as it was pinned. */
  pin(page: Page): void;
  unpin(page: Page): void;
  /** Forgets a file's pages; those being filled go when their fill ends. */
  drop(file: CachedFile): void;
  /** Appends views of `length` bytes from `offsetInPage` on; valid until the next reserve. */
  segments(page: Page, offsetInPage: number, length: number, out: Uint8Array[]): void;
  usage(): PageTierUsage;
}

export interface PageTierUsage {
  readonly slotBytes: number;
  readonly slotsTotal: number;
  readonly slotsFilling: number;
  readonly slotsReady: number;
  readonly evictedPages: number;
  /** Bytes fetched ahead that were evicted or dropped before anyone read them. */
  readonly wastedBytes: number;
}
