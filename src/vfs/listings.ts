/** Listings of directories: asked for once for all who wait, and kept for a while. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import { reportFailure } from './context.ts';
import type { CoreContext } from './context.ts';
import type { Inode } from './inode.ts';
import { Listing } from './listing.ts';
import type { OwnChanges } from './own-changes.ts';
import { failureOf } from './pending.ts';
import type { FsErrorCode, JobResult } from './types.ts';
import { isNews, isOlder, isOurs } from './versions.ts';

/** Some 200 bytes an entry while it is held: a gigabyte at most for one directory. */
export const LISTING_ENTRIES_MAX = 5_000_000;
/** So many single questions in one directory are answered cheaper by listing it. */
const STATS_BEFORE_LISTING = 3;
/** A worker lists some 10,000 entries in the time of some 1,000 single answers. */
const ENTRIES_PER_STAT = 10;

type Listed = Extract<JobResult, { readonly kind: 'listed' }>;

/** Who knows the names of a directory. */
interface Names {
  /** A complete listing tells of them. */
  settle(directory: Inode, listing: Listing): void;
  release(directory: Inode): void;
}

export class Listings {
  readonly #context: CoreContext;
  readonly #own: OwnChanges;
  readonly #names: Names;
  /** Complete ones that stay attached to their directory, within a bound on entries. */
  readonly #kept: LRUCache<Inode, Listing>;

  constructor(context: CoreContext, own: OwnChanges, names: Names) {
    this.#context = context;
    this.#own = own;
    this.#names = names;
    this.#kept = new LRUCache({
      maxSize: context.options.listingEntriesMax,
      maxEntrySize: context.options.listingEntriesMax,
      sizeCalculation: (listing) => listing.count + 1,
      dispose: (listing, inode) => {
        if (inode.listing === listing) inode.listing = undefined;
      },
    });
  }

  /**
   * Only names that exist make a listing worthwhile: it says nothing of missing ones. Each listing in
   * the background must be earned by as many questions as would have taken its time, so that a large
   * directory is not listed again and again for a few names.
   */
  listWhenWorthwhile(parent: Inode): void {
    const entries = parent.listedEntries / ENTRIES_PER_STAT;
    if (++parent.statsSinceListing < Math.max(STATS_BEFORE_LISTING, entries)) return;
    if (parent.listing?.isArriving === true) return;
    if (parent.listing?.isFresh(this.#context) === true) return;
    this.list(parent);
  }

  /** The directory's listing: the one at hand if it is fresh or arriving, else a new one. */
  list(directory: Inode): Listing {
    const present = directory.listing;
    if (present !== undefined && (present.isArriving || present.isFresh(this.#context)))
      return present;
    const listing = new Listing(this.#context.clock.nowMs(), this.#own.count);
    directory.listing = listing;
    directory.statsSinceListing = 0;
    this.#submit(directory, listing);
    return listing;
  }

  #submit(directory: Inode, listing: Listing): void {
    directory.openHandles++;
    const path = this.#context.inodes.path(directory);
    this.#context.jobs.submit(
      (id) => ({ kind: 'list', id, path }),
      (result) => {
        if (result.kind === 'listed' && !result.isLast) {
          if (listing.isArriving) this.#append(directory, listing, result);
          if (listing.isArriving && listing.count > LISTING_ENTRIES_MAX) {
            const reason = `The directory has more than ${LISTING_ENTRIES_MAX} entries`;
            this.#end(directory, listing, 'limit', reason);
            this.#context.effects.submit({ kind: 'cancel', id: result.id });
          }
          return false;
        }
        if (!listing.isArriving) {
          // Ended before by its bound: this is only the job's last word.
        } else if (result.kind === 'listed') {
          this.#append(directory, listing, result);
          directory.listedEntries = listing.count;
          if (directory.listing === listing) {
            if (!this.#context.moves.isMoving(directory)) this.#names.settle(directory, listing);
            this.keep(directory, listing);
          }
        } else {
          const { code, reason } = failureOf(result);
          const isOvertaken =
            code === 'not-found' && !directory.isUnlinked && this.#isOvertaken(directory, path);
          // Names that have come already are kept as they came.
          if (isOvertaken) this.#submitWhenStill(directory, listing);
          else this.#end(directory, listing, code, reason);
        }
        this.#context.counters.set('listingEntries', this.#kept.calculatedSize);
        directory.openHandles--;
        this.#names.release(directory);
        return true;
      },
    );
  }

  /** This mount is moving what was asked for, or has since: there it is not any more. */
  #isOvertaken(asked: Inode, path: ByteString): boolean {
    return this.#context.moves.isMoving(asked) || this.#context.inodes.path(asked) !== path;
  }

  #submitWhenStill(directory: Inode, listing: Listing): void {
    directory.openHandles++;
    this.#context.moves.whenStill(directory, () => {
      this.#submit(directory, listing);
      directory.openHandles--;
    });
  }

  /** What this mount has changed goes before what the cluster lists. */
  #append(directory: Inode, listing: Listing, { batch, isLast, unheardMs }: Listed): void {
    const own = this.#own.isEmpty ? undefined : this.#own.of(this.#context.inodes.path(directory));
    listing.append(batch, isLast, () => {
      for (const [name, change] of own ?? []) {
        if (!isNews(change, listing, unheardMs) && !this.#isUnsaved(directory, name)) continue;
        const status = listing.find(name);
        if (change.status === undefined) {
          if (status !== undefined && isOlder(status, change, listing)) listing.hide(name);
        } else if (status === undefined ? isLast : isOlder(status, change, listing)) {
          listing.put(name, change.status);
        }
      }
    });
  }

  /** No listing can know of it. */
  #isUnsaved(directory: Inode, name: ByteString): boolean {
    const child = this.#context.inodes.child(directory, name);
    return child !== undefined && isOurs(child);
  }

  /** One that is larger than all that may be kept is only its readers'. */
  keep(directory: Inode, listing: Listing): void {
    this.#kept.set(directory, listing);
    if (!this.#kept.has(directory)) directory.listing = undefined;
  }

  forget(directory: Inode): void {
    this.#kept.delete(directory);
  }

  #end(directory: Inode, listing: Listing, code: FsErrorCode, reason: string): void {
    if (directory.listing === listing) directory.listing = undefined;
    if (code !== 'not-found') reportFailure(this.#context, directory, code, reason);
    listing.fail(code);
  }
}
