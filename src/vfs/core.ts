/**
 * The VFS core: a synchronous state machine. Kernel requests, job results and ticks come in; replies,
 * jobs and kernel notifications go out. It holds no promise, reads no clock but the one given, and
 * never blocks, so that a whole execution can be replayed from a seed.
 *
 * INVARIANT: every request is answered exactly once, at once or later.
 */
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText, bytesOfByteString, NAME_BYTES_MAX } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { PageTier } from '../cache/index.ts';
import type { CoreContext } from './context.ts';
import { Counters } from './counters.ts';
import { Directories } from './directories.ts';
import { Handles } from './handles.ts';
import { InodeTable } from './inode-table.ts';
import type { Inode } from './inode-table.ts';
import { Metadata } from './metadata.ts';
import { Jobs, PendingRequests } from './pending.ts';
import { ReadAhead } from './read-ahead.ts';
import { Reader } from './reader.ts';
import type {
  CoreEffects,
  CoreOptions,
  CoreReplies,
  HandleId,
  InodeId,
  JobResult,
  RequestId,
} from './types.ts';

/** A tick's work: some milliseconds; four ticks a second keep up with any walk of a tree. */
const TRIM_BATCH = 8192;

const XATTR_WORKER = 'user.alluxio.worker' as ByteString;
const XATTR_UFS_PATH = 'user.alluxio.ufs_path' as ByteString;
const XATTR_CACHED = 'user.alluxio.cached' as ByteString;
const DIRECTORY_XATTRS: readonly ByteString[] = [XATTR_WORKER, XATTR_UFS_PATH];
const FILE_XATTRS: readonly ByteString[] = [...DIRECTORY_XATTRS, XATTR_CACHED];
const ACL_PREFIX = 'system.posix_acl_';

export type SeekWhence = 'data' | 'hole';

export interface CoreParts {
  readonly options: CoreOptions;
  readonly clock: Clock;
  readonly wallMs: number;
  readonly counters: Counters;
  readonly tier: PageTier;
  readonly replies: CoreReplies;
  readonly effects: CoreEffects;
}

/** `inodes` counts the root. */
export interface CoreCounts {
  readonly inodes: number;
  readonly handles: number;
  readonly requests: number;
  readonly jobs: number;
}

export class Core {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #reader: Reader;
  readonly #directories: Directories;

  constructor(parts: CoreParts) {
    const { options, clock, counters, tier, replies, effects } = parts;
    this.#context = {
      options,
      clock,
      counters,
      replies,
      effects,
      tier,
      inodes: new InodeTable(options.incarnation, clock.nowMs(), parts.wallMs),
      handles: new Handles(options.incarnation, options.handlesMax),
      jobs: new Jobs(effects, counters),
      pending: new PendingRequests(clock, options.requestTimeoutMs, counters),
    };
    this.#metadata = new Metadata(this.#context);
    this.#reader = new Reader(this.#context, this.#metadata);
    this.#directories = new Directories(this.#context, this.#metadata);
  }

  /** A true answer is one more lookup of the inode. */
  lookup(request: RequestId, parentIno: InodeId, name: ByteString): void {
    const { replies, inodes } = this.#context;
    const parent = inodes.find(parentIno);
    if (parent === undefined) replies.error(request, 'stale');
    else if (parent.kind !== 'directory') replies.error(request, 'not-a-directory');
    else if (name.length > NAME_BYTES_MAX) replies.error(request, 'name-too-long');
    else if (name === '.') this.#found(request, parent);
    else if (name === '..') this.#found(request, parent.parent ?? parent);
    else {
      this.#resolve(
        request,
        (waiter) => this.#metadata.resolve(parent, name, waiter),
        (inode) => this.#found(request, inode),
        (ttlMs) => replies.negativeEntry(request, ttlMs),
      );
    }
  }

  #found(request: RequestId, inode: Inode): void {
    inode.lookups++;
    const attrTtlMs = this.#metadata.attrTtlMs(inode);
    this.#context.replies.entry(request, inode, attrTtlMs, this.#metadata.entryTtlMs(inode));
  }

  /** Waits for a question if it has to, within the deadline, and answers errors. */
  #resolve(
    request: RequestId,
    ask: (waiter: Parameters<Metadata['refresh']>[1]) => void,
    found: (inode: Inode) => void,
    absent: (ttlMs: number) => void,
  ): void {
    const { replies, pending } = this.#context;
    let isAnswered = false;
    let isWaiting = false;
    const settle = (answer: () => void): void => {
      if (isWaiting ? !pending.take(request) : isAnswered) return;
      isAnswered = true;
      answer();
    };
    ask({
      found: (inode) => settle(() => found(inode)),
      absent: (ttlMs) => settle(() => absent(ttlMs)),
      failed: (code) => settle(() => replies.error(request, code)),
    });
    if (isAnswered) return;
    isWaiting = true;
    pending.add(request, (code) => {
      if (pending.take(request)) replies.error(request, code);
    });
  }

  /** The kernel gives lookups back; no answer. */
  forget(ino: InodeId, lookups: number): void {
    const inode = this.#context.inodes.find(ino);
    // Inodes of an earlier life of the daemon are forgotten already.
    if (inode === undefined || inode.parent === undefined) return;
    inode.lookups = Math.max(0, inode.lookups - lookups);
    this.#metadata.release(inode);
  }

  getattr(request: RequestId, ino: InodeId): void {
    const { replies, inodes } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) {
      replies.error(request, 'stale');
      return;
    }
    this.#resolve(
      request,
      (waiter) => this.#metadata.refresh(inode, waiter),
      (fresh) => {
        // The name became something else: the kernel must look it up again.
        if (fresh !== inode) replies.error(request, 'stale');
        else replies.attributes(request, fresh, this.#metadata.attrTtlMs(fresh));
      },
      () => replies.error(request, 'not-found'),
    );
  }

  /** Permissions are the kernel's business (default_permissions); here only existence counts. */
  access(request: RequestId, ino: InodeId, wantsWrite: boolean): void {
    const { replies, inodes } = this.#context;
    if (inodes.find(ino) === undefined) replies.error(request, 'stale');
    else if (wantsWrite) replies.error(request, 'read-only');
    else replies.ok(request);
  }

  open(request: RequestId, ino: InodeId, wantsWrite: boolean): void {
    const { replies, inodes, handles } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (inode.kind !== 'file') replies.error(request, 'is-a-directory');
    else if (wantsWrite) replies.error(request, 'read-only');
    else if (handles.isFull) replies.error(request, 'limit');
    else {
      this.#resolve(
        request,
        (waiter) => this.#metadata.refresh(inode, waiter),
        (fresh) => {
          if (fresh === inode) this.#opened(request, inode);
          else replies.error(request, 'stale');
        },
        () => replies.error(request, 'not-found'),
      );
    }
  }

  #opened(request: RequestId, inode: Inode): void {
    const { handles, replies, options, counters } = this.#context;
    // Others may have been opened while this one waited.
    if (handles.isFull) {
      replies.error(request, 'limit');
      return;
    }
    const content = this.#metadata.contentOf(inode);
    const keepCache = inode.openedContent === content;
    inode.openedContent = content;
    inode.openHandles++;
    const readAhead = new ReadAhead(options.readAheadBytes);
    const handle = handles.add({ kind: 'file', inode, content, readAhead });
    counters.add('openFiles');
    replies.opened(request, handle, keepCache);
    this.#reader.warm(inode, content);
  }

  read(request: RequestId, handleId: HandleId, offset: number, sizeBytes: number): void {
    const handle = this.#context.handles.find(handleId, 'file');
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else this.#reader.read(request, handle, offset, sizeBytes);
  }

  release(request: RequestId, handleId: HandleId): void {
    this.#dropHandle(handleId);
    this.#context.replies.ok(request);
  }

  #dropHandle(handleId: HandleId): void {
    const handle = this.#context.handles.remove(handleId);
    if (handle === undefined) return;
    this.#context.counters.add(handle.kind === 'file' ? 'openFiles' : 'openDirectories', -1);
    handle.inode.openHandles--;
    this.#metadata.release(handle.inode);
  }

  /** The open was interrupted before the kernel took the handle: no release will come. */
  discardHandle(handleId: HandleId): void {
    this.#dropHandle(handleId);
  }

  opendir(request: RequestId, ino: InodeId): void {
    const { replies, inodes, handles, counters } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (inode.kind !== 'directory') replies.error(request, 'not-a-directory');
    else if (handles.isFull) replies.error(request, 'limit');
    else {
      inode.openHandles++;
      const listing = this.#metadata.list(inode);
      counters.add('openDirectories');
      replies.openedDirectory(
        request,
        handles.add({ kind: 'directory', inode, listing, isRead: false }),
      );
    }
  }

  readdir(
    request: RequestId,
    handleId: HandleId,
    range: { readonly offset: number; readonly sizeBytes: number; readonly isPlus: boolean },
  ): void {
    const handle = this.#context.handles.find(handleId, 'directory');
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else this.#directories.readdir({ request, handle, ...range });
  }

  /** The cluster has no holes: all of a file is data, and its end is the only hole. */
  lseek(request: RequestId, handleId: HandleId, offset: number, whence: SeekWhence): void {
    const { replies, handles } = this.#context;
    const handle = handles.find(handleId, 'file');
    if (typeof handle === 'string') replies.error(request, handle);
    else if (offset < 0 || offset >= handle.content.lengthBytes) replies.error(request, 'no-data');
    else replies.offset(request, whence === 'data' ? offset : handle.content.lengthBytes);
  }

  listxattr(request: RequestId, ino: InodeId, sizeBytes: number): void {
    const { replies, inodes } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) {
      replies.error(request, 'stale');
      return;
    }
    const own = inode.kind === 'file' ? FILE_XATTRS : DIRECTORY_XATTRS;
    const names = own.map((name) => `${name}\0`).join('');
    this.#answerValue(request, byteStringOfText(names), sizeBytes);
  }

  getxattr(request: RequestId, ino: InodeId, name: ByteString, sizeBytes: number): void {
    const { replies, inodes } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (name.startsWith(ACL_PREFIX)) replies.error(request, 'unsupported');
    else if (name === XATTR_CACHED && inode.kind === 'file') {
      this.#answerValue(request, byteStringOfText(this.#cachedPages(inode)), sizeBytes);
    } else if (name === XATTR_WORKER || name === XATTR_UFS_PATH) {
      this.#locate(request, inode, name, sizeBytes);
    } else replies.error(request, 'no-attribute');
  }

  /** '<pages in memory>/<pages of the file>'. */
  #cachedPages(inode: Inode): string {
    const total = Math.ceil(inode.lengthBytes / this.#context.tier.pageSizeBytes);
    let ready = 0;
    for (const page of inode.content?.pages.values() ?? []) if (page.state === 'ready') ready++;
    return `${ready}/${total}`;
  }

  #locate(request: RequestId, inode: Inode, name: ByteString, sizeBytes: number): void {
    const { jobs, pending, replies } = this.#context;
    pending.add(request, (code) => {
      if (pending.take(request)) replies.error(request, code);
    });
    jobs.submit(
      (id) => ({ kind: 'locate', id, path: this.#context.inodes.path(inode) }),
      (result) => {
        if (!pending.take(request)) return true;
        if (result.kind !== 'located') {
          replies.error(request, result.kind === 'failed' ? result.code : 'io');
        } else if (name === XATTR_UFS_PATH) {
          this.#answerValue(request, result.ufsPath, sizeBytes);
        } else if (result.workers.length === 0) replies.error(request, 'no-attribute');
        else this.#answerValue(request, byteStringOfText(result.workers.join(',')), sizeBytes);
        return true;
      },
    );
  }

  #answerValue(request: RequestId, value: ByteString, sizeBytes: number): void {
    const bytes = bytesOfByteString(value);
    if (sizeBytes > 0 && bytes.length > sizeBytes) this.#context.replies.error(request, 'range');
    else this.#context.replies.attributeValue(request, bytes, sizeBytes);
  }

  /** The program that made the request was interrupted; a request answered before is no matter. */
  interrupt(target: RequestId): void {
    this.#context.pending.interrupt(target);
  }

  deliver(result: JobResult): void {
    this.#context.jobs.deliver(result);
    this.publish();
  }

  /** To be called now and then, at least every second while requests wait. */
  tick(): void {
    this.#context.pending.expire();
    this.#trimInodes();
    this.publish();
  }

  /** Only the kernel can let an inode go; past the bound it is asked to, a batch at a time. */
  #trimInodes(): void {
    const { inodes, options, effects } = this.#context;
    const excess = inodes.count - options.inodesMax;
    if (excess <= 0) return;
    for (const inode of inodes.forgettable(Math.min(excess, TRIM_BATCH))) {
      if (inode.parent !== undefined) effects.invalidateEntry(inode.parent.ino, inode.name);
    }
  }

  /** Whether the next tick must come soon: deadlines to watch, or inodes to let go. */
  get isBusy(): boolean {
    const { pending, inodes, options } = this.#context;
    return pending.count > 0 || inodes.count > options.inodesMax;
  }

  /** Answers all that wait: the mount is going away. */
  shutdown(): void {
    this.#context.pending.failAll('shutting-down');
  }

  /** Writes the gauges where other threads read them. */
  publish(): void {
    const { counters, tier, inodes } = this.#context;
    const usage = tier.usage();
    counters.set('slotsFilling', usage.slotsFilling);
    counters.set('slotsReady', usage.slotsReady);
    counters.set('evictedPages', usage.evictedPages);
    counters.set('wastedBytes', usage.wastedBytes);
    counters.set('inodes', inodes.count);
  }

  /** For tests: throws where an invariant is broken. */
  checkInvariants(): void {
    this.#context.inodes.checkInvariants();
    this.#reader.checkInvariants();
  }

  /** For tests: what is held. */
  counts(): CoreCounts {
    const { inodes, handles, pending, jobs } = this.#context;
    return {
      inodes: inodes.count,
      handles: handles.count,
      requests: pending.count,
      jobs: jobs.count,
    };
  }
}
