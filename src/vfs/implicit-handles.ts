/**
 * What stands in for handles where the kernel reads files that it never opened: how far a file was read,
 * so that it can be read ahead. The kernel tells nothing of who reads, or of the end of it, so all
 * readers of an inode share one, and only of so many inodes is it remembered; what is forgotten
 * costs nothing but read-ahead.
 */
import { LRUCache } from 'lru-cache';
import type { FileHandle } from './handles.ts';
import type { Content, Inode } from './inode.ts';
import { ReadAhead } from './read-ahead.ts';
import type { WindowLimit } from './read-ahead.ts';

/** Some 300 bytes each; more files than anybody reads at a time. */
const REMEMBERED_MAX = 8192;

export class ImplicitHandles {
  readonly #windowLimit: WindowLimit;
  readonly #handles = new LRUCache<Inode, FileHandle>({ max: REMEMBERED_MAX });

  constructor(windowLimit: WindowLimit) {
    this.#windowLimit = windowLimit;
  }

  of(inode: Inode, contentOf: (inode: Inode) => Content): FileHandle {
    const known = this.#handles.get(inode);
    if (known !== undefined) return known;
    const readAhead = new ReadAhead(this.#windowLimit);
    const content = contentOf(inode);
    const no = { canWrite: false, isPassthrough: false };
    const handle: FileHandle = { kind: 'file', inode, content, readAhead, ...no };
    this.#handles.set(inode, handle);
    return handle;
  }

  /** The inode is gone, and everything with it. */
  forget(inode: Inode): void {
    this.#handles.delete(inode);
  }
}
