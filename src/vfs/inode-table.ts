/**
 * Inodes: what the kernel may name by number. An inode is permanent while the kernel holds lookups
 * of it, while it is open, or while it has children here; its attributes are a copy of what the
 * cluster said at `checkedMs` and expire.
 *
 * INVARIANT: an inode is in the table exactly while lookups, open handles or children remain (the
 * root always is).
 * INVARIANT: `parent.children.get(name) === inode`, unless the name has since become another inode.
 */
import { assert } from '../base/assert.ts';
import { joinPath } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { CachedFile } from '../cache/index.ts';
import type { PosixAttributes } from '../store/index.ts';
import type { Listing } from './listing.ts';
import type { StagedFile } from './staged-file.ts';
import { INCARNATION_STRIDE, ROOT_INODE } from './types.ts';
import type { FileKind, InodeId, StatusMessage, VersionMessage } from './types.ts';

/** One version of a file's content, shared by all handles that opened that version. */
export interface Content extends CachedFile {
  /** The same bytes may get another version: a renamed file has a new time in the cluster. */
  version: VersionMessage;
  /** The path holds another version now; whoever still reads this one gets ESTALE. */
  isStale: boolean;
  /** What was written to it was given up, since it was gone: who wrote it is told at every turn. */
  isLost: boolean;
  /** What this mount has written over it: whoever reads this one goes on there. */
  successor: Content | undefined;
  /** Where the bytes of an unlinked file lie while somebody has it open. */
  keptPath: ByteString | undefined;
}

export interface Inode {
  readonly ino: InodeId;
  /** Unlike `ino` never used again. */
  readonly serial: number;
  parent: Inode | undefined;
  name: ByteString;
  readonly kind: FileKind;
  lengthBytes: number;
  mtimeMs: number;
  mode: number | undefined;
  contentHash: string | undefined;
  posix: PosixAttributes | undefined;
  touchedMs: number;
  isUnlinked: boolean;
  /** When the cluster was asked for these attributes; -Infinity: must be asked again. */
  checkedMs: number;
  /** When a read found that this version was gone: who saw it before then saw old news. */
  outdatedMs: number;
  lookups: number;
  openHandles: number;
  childCount: number;
  children: Map<ByteString, Inode> | undefined;
  /** Of a directory: the latest listing, complete or under way. */
  listing: Listing | undefined;
  /** Of a directory: names asked for one by one since there was a listing. */
  statsSinceListing: number;
  /** Of a directory: how many entries its last listing had. */
  listedEntries: number;
  /** Of a file: the current version's content, once opened. */
  content: Content | undefined;
  /** The content that the kernel may hold pages of since the last open. */
  openedContent: Content | undefined;
  /** Open handles of files; `openHandles` counts whatever holds the inode. */
  openFiles: number;
  /** Those of them that may write. */
  writers: number;
  /** Of a file whose name is being taken away, and its bytes with it: who waits to open it. */
  departing: (() => void)[] | undefined;
  /** Of a file: changes that the cluster does not have. */
  staged: StagedFile | undefined;
  /** The cluster has nothing under this name yet. */
  isLocal: boolean;
}

export class InodeTable {
  readonly root: Inode;
  readonly #base: number;
  /** By `ino - base`; index 0 is never used. */
  readonly #inodes: (Inode | undefined)[] = [undefined];
  readonly #free: number[] = [];
  #count = 1;
  #lastSerial = 0;
  /** Where the last search for forgettable inodes ended. */
  #hand = 0;

  constructor(incarnation: number, nowMs: number, wallMs: number) {
    this.#base = incarnation * INCARNATION_STRIDE;
    this.root = {
      ...blank(ROOT_INODE, undefined, '' as ByteString, 'directory'),
      mtimeMs: wallMs,
      checkedMs: nowMs,
    };
  }

  get count(): number {
    return this.#count;
  }

  find(ino: InodeId): Inode | undefined {
    if (ino === ROOT_INODE) return this.root;
    const index = ino - this.#base;
    return index > 0 && index < this.#inodes.length ? this.#inodes[index] : undefined;
  }

  /** The child as last known, however old the knowledge. */
  child(parent: Inode, name: ByteString): Inode | undefined {
    return parent.children?.get(name);
  }

  /** A new inode that replaces whatever the name was before. */
  create(parent: Inode, name: ByteString, status: StatusMessage, checkedMs: number): Inode {
    const index = this.#free.pop() ?? this.#inodes.length;
    const inode: Inode = {
      ...blank((this.#base + index) as InodeId, parent, name, status.kind),
      serial: ++this.#lastSerial,
      lengthBytes: status.lengthBytes,
      mtimeMs: status.mtimeMs,
      mode: status.mode,
      contentHash: status.contentHash,
      posix: status.posix,
      checkedMs,
    };
    this.#inodes[index] = inode;
    this.#count++;
    parent.children ??= new Map();
    parent.children.set(name, inode);
    parent.childCount++;
    return inode;
  }

  /** Takes the name from an inode that may still be open or remembered by the kernel. */
  detach(inode: Inode): void {
    const children = inode.parent?.children;
    if (children?.get(inode.name) === inode) children.delete(inode.name);
  }

  /** Gives the inode another name, which must not lead to another inode any more. */
  move(inode: Inode, parent: Inode, name: ByteString): void {
    this.detach(inode);
    const oldParent = inode.parent;
    assert(oldParent !== undefined, 'The root cannot be moved');
    oldParent.childCount--;
    inode.parent = parent;
    inode.name = name;
    parent.childCount++;
    parent.children ??= new Map();
    parent.children.set(name, inode);
  }

  /** Removes the inode, and parents it kept, where nothing holds them any more. */
  release(inode: Inode, onRemove: (inode: Inode) => void): void {
    let current: Inode | undefined = inode;
    while (
      current?.parent !== undefined &&
      current.lookups === 0 &&
      current.openHandles === 0 &&
      current.childCount === 0
    ) {
      const index: number = current.ino - this.#base;
      if (this.#inodes[index] !== current) return;
      onRemove(current);
      this.detach(current);
      this.#inodes[index] = undefined;
      this.#free.push(index);
      this.#count--;
      const parent: Inode = current.parent;
      parent.childCount--;
      current = parent;
    }
  }

  path(inode: Inode): ByteString {
    if (inode.parent === undefined) return '/' as ByteString;
    return joinPath(this.path(inode.parent), inode.name);
  }

  /**
   * Up to `count` inodes that only the kernel's memory of them keeps, taken round robin: those it
   * could forget without anybody noticing.
   */
  forgettable(count: number): Inode[] {
    const found: Inode[] = [];
    const { length } = this.#inodes;
    for (let step = 0; step < length && found.length < count; step++) {
      this.#hand = (this.#hand + 1) % length;
      const inode = this.#inodes[this.#hand];
      if (inode !== undefined && inode.openHandles === 0 && inode.childCount === 0) {
        found.push(inode);
      }
    }
    return found;
  }

  /** Every inode; for tests and for what touches all of them. */
  *all(): IterableIterator<Inode> {
    yield this.root;
    for (const inode of this.#inodes) if (inode !== undefined) yield inode;
  }

  /** For tests: walks everything and throws where an invariant is broken. */
  checkInvariants(): void {
    const childCounts = new Map<Inode, number>();
    let count = 0;
    for (const inode of this.all()) {
      count++;
      if (inode.parent === undefined) continue;
      assert(this.find(inode.parent.ino) === inode.parent, 'A parent left before its child');
      childCounts.set(inode.parent, (childCounts.get(inode.parent) ?? 0) + 1);
      assert(
        inode.lookups > 0 || inode.openHandles > 0 || inode.childCount > 0,
        'An inode that nothing holds is still in the table',
      );
    }
    assert(count === this.#count, 'The count of inodes is wrong');
    for (const inode of this.all()) {
      assert((childCounts.get(inode) ?? 0) === inode.childCount, 'A child count is wrong');
      for (const [name, child] of inode.children ?? []) {
        assert(child.parent === inode && child.name === name, 'A child is under another name');
        assert(this.find(child.ino) === child, 'A name leads to an inode that is gone');
      }
    }
  }
}

function blank(ino: InodeId, parent: Inode | undefined, name: ByteString, kind: FileKind): Inode {
  return {
    ino,
    serial: 0,
    parent,
    name,
    kind,
    lengthBytes: 0,
    mtimeMs: 0,
    mode: undefined,
    contentHash: undefined,
    posix: undefined,
    touchedMs: 0,
    isUnlinked: false,
    checkedMs: -Infinity,
    outdatedMs: -Infinity,
    lookups: 0,
    openHandles: 0,
    childCount: 0,
    children: undefined,
    listing: undefined,
    statsSinceListing: 0,
    listedEntries: 0,
    content: undefined,
    openedContent: undefined,
    openFiles: 0,
    writers: 0,
    departing: undefined,
    staged: undefined,
    isLocal: false,
  };
}

/** A hash that only one of the two has says nothing: not every port of a worker tells one. */
export function isSameVersion(a: VersionMessage, b: VersionMessage): boolean {
  const areHashesKnown = a.contentHash !== undefined && b.contentHash !== undefined;
  return (
    a.lengthBytes === b.lengthBytes &&
    a.mtimeMs === b.mtimeMs &&
    (!areHashesKnown || a.contentHash === b.contentHash)
  );
}
