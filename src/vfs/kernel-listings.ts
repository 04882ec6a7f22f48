/**
 * The kernel keeps the entries of a directory, too, and answers readers from them without asking; it
 * drops them when this mount changes the directory, and when it is told to. Offsets of entries mean
 * something within one listing only, so:
 *
 * INVARIANT: of the open handles of a directory, the kernel answers at most one from what it keeps.
 */
import type { CoreContext } from './context.ts';
import type { DirectoryHandle } from './handles.ts';
import type { Listing } from './listing.ts';

/**
 * What the kernel keeps of the entries: `new` from now on, `kept` as they are, `apart` for other readers
 * but not for this one.
 */
export type EntriesKept = 'new' | 'kept' | 'apart';

/** What the kernel was shown of a directory last, and who may be answered with it. */
export interface ShownListing {
  readonly id: number;
  readonly changes: number;
  reader: DirectoryHandle | undefined;
}

/** After a restart, the kernel has handles of the life before that nobody here knows. */
const QUIET_AFTER_RESTART_MS = 60_000;

export class KernelListings {
  readonly #context: Pick<CoreContext, 'clock' | 'effects' | 'options'>;
  readonly #firstMs: number;
  /** Open ones that may be answered by the kernel for longer than their listing is believed. */
  readonly #lasting = new Set<DirectoryHandle>();

  constructor(context: Pick<CoreContext, 'clock' | 'effects' | 'options'>) {
    this.#context = context;
    const isFirstLife = context.options.incarnation === 1;
    this.#firstMs = isFirstLife ? -Infinity : context.clock.nowMs() + QUIET_AFTER_RESTART_MS;
  }

  get isBusy(): boolean {
    return this.#lasting.size > 0;
  }

  opened(handle: DirectoryHandle): EntriesKept {
    const { inode, listing } = handle;
    const { shown } = inode;
    if (
      shown?.reader !== undefined ||
      !listing.isFresh(this.#context) ||
      this.#context.clock.nowMs() < this.#firstMs
    ) {
      return 'apart';
    }
    const isKept = shown?.id === listing.id && shown.changes === listing.changes;
    this.#show(handle, listing);
    return isKept ? 'kept' : 'new';
  }

  /** It reads from the start again, what is found now. */
  beginsAgain(handle: DirectoryHandle, listing: Listing): void {
    if (handle.inode.shown?.reader === handle) this.#show(handle, listing);
  }

  #show(handle: DirectoryHandle, { id, changes }: Listing): void {
    handle.inode.shown = { id, changes, reader: handle };
    this.#lasting.add(handle);
  }

  closed(handle: DirectoryHandle): void {
    this.#lasting.delete(handle);
    const { shown } = handle.inode;
    if (shown?.reader === handle) shown.reader = undefined;
  }

  /** Who holds a directory open and reads it again must see it anew some time. */
  tick(): void {
    for (const handle of this.#lasting) {
      const { inode, listing } = handle;
      if (listing.isArriving || listing.isFresh(this.#context)) continue;
      this.#lasting.delete(handle);
      this.#context.effects.invalidateInode(inode.ino);
    }
  }
}

/**
 * Offsets 0 and 1 are '.' and '..'; then come the listing's entries. The kernel joins what it reads by
 * offset, so those of two listings must not meet.
 */
const FIRST_ENTRY_OFFSET = 2;
/** More than a listing has entries; number and index fit into the 53 bits of a double. */
const OFFSETS_OF_LISTING = 2 ** 24;
const LISTING_IDS = 2 ** 28;

export function offsetOf(listing: Listing, index: number): number {
  if (index === 0) return FIRST_ENTRY_OFFSET;
  return (listing.id % LISTING_IDS) * OFFSETS_OF_LISTING + index + FIRST_ENTRY_OFFSET;
}

/** An offset of another listing is one of a reader that began again and goes where it was: about there. */
export function indexOf(offset: number): number {
  return Math.max(0, (offset % OFFSETS_OF_LISTING) - FIRST_ENTRY_OFFSET);
}
