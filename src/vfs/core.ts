/**
 * The VFS core: a synchronous state machine. Kernel requests, job results and ticks come in; replies,
 * jobs and kernel notifications go out. It holds no promise, reads no clock but the one given, and
 * never blocks, so that a whole execution can be replayed from a seed.
 *
 * INVARIANT: every request is answered exactly once, at once or later.
 */
import type { ByteString } from '../base/byte-string.ts';
import { bytesOfByteString, joinPath, NAME_BYTES_MAX } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { PageTier, StagingArea } from '../cache/index.ts';
import { Asking } from './asking.ts';
import { AttributeChanges } from './attribute-changes.ts';
import type { AttributesWanted } from './attribute-changes.ts';
import type { CoreContext } from './context.ts';
import { Counters } from './counters.ts';
import { Directories } from './directories.ts';
import { contentOfHandle, Handles } from './handles.ts';
import type { FileHandle } from './handles.ts';
import { ImplicitHandles } from './implicit-handles.ts';
import { InodeTable } from './inode-table.ts';
import type { Inode } from './inode.ts';
import { KernelListings } from './kernel-listings.ts';
import { Metadata } from './metadata.ts';
import { Moves } from './moves.ts';
import { NameChanges } from './name-changes.ts';
import type { Creation } from './name-changes.ts';
import { NO_BACKING_FILES, Passthrough } from './passthrough.ts';
import type { BackingFiles } from './passthrough.ts';
import { WindowLimit } from './read-ahead.ts';
import { Jobs, PendingRequests } from './pending.ts';
import { Opening } from './opening.ts';
import type { OpenMode } from './opening.ts';
import { shownAttributes } from './posix.ts';
import { Reader } from './reader.ts';
import type { SeekWhence } from './reader.ts';
import type {
  CoreEffects,
  CoreOptions,
  CoreReplies,
  FsErrorCode,
  HandleId,
  InodeId,
  JobResult,
  RequestId,
  SpecialKind,
} from './types.ts';
import { NO_HANDLE } from './types.ts';
import { Writer } from './writer.ts';

/** A tick's work: some milliseconds; four ticks a second keep up with any walk of a tree. */
const TRIM_BATCH = 8192;

export interface CoreParts {
  readonly options: CoreOptions;
  readonly clock: Clock;
  readonly wallMs: number;
  readonly counters: Counters;
  readonly tier: PageTier;
  readonly staging: StagingArea;
  readonly backings?: BackingFiles;
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
  readonly #writer: Writer;
  readonly #names: NameChanges;
  readonly #opening: Opening;
  readonly #attributes: AttributeChanges;

  constructor(parts: CoreParts) {
    const { options, clock, counters, tier, replies, effects } = parts;
    const wallOffsetMs = parts.wallMs - clock.nowMs();
    const pending = new PendingRequests(clock, options.requestTimeoutMs, counters);
    const moves = new Moves();
    const { slotBytes, slotsTotal } = tier.usage();
    const windowLimit = new WindowLimit(options.readAheadBytes, slotBytes * slotsTotal);
    this.#context = {
      options,
      clock,
      counters,
      replies,
      effects,
      tier,
      staging: parts.staging,
      wallNowMs: () => wallOffsetMs + clock.nowMs(),
      inodes: new InodeTable(options.incarnation, clock.nowMs(), parts.wallMs),
      handles: new Handles(options.incarnation, options.handlesMax),
      implicit: new ImplicitHandles(windowLimit),
      windowLimit,
      passthrough: new Passthrough(() => this.#context, parts.backings ?? NO_BACKING_FILES),
      jobs: new Jobs(effects, counters),
      moves,
      pending,
      asking: new Asking(pending, replies, moves),
      kernelListings: new KernelListings({ clock, effects, options }),
    };
    this.#metadata = new Metadata(this.#context);
    this.#directories = new Directories(this.#context, this.#metadata);
    this.#writer = new Writer(this.#context, this.#metadata);
    this.#reader = new Reader(this.#context, this.#metadata, this.#writer);
    this.#names = new NameChanges(this.#context, this.#metadata, this.#writer, (request, inode) =>
      this.#found(request, inode),
    );
    this.#opening = new Opening(this.#context, {
      metadata: this.#metadata,
      reader: this.#reader,
      writer: this.#writer,
      names: this.#names,
    });
    this.#attributes = new AttributeChanges(this.#context, this.#metadata, this.#writer);
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
      this.#context.asking.resolve(
        request,
        (waiter) => this.#metadata.resolve(parent, name, waiter),
        (inode) => this.#found(request, inode),
        (ttlMs) => {
          // Whether or not the cluster had to be asked.
          if (this.#isTooLong(parent, name)) replies.error(request, 'name-too-long');
          else replies.negativeEntry(request, ttlMs);
        },
      );
    }
  }

  #found(request: RequestId, inode: Inode): void {
    inode.lookups++;
    const attrTtlMs = this.#metadata.attrTtlMs(inode);
    const entryTtlMs = this.#metadata.entryTtlMs(inode);
    this.#context.replies.entry(request, shownAttributes(inode), attrTtlMs, entryTtlMs);
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
    // Whoever still has the old version open in passthrough reads on, and sees what it reads.
    if (!inodes.isNamed(inode) && this.#context.passthrough.holds(inode)) {
      this.#attributes.answer(request, inode);
      return;
    }
    this.#context.asking.resolve(
      request,
      (waiter) => this.#metadata.refresh(inode, waiter),
      (fresh) => {
        // The name became something else: the kernel must look it up again.
        if (fresh !== inode) replies.error(request, 'stale');
        else this.#attributes.answer(request, fresh);
      },
      () => replies.error(request, 'not-found'),
    );
  }

  /** Permissions are the kernel's business (default_permissions); here only existence counts. */
  access(request: RequestId, ino: InodeId, wantsWrite: boolean): void {
    const { replies, inodes, options } = this.#context;
    if (inodes.find(ino) === undefined) replies.error(request, 'stale');
    else if (wantsWrite && options.isReadOnly) replies.error(request, 'read-only');
    else replies.ok(request);
  }

  open(request: RequestId, ino: InodeId, mode: OpenMode): void {
    const { replies, inodes, handles, options } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (inode.kind !== 'file') replies.error(request, 'is-a-directory');
    else if (mode.wantsWrite && options.isReadOnly) replies.error(request, 'read-only');
    else if (handles.isFull) replies.error(request, 'limit');
    else {
      this.#context.asking.resolve(
        request,
        (waiter) => this.#metadata.refresh(inode, waiter),
        (fresh) => {
          if (fresh === inode) this.#opening.open(request, inode, mode);
          else replies.error(request, 'stale');
        },
        () => replies.error(request, 'not-found'),
      );
    }
  }

  #isTooLong(parent: Inode, name: ByteString): boolean {
    const { inodes, options } = this.#context;
    return joinPath(inodes.path(parent), name).length > options.pathBytesMax;
  }

  /** The directory for a new or old name; undefined: the request was answered. */
  #parentFor(request: RequestId, parentIno: InodeId, name: ByteString): Inode | undefined {
    const { replies, inodes, options } = this.#context;
    const parent = inodes.find(parentIno);
    if (parent === undefined) replies.error(request, 'stale');
    else if (options.isReadOnly) replies.error(request, 'read-only');
    else if (parent.kind !== 'directory') replies.error(request, 'not-a-directory');
    else if (parent.isUnlinked) replies.error(request, 'not-found');
    else if (name.length > NAME_BYTES_MAX) replies.error(request, 'name-too-long');
    else if (name === '.' || name === '..' || name === '') replies.error(request, 'invalid');
    else if (this.#isTooLong(parent, name)) replies.error(request, 'name-too-long');
    else return parent;
    return undefined;
  }

  mkdir(request: RequestId, parentIno: InodeId, name: ByteString, creation: Creation): void {
    const parent = this.#parentFor(request, parentIno, name);
    if (parent !== undefined) this.#names.makeDirectory(request, parent, name, creation);
  }

  create(
    request: RequestId,
    parentIno: InodeId,
    name: ByteString,
    creation: Creation & OpenMode & { readonly isExclusive: boolean },
  ): void {
    const parent = this.#parentFor(request, parentIno, name);
    if (parent !== undefined) this.#opening.create(request, parent, name, creation);
  }

  makeFile(request: RequestId, parentIno: InodeId, name: ByteString, creation: Creation): void {
    const parent = this.#parentFor(request, parentIno, name);
    if (parent === undefined) return;
    this.#opening.makeFile(request, parent, name, creation, (inode) => this.#found(request, inode));
  }

  makeNode(
    request: RequestId,
    parentIno: InodeId,
    name: ByteString,
    nodeKind: SpecialKind,
    creation: Parameters<NameChanges['makeNode']>[4],
  ): void {
    const parent = this.#parentFor(request, parentIno, name);
    if (parent !== undefined) this.#names.makeNode(request, parent, name, nodeKind, creation);
  }

  /** The cluster has one name for each file. */
  link(request: RequestId): void {
    const { options, replies } = this.#context;
    replies.error(request, options.isReadOnly ? 'read-only' : 'not-permitted');
  }

  readlink(request: RequestId, ino: InodeId): void {
    const { replies, inodes } = this.#context;
    const inode = inodes.find(ino);
    const target = inode?.posix?.target;
    if (inode === undefined) replies.error(request, 'stale');
    else if (inode.kind !== 'symlink' || target === undefined) replies.error(request, 'invalid');
    else replies.data(request, [bytesOfByteString(target)], target.length);
  }

  unlink(request: RequestId, parentIno: InodeId, name: ByteString): void {
    this.#remove(request, parentIno, name, (parent, child) =>
      this.#names.unlink(request, parent, name, child),
    );
  }

  rmdir(request: RequestId, parentIno: InodeId, name: ByteString): void {
    this.#remove(request, parentIno, name, (parent, child) =>
      this.#names.removeDirectory(request, parent, name, child),
    );
  }

  #remove(
    request: RequestId,
    parentIno: InodeId,
    name: ByteString,
    remove: (parent: Inode, child: Inode) => void,
  ): void {
    const parent = this.#parentFor(request, parentIno, name);
    if (parent === undefined) return;
    this.#context.asking.resolve(
      request,
      (waiter) => this.#metadata.resolve(parent, name, waiter),
      (child) => remove(parent, child),
      () => this.#context.replies.error(request, 'not-found'),
    );
  }

  rename(
    request: RequestId,
    from: { readonly parent: InodeId; readonly name: ByteString },
    to: { readonly parent: InodeId; readonly name: ByteString },
    isExclusive: boolean,
  ): void {
    const { replies, inodes, asking } = this.#context;
    const oldParent = this.#parentFor(request, from.parent, from.name);
    if (oldParent === undefined) return;
    const newParent = this.#parentFor(request, to.parent, to.name);
    if (newParent === undefined) return;
    const rename = (): void =>
      asking.resolve(
        request,
        (waiter) => this.#metadata.resolve(oldParent, from.name, waiter),
        (child) => {
          const source = { parent: oldParent, name: from.name, child };
          // Asked for just now; if it has left the table since, nobody has it open.
          const target = inodes.child(newParent, to.name);
          const place = { parent: newParent, name: to.name, child: target };
          this.#names.rename(request, source, place, isExclusive);
        },
        () => replies.error(request, 'not-found'),
      );
    asking.resolve(
      request,
      (waiter) => this.#metadata.resolve(newParent, to.name, waiter),
      rename,
      rename,
    );
  }

  setattr(
    request: RequestId,
    ino: InodeId,
    handleId: HandleId | undefined,
    wanted: AttributesWanted,
  ): void {
    const { replies, inodes, options } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (options.isReadOnly) replies.error(request, 'read-only');
    else if (wanted.lengthBytes !== undefined && inode.kind === 'directory') {
      replies.error(request, 'is-a-directory');
    } else if (wanted.lengthBytes !== undefined && inode.kind !== 'file') {
      replies.error(request, 'invalid');
    } else {
      this.#context.asking.resolve(
        request,
        (waiter) => this.#metadata.refresh(inode, waiter),
        (fresh) => {
          if (fresh !== inode) replies.error(request, 'stale');
          else this.#attributes.setattr(request, inode, handleId, wanted);
        },
        () => replies.error(request, 'not-found'),
      );
    }
  }

  /** `ino` is needed where the kernel opens no files. */
  read(
    request: RequestId,
    handleId: HandleId,
    offset: number,
    sizeBytes: number,
    ino?: InodeId,
  ): void {
    const handle = this.#file(handleId, ino);
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else {
      this.#reader.read(request, handle, offset, sizeBytes);
      if (handleId === NO_HANDLE && offset === 0) this.#opening.begun(handle);
    }
  }

  #file(handleId: HandleId, ino: InodeId | undefined): FileHandle | FsErrorCode {
    const { handles, implicit, inodes } = this.#context;
    if (handleId !== NO_HANDLE || ino === undefined) return handles.find(handleId, 'file');
    const inode = inodes.find(ino);
    // Of an earlier life, or the name leads to another version: who opens it again finds that.
    if (inode === undefined || !inodes.isNamed(inode)) return 'stale';
    if (inode.kind !== 'file') return 'bad-handle';
    return implicit.of(inode, (each) => this.#metadata.contentOf(each));
  }

  write(
    request: RequestId,
    handleId: HandleId,
    offset: number,
    data: Uint8Array,
    clearsPrivileges: boolean,
  ): void {
    const handle = this.#writable(request, handleId);
    if (handle !== undefined) {
      this.#writer.write(request, handle, offset, data, clearsPrivileges);
    }
  }

  allocate(
    request: RequestId,
    handleId: HandleId,
    offset: number,
    lengthBytes: number,
    how: Parameters<Writer['allocate']>[4],
  ): void {
    const handle = this.#writable(request, handleId);
    if (handle !== undefined) this.#writer.allocate(request, handle, offset, lengthBytes, how);
  }

  #writable(request: RequestId, handleId: HandleId): FileHandle | undefined {
    const handle = this.#context.handles.find(handleId, 'file');
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else if (!handle.canWrite) this.#context.replies.error(request, 'bad-handle');
    else return handle;
    return undefined;
  }

  /** Every close(2): returns the error of the upload, or of the journal. */
  flush(request: RequestId, handleId: HandleId): void {
    const handle = this.#context.handles.find(handleId, 'file');
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else if (!handle.canWrite) this.#context.replies.ok(request);
    else if (contentOfHandle(handle).isLost) this.#context.replies.error(request, 'stale');
    else this.#writer.save(request, handle.inode);
  }

  /** fsync(2): the cluster itself has it, whatever the write mode. */
  sync(request: RequestId, handleId: HandleId): void {
    const { handles, replies, options } = this.#context;
    const handle = handles.find(handleId, 'file');
    if (typeof handle === 'string') replies.error(request, handle);
    else if (options.isReadOnly || handle.inode.isUnlinked) replies.ok(request);
    else if (contentOfHandle(handle).isLost) replies.error(request, 'stale');
    else this.#writer.sync(request, handle.inode);
  }

  /** fsync(2) of a directory: what was acknowledged of its entries is in the cluster. */
  syncDirectory(request: RequestId, handleId: HandleId): void {
    const { handles, replies, options } = this.#context;
    const handle = handles.find(handleId, 'directory');
    if (typeof handle === 'string') replies.error(request, handle);
    else if (options.isReadOnly) replies.ok(request);
    else this.#writer.syncDirectory(request, handle.inode);
  }

  release(request: RequestId, handleId: HandleId): void {
    this.#opening.drop(handleId);
    this.#context.replies.ok(request);
  }

  /** The open was interrupted before the kernel took the handle: no release will come. */
  discardHandle(handleId: HandleId): void {
    this.#opening.drop(handleId);
  }

  opendir(request: RequestId, ino: InodeId): void {
    const { replies, inodes, handles } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (inode.kind !== 'directory') replies.error(request, 'not-a-directory');
    else if (handles.isFull) replies.error(request, 'limit');
    else this.#directories.open(request, inode);
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

  lseek(
    request: RequestId,
    handleId: HandleId,
    offset: number,
    whence: SeekWhence,
    ino?: InodeId,
  ): void {
    const handle = this.#file(handleId, ino);
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else this.#reader.seek(request, handle, offset, whence);
  }

  listxattr(request: RequestId, ino: InodeId, sizeBytes: number): void {
    this.#attributes.listxattr(request, ino, sizeBytes);
  }

  getxattr(request: RequestId, ino: InodeId, name: ByteString, sizeBytes: number): void {
    this.#attributes.getxattr(request, ino, name, sizeBytes);
  }

  /** A value of undefined removes the attribute. */
  setxattr(
    request: RequestId,
    ino: InodeId,
    name: ByteString,
    value: Uint8Array | undefined,
    must: 'create' | 'replace' | 'either',
  ): void {
    this.#attributes.setxattr(request, ino, name, value, must);
  }

  /** The program that made the request ends; a request answered before is no matter. */
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
    this.#context.kernelListings.tick();
    this.#directories.tick();
    this.#writer.tick();
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

  /** Whether the next tick must come soon: deadlines to watch, inodes to let go, the like. */
  get isBusy(): boolean {
    const { pending, inodes, options, kernelListings } = this.#context;
    const hasMany = inodes.count > options.inodesMax;
    return pending.count > 0 || hasMany || kernelListings.isBusy || this.#writer.isBusy;
  }

  /** Answers all that wait: the mount is going away. */
  shutdown(): void {
    this.#context.pending.failAll('shutting-down');
  }

  /** Files whose changes the store does not have. */
  unsavedCount(): number {
    return this.#context.counters.get('stagedFiles');
  }

  /** Saves what nobody has saved yet; how many files are left to be. */
  saveAll(): number {
    return this.#writer.saveAll();
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
    this.#context.passthrough.checkInvariants();
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
