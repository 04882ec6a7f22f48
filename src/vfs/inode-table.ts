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
import { Children } from './children.ts';
import { Inode, InodeNumbers } from './inode.ts';
import { INCARNATION_STRIDE, ROOT_INODE } from './types.ts';
import type { InodeId, StatusMessage, VersionMessage } from './types.ts';

/** Numbers of so many inodes are kept together. */
const BLOCK_INODES = 1024;

interface Block {
  readonly numbers: InodeNumbers;
  readonly inodes: (Inode | undefined)[];
}

export class InodeTable {
  readonly root: Inode;
  readonly #base: number;
  /** By `ino - base`, a block at a time: there is never a copy of them all. Index 0 is not used. */
  readonly #blocks: Block[] = [];
  /** Indices up to here have been used. */
  #last = 0;
  readonly #free: number[] = [];
  #count = 1;
  #lastSerial = 0;
  /** Where the last search for forgettable inodes ended. */
  #hand = 0;

  constructor(incarnation: number, nowMs: number, wallMs: number) {
    this.#base = incarnation * INCARNATION_STRIDE;
    const name = '' as ByteString;
    this.root = new Inode(new InodeNumbers(ROOT_INODE, 1), 0, undefined, name, 'directory', 0);
    this.root.mtimeMs = wallMs;
    this.root.checkedMs = nowMs;
  }

  get count(): number {
    return this.#count;
  }

  find(ino: InodeId): Inode | undefined {
    if (ino === ROOT_INODE) return this.root;
    const index = ino - this.#base;
    return index > 0 && index <= this.#last ? this.#at(index) : undefined;
  }

  #at(index: number): Inode | undefined {
    return this.#blocks[Math.floor(index / BLOCK_INODES)]?.inodes[index % BLOCK_INODES];
  }

  /** The child as last known, however old the knowledge. */
  child(parent: Inode, name: ByteString): Inode | undefined {
    return parent.children?.get(name);
  }

  /** A new inode that replaces whatever the name was before. */
  create(parent: Inode, name: ByteString, status: StatusMessage, checkedMs: number): Inode {
    const index = this.#free.pop() ?? ++this.#last;
    const { numbers, inodes } = this.#blockOf(index);
    const serial = ++this.#lastSerial;
    const inode = new Inode(numbers, index % BLOCK_INODES, parent, name, status.kind, serial);
    inode.take(status, checkedMs);
    inodes[index % BLOCK_INODES] = inode;
    this.#count++;
    this.#addChild(parent, inode);
    return inode;
  }

  #blockOf(index: number): Block {
    const number = Math.floor(index / BLOCK_INODES);
    const firstIno = this.#base + number * BLOCK_INODES;
    return (this.#blocks[number] ??= {
      numbers: new InodeNumbers(firstIno, BLOCK_INODES),
      inodes: Array<Inode | undefined>(BLOCK_INODES).fill(undefined),
    });
  }

  /** False: its name leads to another inode, or nowhere. */
  isNamed(inode: Inode): boolean {
    return inode.parent === undefined || this.child(inode.parent, inode.name) === inode;
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
    this.#addChild(parent, inode);
  }

  #addChild(parent: Inode, inode: Inode): void {
    parent.children ??= new Children();
    parent.children.set(inode);
    parent.childCount++;
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
      if (this.#at(index) !== current) return;
      onRemove(current);
      this.detach(current);
      current.leave();
      this.#blockOf(index).inodes[index % BLOCK_INODES] = undefined;
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
    for (let step = 0; step <= this.#last && found.length < count; step++) {
      this.#hand = (this.#hand + 1) % (this.#last + 1);
      const inode = this.#at(this.#hand);
      if (inode !== undefined && inode.openHandles === 0 && inode.childCount === 0) {
        found.push(inode);
      }
    }
    return found;
  }

  /** Every inode; for tests and for what touches all of them. */
  *all(): IterableIterator<Inode> {
    yield this.root;
    for (const { inodes } of this.#blocks) {
      for (const inode of inodes) if (inode !== undefined) yield inode;
    }
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
      for (const child of inode.children?.values() ?? []) {
        assert(child.parent === inode, 'A child is under another directory');
        assert(this.child(inode, child.name) === child, 'A child is not found by its name');
        assert(this.find(child.ino) === child, 'A name leads to an inode that is gone');
      }
    }
  }
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
