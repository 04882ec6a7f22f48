/** Versions of files' bytes: which one an inode has now, and which may come back. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import { reportFailure } from './context.ts';
import type { CoreContext } from './context.ts';
import { isSameVersion } from './inode-table.ts';
import type { Content, Inode } from './inode.ts';
import type { StagedFile } from './staged-file.ts';
import type { VersionMessage } from './types.ts';
import { versionOf } from './versions.ts';

const CHANGED = 'The file has changed on a mount that was said to be immutable';
/** Contents of files the kernel has forgotten: as many as the inodes one would re-read soon. */
const PARKED_MAX = 100_000;

export class Contents {
  readonly #context: CoreContext;
  readonly #parked = new LRUCache<ByteString, Content>({ max: PARKED_MAX });
  #nextFileId = 1;

  constructor(context: CoreContext) {
    this.#context = context;
  }

  /** The content of the inode's present version, with whatever pages are still cached of it. */
  of(inode: Inode): Content {
    if (inode.content !== undefined) return inode.content;
    const path = this.#context.inodes.path(inode);
    const version = versionOf(inode);
    const parked = this.#parked.get(path);
    if (parked !== undefined) {
      this.#parked.delete(path);
      if (!parked.isStale && isSameVersion(parked.version, version)) {
        inode.content = parked;
        return parked;
      }
      parked.isStale = true;
      this.#context.tier.drop(parked);
    }
    inode.content = this.#new(version);
    return inode.content;
  }

  /** Its readers keep to one version, and are not told by an open when there is another. */
  isFixed(inode: Inode): boolean {
    if (this.#context.passthrough.holds(inode)) return true;
    return this.#context.options.isImmutable && inode.kind === 'file';
  }

  /** The path has another version: readers of the old one get ESTALE, the kernel drops its pages. */
  drop(inode: Inode): void {
    const { content } = inode;
    if (content === undefined) return;
    content.isStale = true;
    inode.content = undefined;
    inode.openedContent = undefined;
    this.#context.tier.drop(content);
    if (this.#context.options.isImmutable) {
      // Not as 'stale', which happens any day.
      reportFailure(this.#context, inode, 'io', CHANGED);
    }
    if (inode.lookups > 0) this.#context.effects.invalidateInode(inode.ino);
  }

  /** The inode is being forgotten; its cached pages stay for the next who asks. */
  park(inode: Inode): void {
    const { content } = inode;
    if (content === undefined) return;
    if (inode.isUnlinked) this.#context.tier.drop(content);
    else if (content.pages.size > 0) {
      const path = this.#context.inodes.path(inode);
      const other = this.#parked.get(path);
      if (other !== undefined) this.#context.tier.drop(other);
      this.#parked.set(path, content);
    }
  }

  /** What was staged is the version that the cluster has. */
  saved(inode: Inode, staged: StagedFile, version: VersionMessage): void {
    const content = this.#new(version);
    const old = staged.base;
    staged.uploaded(content);
    old.successor = content;
    this.#context.tier.drop(old);
    // The kernel has seen every byte that was written.
    if (inode.openedContent === old) inode.openedContent = content;
    inode.content = content;
  }

  #new(version: VersionMessage): Content {
    return {
      fileId: this.#nextFileId++,
      lengthBytes: version.lengthBytes,
      pages: new Map(),
      version,
      isStale: false,
      isLost: false,
      successor: undefined,
      fetchedMs: -Infinity,
      backing: undefined,
      backingAskedMs: -Infinity,
      keptPath: undefined,
    };
  }
}
