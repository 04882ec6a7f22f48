/** Reading directories: entries are handed out while the listing still arrives. */
import type { CoreContext } from './context.ts';
import type { DirectoryHandle } from './handles.ts';
import type { Inode } from './inode.ts';
import type { Listing } from './listing.ts';
import { indexOf, offsetOf } from './kernel-listings.ts';
import type { Metadata } from './metadata.ts';
import { shownAttributes } from './posix.ts';
import { WalkAhead } from './walk-ahead.ts';
import type { EntrySink, InodeId, RequestId, StatusMessage } from './types.ts';
import type { ByteString } from '../base/byte-string.ts';

const DOT = '.' as ByteString;
const DOT_DOT = '..' as ByteString;
/** What user space shows for an entry whose inode number is not known (as libfuse does). */
const UNKNOWN_INODE = 0xffffffff as InodeId;

export interface ReaddirRequest {
  readonly request: RequestId;
  readonly handle: DirectoryHandle;
  readonly offset: number;
  readonly sizeBytes: number;
  /** With attributes; every entry taken is one more lookup. */
  readonly isPlus: boolean;
}

export class Directories {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #walks: WalkAhead;

  constructor(context: CoreContext, metadata: Metadata) {
    this.#context = context;
    this.#metadata = metadata;
    this.#walks = new WalkAhead(context, metadata);
  }

  tick(): void {
    this.#walks.tick();
  }

  open(request: RequestId, inode: Inode): void {
    const { replies, handles, counters, kernelListings } = this.#context;
    inode.openHandles++;
    counters.add('openDirectories');
    const handle: DirectoryHandle = {
      kind: 'directory',
      inode,
      listing: this.#metadata.list(inode),
      isRead: false,
    };
    const kept = kernelListings.opened(handle);
    replies.openedDirectory(request, handles.add(handle), kept);
  }

  readdir(call: ReaddirRequest): void {
    const { handle } = call;
    // rewinddir(3) asks for the directory as it is now; what opendir(3) found is for the first reader.
    if (call.offset === 0 && handle.isRead) {
      handle.listing = this.#metadata.list(handle.inode);
      this.#context.kernelListings.beginsAgain(handle, handle.listing);
    }
    if (!handle.isRead) this.#walks.opened(handle.inode, handle.listing);
    handle.isRead = true;
    if (this.#mustWait(call, handle.listing)) this.#wait(call, handle.listing);
    else this.#answer(call, handle.listing);
  }

  /** An answer without entries ends the directory for its reader: what comes later would be missed. */
  #mustWait(call: ReaddirRequest, listing: Listing): boolean {
    return listing.isArriving && !listing.hasShownFrom(indexOf(call.offset));
  }

  /** However many parts without anything new arrive, the deadline is that of the request. */
  #wait(call: ReaddirRequest, listing: Listing): void {
    const { pending, replies } = this.#context;
    let stop = (): void => {};
    const look = (): void => {
      if (this.#mustWait(call, listing)) stop = listing.whenMore(look);
      else if (pending.take(call.request)) this.#answer(call, listing);
    };
    look();
    pending.add(call.request, (code) => {
      stop();
      if (pending.take(call.request)) replies.error(call.request, code);
    });
  }

  #answer(call: ReaddirRequest, listing: Listing): void {
    const { replies } = this.#context;
    if (listing.error !== undefined) replies.error(call.request, listing.error);
    else replies.entries(call.request, call.sizeBytes, (sink) => this.#fill(call, sink));
  }

  #fill(call: ReaddirRequest, sink: EntrySink): void {
    const { inode, listing } = call.handle;
    const parent = inode.parent ?? inode;
    let offset = call.offset;
    if (offset === 0) {
      if (!sink.add(DOT, inode.ino, 'directory', 1)) return;
      offset = 1;
    }
    if (offset === 1) {
      if (!sink.add(DOT_DOT, parent.ino, 'directory', 2)) return;
      offset = 2;
    }
    for (let index = indexOf(offset); index < listing.count; index++) {
      const status = listing.status(index);
      if (status === undefined) continue;
      const name = listing.name(index);
      const nextOffset = offsetOf(listing, index + 1);
      const isAdded = call.isPlus
        ? this.#addPlus(inode, name, status, call.handle, nextOffset, sink)
        : sink.add(
            name,
            this.#context.inodes.child(inode, name)?.ino ?? UNKNOWN_INODE,
            status.kind,
            nextOffset,
          );
      if (!isAdded) return;
    }
  }

  #addPlus(
    directory: Inode,
    name: ByteString,
    status: StatusMessage,
    handle: DirectoryHandle,
    nextOffset: number,
    sink: EntrySink,
  ): boolean {
    const { listing } = handle;
    const child = this.#metadata.adoptListed(directory, name, status, listing);
    const isAdded = sink.addPlus(
      name,
      shownAttributes(child),
      this.#metadata.attrTtlMs(child),
      this.#metadata.entryTtlMs(child),
      nextOffset,
    );
    if (isAdded) child.lookups++;
    // An inode made for an entry that did not fit goes at once.
    else this.#metadata.release(child);
    return isAdded;
  }
}
