/**
 * File content that programs change: staged locally, brought to the cluster by fsync(2) and close(2),
 * whose callers wait for the outcome.
 *
 * INVARIANT: a file that nobody has open for writing has no staged changes, unless an upload of them
 * is under way, waits for a change of its name, or has failed; those that failed are tried again by `tick`.
 */
import { reportFailure } from './context.ts';
import type { CoreContext } from './context.ts';
import { contentOfHandle } from './handles.ts';
import type { FileHandle } from './handles.ts';
import type { Content, Inode } from './inode.ts';
import type { Metadata } from './metadata.ts';
import { modeWithoutPrivileges, shownMtimeMs } from './posix.ts';
import { StagedFile } from './staged-file.ts';
import { failureOf } from './pending.ts';
import type { FsErrorCode, RequestId } from './types.ts';

/** Larger offsets are mistakes: an upload of so many zeros would take days. */
export const FILE_BYTES_MAX = 2 ** 40;
/** How the reason begins that is told of a change that nobody has but this mount. */
export const NOT_SAVED = 'The file could not be saved';
const RETRY_MS_FIRST = 2_000;
const RETRY_MS_MAX = 60_000;

/** Somebody waits until the cluster has everything up to a generation. */
interface Waiter {
  readonly generation: number;
  readonly done: (error: FsErrorCode | undefined) => void;
}

interface Saving {
  waiters: Waiter[];
  /** Calls that must wait until no upload is under way. */
  settled: (() => void)[];
}

interface Unsaved {
  retryMs: number;
  delayMs: number;
}

export class Writer {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #saving = new Map<Inode, Saving>();
  /** Nobody has these open, and their last upload failed. */
  readonly #unsaved = new Map<Inode, Unsaved>();
  /** Uploads that wait for a change of the name. */
  readonly #heldBack = new Set<Inode>();

  constructor(context: CoreContext, metadata: Metadata) {
    this.#context = context;
    this.#metadata = metadata;
  }

  get isBusy(): boolean {
    return this.#unsaved.size > 0;
  }

  write(
    request: RequestId,
    handle: FileHandle,
    offset: number,
    data: Uint8Array,
    clearsPrivileges: boolean,
  ): void {
    const { replies } = this.#context;
    const { inode } = handle;
    if (this.mustWait(inode)) {
      // The buffer is used again.
      const copy = Uint8Array.from(data);
      this.#afterUpload(request, inode, () =>
        this.write(request, handle, offset, copy, clearsPrivileges),
      );
      return;
    }
    const error = this.#change(inode, contentOfHandle(handle), (staged) => {
      if (offset + data.length > FILE_BYTES_MAX) return 'too-large';
      return staged.write(data, offset, this.#context.wallNowMs());
    });
    if (error !== undefined) {
      replies.error(request, error);
      return;
    }
    if (clearsPrivileges) this.clearPrivileges(inode);
    this.#context.counters.add('writtenBytes', data.length);
    replies.written(request, data.length);
  }

  /** Cuts or extends the file, or says why not; not while `mustWait`. */
  truncate(inode: Inode, content: Content, lengthBytes: number): FsErrorCode | undefined {
    return this.#change(inode, content, (staged) => {
      if (lengthBytes > FILE_BYTES_MAX) return 'too-large';
      return staged.truncate(lengthBytes, this.#context.wallNowMs());
    });
  }

  /** As fallocate(2): room is not reserved ahead, but the length grows. */
  allocate(
    request: RequestId,
    handle: FileHandle,
    offset: number,
    lengthBytes: number,
    how: 'extend' | 'keep-size' | 'zero' | 'punch',
  ): void {
    const { inode } = handle;
    if (this.mustWait(inode)) {
      this.#afterUpload(request, inode, () =>
        this.allocate(request, handle, offset, lengthBytes, how),
      );
      return;
    }
    const end = offset + lengthBytes;
    const error = this.#change(inode, contentOfHandle(handle), (staged) => {
      if (end > FILE_BYTES_MAX) return 'too-large';
      const nowMs = this.#context.wallNowMs();
      // A change of the file, also where it changes no byte: programs see the time of local ones.
      staged.touch(nowMs);
      if (how === 'extend' && end > staged.lengthBytes) return staged.truncate(end, nowMs);
      if (how === 'zero' || how === 'punch') {
        const to = Math.min(end, staged.lengthBytes);
        const zeroed = staged.zero(offset, to, nowMs);
        if (zeroed !== undefined || how === 'punch' || end <= staged.lengthBytes) return zeroed;
        return staged.truncate(end, nowMs);
      }
      return undefined;
    });
    if (error === undefined) this.#context.replies.ok(request);
    else this.#context.replies.error(request, error);
  }

  /**
   * Whether a change must wait until no upload is under way: one that is handed over must not change
   * at all, and none may be cut shorter than it was when it began.
   */
  mustWait(inode: Inode, cutTo = Infinity): boolean {
    const { staged } = inode;
    if (staged?.isUploading !== true) return false;
    return this.#context.options.isWriteBack || cutTo < staged.lengthBytes;
  }

  #afterUpload(request: RequestId, inode: Inode, run: () => void): void {
    this.#context.asking.until(
      request,
      (settle) => this.whenSettled(inode, () => settle(undefined)),
      run,
    );
  }

  #change(
    inode: Inode,
    content: Content,
    act: (staged: StagedFile) => FsErrorCode | undefined,
  ): FsErrorCode | undefined {
    const staged = this.#stage(inode, content);
    if (typeof staged === 'string') return staged;
    const error = act(staged);
    if (error === undefined) inode.touchedMs = staged.mtimeMs;
    else this.#reportStaging(inode, error);
    if (!staged.isDirty) this.#drop(inode);
    return error;
  }

  #stage(inode: Inode, content: Content): StagedFile | FsErrorCode {
    const { staging } = this.#context;
    if (content.isStale) return 'stale';
    if (inode.staged !== undefined) {
      return inode.staged.base === content ? inode.staged : 'stale';
    }
    const staged = StagedFile.create(staging, content, shownMtimeMs(inode));
    if (typeof staged === 'string') {
      this.#reportStaging(inode, staged);
      return staged;
    }
    inode.staged = staged;
    this.#context.counters.add('stagedFiles');
    // Held until the cluster has it.
    inode.openHandles++;
    return staged;
  }

  #reportStaging(inode: Inode, error: FsErrorCode): void {
    const reason =
      error === 'no-space'
        ? 'The staging area is full (--staging-limit), or the disk under --staging-dir is'
        : `The change could not be staged (${error})`;
    reportFailure(this.#context, inode, error, reason);
  }

  /** A new file, which the cluster learns of when it is closed. */
  createLocal(inode: Inode, content: Content): FsErrorCode | undefined {
    return this.#change(inode, content, (staged) => {
      staged.touch(this.#context.wallNowMs());
      return undefined;
    });
  }

  /** A change of content takes away the bits that run a program as somebody else. */
  clearPrivileges(inode: Inode): void {
    const mode = modeWithoutPrivileges(inode, this.#context.options.defaults);
    if (mode !== undefined) inode.staged?.changeAttributes({ mode });
  }

  /** As close(2): answered when the store has what was written before. */
  save(request: RequestId, inode: Inode): void {
    const { asking, replies } = this.#context;
    // Whoever stops waiting learns nothing of the outcome; the log does.
    asking.until(
      request,
      (settle) => this.whenSaved(inode, settle),
      () => replies.ok(request),
    );
  }

  /** As fsync(2): answered when the cluster has what was written before, and all about its name. */
  sync(request: RequestId, inode: Inode): void {
    const { asking, replies, options } = this.#context;
    asking.until(
      request,
      (settle) =>
        this.whenSaved(inode, (error) => {
          if (error !== undefined || !options.isWriteBack) settle(error);
          else this.#drain(inode, settle);
        }),
      () => replies.ok(request),
    );
  }

  /** The same for what was acknowledged of a directory's entries. */
  syncDirectory(request: RequestId, directory: Inode): void {
    const { asking, replies } = this.#context;
    asking.until(
      request,
      (settle) => this.#drain(directory, settle),
      () => replies.ok(request),
    );
  }

  /** Calls back when the cluster has what was acknowledged of the directory's entries, or of the file. */
  #drain(inode: Inode, settle: (error: FsErrorCode | undefined) => void): void {
    const { inodes, jobs, moves, effects } = this.#context;
    const letGo = this.#metadata.hold([inode]);
    const end = (error: FsErrorCode | undefined): void => {
      settle(error);
      letGo();
    };
    // What it is called while it moves, the store knows nothing of any more.
    moves.whenStill(inode, () => {
      const isFile = inode.kind === 'file';
      const directory = isFile ? inode.parent : inode;
      if (inode.isUnlinked || directory === undefined) {
        end(undefined);
        return;
      }
      const path = inodes.path(directory);
      const file = isFile ? inodes.path(inode) : undefined;
      jobs.submit(
        (id) => ({ kind: 'sync-directory', id, path, file }),
        (result) => {
          if (result.kind === 'failed') {
            effects.report({ code: result.code, path, reason: result.reason });
          }
          end(result.kind === 'failed' ? result.code : undefined);
          return true;
        },
      );
    });
  }

  /** Calls back, maybe at once, when the store has everything written so far, or will not. */
  whenSaved(inode: Inode, done: (error: FsErrorCode | undefined) => void): void {
    const { staged } = inode;
    if (staged === undefined || inode.isUnlinked) {
      done(undefined);
      return;
    }
    const saving = this.#savingOf(inode);
    saving.waiters.push({ generation: staged.generation, done });
    if (!staged.isUploading) this.#upload(inode, staged);
  }

  /** Calls back when no upload of the file is under way. */
  whenSettled(inode: Inode, run: () => void): void {
    if (inode.staged?.isUploading === true) this.#savingOf(inode).settled.push(run);
    else run();
  }

  #savingOf(inode: Inode): Saving {
    let saving = this.#saving.get(inode);
    if (saving === undefined) {
      saving = { waiters: [], settled: [] };
      this.#saving.set(inode, saving);
    }
    return saving;
  }

  /** The last handle that could write is closed. */
  closed(inode: Inode): void {
    const { staged } = inode;
    if (staged === undefined || staged.isUploading) return;
    if (inode.isUnlinked) {
      if (inode.openFiles === 0) this.#drop(inode);
    } else if (inode.writers === 0) this.#upload(inode, staged);
  }

  /** What is staged of an unlinked file is nobody's once nobody has it open. */
  forget(inode: Inode): void {
    if (inode.staged !== undefined && !inode.staged.isUploading) this.#drop(inode);
  }

  /** It was begun from a version that is gone: what was written to it has no place any more. */
  #giveUp(inode: Inode, staged: StagedFile): void {
    const { base } = staged;
    this.#drop(inode);
    base.isLost = true;
    this.#metadata.versionChanged(inode, base);
  }

  /** What is written to a file waits while its name changes: it would get under the old one. */
  #holdBack(inode: Inode): void {
    if (this.#heldBack.has(inode)) return;
    this.#heldBack.add(inode);
    this.#context.moves.whenStill(inode, () => {
      this.#heldBack.delete(inode);
      const { staged } = inode;
      if (staged?.isUploading === true) return;
      if (staged === undefined || inode.isUnlinked) this.#settle(inode, Infinity, undefined);
      else this.#upload(inode, staged);
    });
  }

  #upload(inode: Inode, staged: StagedFile): void {
    const { jobs, inodes, options, moves } = this.#context;
    if (moves.isMoving(inode)) {
      this.#holdBack(inode);
      return;
    }
    const path = inodes.path(inode);
    // Where this disk has no room for all of it, the cluster takes it before the answer.
    const isHandedOver = options.isWriteBack && staged.reserveBase();
    const { stagingName, segments, attributes } = staged.beginUpload();
    const needsBase = segments.some(({ from }) => from === 'base');
    const { base } = staged;
    inode.openHandles++;
    jobs.submit(
      (id) => ({
        kind: 'upload',
        id,
        path,
        stagingName,
        segments,
        base: needsBase ? { path: base.keptPath ?? path, version: base.version } : undefined,
        attributes,
        isHandedOver,
      }),
      (result) => {
        const hasMoved = inodes.path(inode) !== path;
        if (result.kind === 'status') {
          this.#metadata.saved(inode, staged, result.status);
          if (isHandedOver) this.#handOver(inode, staged);
          else if (!staged.isDirty) this.#drop(inode);
          this.#settle(inode, staged.uploadedGeneration, undefined);
        } else {
          staged.uploadFailed();
          const { code, reason } = failureOf(result);
          if (hasMoved) this.#settle(inode, -1, undefined);
          else {
            reportFailure(this.#context, inode, code, `${NOT_SAVED}: ${reason}`);
            // Never laid over what others wrote. Before anybody is told: who waits may go on at once.
            if (code === 'stale') this.#giveUp(inode, staged);
            this.#settle(inode, Infinity, code);
            if (code !== 'stale') this.#retryLater(inode);
          }
        }
        inode.openHandles--;
        this.#metadata.release(inode);
        return true;
      },
    );
  }

  /** Answers those whose bytes are safe, or failed; the others wait for the next upload. */
  #settle(inode: Inode, generation: number, error: FsErrorCode | undefined): void {
    const saving = this.#saving.get(inode);
    this.#saving.delete(inode);
    const done = saving?.waiters.filter((waiter) => waiter.generation <= generation) ?? [];
    const waiting = saving?.waiters.filter((waiter) => waiter.generation > generation) ?? [];
    if (waiting.length > 0) this.#savingOf(inode).waiters.push(...waiting);
    for (const waiter of done) waiter.done(error);
    for (const run of saving?.settled ?? []) run();
    const { staged } = inode;
    if (staged === undefined || staged.isUploading || error !== undefined) return;
    const isWanted = waiting.length > 0 || (inode.writers === 0 && staged.isDirty);
    if (isWanted && !inode.isUnlinked) this.#upload(inode, staged);
  }

  #retryLater(inode: Inode): void {
    if (inode.staged === undefined || inode.writers > 0 || inode.isUnlinked) return;
    const delayMs = Math.min(
      (this.#unsaved.get(inode)?.delayMs ?? RETRY_MS_FIRST / 2) * 2,
      RETRY_MS_MAX,
    );
    this.#unsaved.set(inode, { delayMs, retryMs: this.#context.clock.nowMs() + delayMs });
  }

  /** Begins to save all that is not; how many files are not saved yet. */
  saveAll(): number {
    let count = 0;
    for (const inode of this.#context.inodes.all()) {
      const { staged } = inode;
      if (staged === undefined || inode.isUnlinked) continue;
      count++;
      if (!staged.isUploading) this.#upload(inode, staged);
    }
    return count;
  }

  tick(): void {
    const nowMs = this.#context.clock.nowMs();
    for (const [inode, { retryMs }] of this.#unsaved) {
      const { staged } = inode;
      if (staged === undefined || inode.isUnlinked) this.#unsaved.delete(inode);
      else if (retryMs <= nowMs && !staged.isUploading) this.#upload(inode, staged);
    }
  }

  #drop(inode: Inode): void {
    inode.staged?.remove();
    this.#unstage(inode);
  }

  #handOver(inode: Inode, staged: StagedFile): void {
    staged.handOver();
    this.#unstage(inode);
  }

  #unstage(inode: Inode): void {
    inode.staged = undefined;
    this.#unsaved.delete(inode);
    this.#context.counters.add('stagedFiles', -1);
    inode.openHandles--;
    this.#metadata.release(inode);
  }
}
