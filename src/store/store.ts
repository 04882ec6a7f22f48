/** The writable name space over a cluster: every operation of the mount, in the order of its paths' locks. */
import { type ByteString, isBelow, nameOf, parentOf } from '../base/byte-string.ts';
import type { ByteSink, CallContext, ReadRequest, ReadResult } from '../cluster/index.ts';
import { stagedIdOf } from './aliases.ts';
import type { AttributeRecord } from './attribute-record.ts';
import { changedRecord, specialStatus } from './attribute-record.ts';
import type { AttributeUpdate } from './attribute-store.ts';
import type { FileContent, StoreReader } from './cluster-parts.ts';
import { waitWithin } from './contexts.ts';
import { isCode, storeError } from './errors.ts';
import { together } from './journal.ts';
import { KeptFiles, newKeptPath } from './kept.ts';
import type { LockKind, LockWish, Release } from './path-locks.ts';
import type { StoreParts } from './parts.ts';
import { isReservedPath, recordPlaceOf, resolvePath, ROOT } from './paths.ts';
import type { RenameProgress } from './renames.ts';
import type {
  AttributeChange,
  KeptFile,
  NodeKind,
  NodeStatus,
  PosixAttributes,
  Renamed,
  RenameOptions,
  StoreBacklog,
  Upload,
  WritableStore,
} from './types.ts';
import { Uploads } from './uploads.ts';
import { nodeOf } from './view.ts';

export class ClusterStore implements WritableStore {
  readonly #parts: StoreParts;
  readonly #uploads: Uploads;
  readonly #kept: KeptFiles;

  constructor(parts: StoreParts, reader: StoreReader, writeMode: 'through' | 'back') {
    this.#parts = parts;
    this.#kept = new KeptFiles(parts);
    const read = (
      request: ReadRequest,
      sink: ByteSink,
      context: CallContext,
    ): Promise<ReadResult> => this.read(request, sink, context);
    this.#uploads = new Uploads(parts, reader, read, writeMode === 'back');
  }

  stat(path: ByteString, context: CallContext): Promise<NodeStatus> {
    return this.#parts.view.stat(path, context);
  }

  list(path: ByteString, context: CallContext): AsyncIterable<readonly NodeStatus[]> {
    return this.#parts.view.list(path, context);
  }

  unheardMs(directory: ByteString): number {
    return this.#parts.notes.unheardMs(directory);
  }

  async read(request: ReadRequest, sink: ByteSink, context: CallContext): Promise<ReadResult> {
    const { writeBack, aliases, reader } = this.#parts;
    if (await writeBack.read(request, sink)) return { source: 'staging', worker: undefined };
    const version = aliases.resolve(request.version);
    if (stagedIdOf(version) !== undefined) {
      throw storeError('version-changed', 'The file was written again since', request.path);
    }
    return reader.read({ ...request, version }, sink, context);
  }

  makeDirectory(
    path: ByteString,
    attributes: AttributeChange,
    context: CallContext,
  ): Promise<NodeStatus> {
    const { view, writer, attributes: store, defaults } = this.#parts;
    return this.#locked('change', [{ path }], context, async () => {
      await this.#mustBeFree(path, context);
      const { directory, name } = recordPlaceOf(path);
      const before = (await store.load(directory, context)).get(name);
      const subject = { kind: 'directory' as const, lengthBytes: 0, mtimeMs: 0 };
      // What a record of the name says was said of something that is gone.
      const record = changedRecord(undefined, attributes, subject, defaults);
      // Before the directory is there: nobody may enter it who must not.
      if (before !== undefined || record !== undefined) await store.change([{ path, record }]);
      const status = await writer.makeDirectory(path, context);
      await this.#touch(directory, context);
      return view.exists(path, context).then((seen) => seen ?? nodeOf(status, record));
    });
  }

  makeNode(
    path: ByteString,
    kind: Exclude<NodeKind, 'file' | 'directory'>,
    attributes: PosixAttributes,
    context: CallContext,
  ): Promise<NodeStatus> {
    return this.#locked('change', [{ path }], context, async () => {
      await this.#mustBeFree(path, context);
      const record: AttributeRecord = { mtimeMs: Date.now(), ...attributes, kind };
      this.#parts.attributes.assertRoom({ path, record });
      await this.#parts.attributes.change([{ path, record }]);
      await this.#touch(parentOf(path), context);
      return specialStatus(nameOf(path), record);
    });
  }

  async upload(upload: Upload, context: CallContext): Promise<NodeStatus> {
    this.#guard(upload.path);
    return this.#uploads.upload(upload, context);
  }

  /** Resolves when the cluster has the bytes, in either write mode. */
  async putFile(
    path: ByteString,
    content: FileContent,
    attributes: AttributeChange,
    context: CallContext,
  ): Promise<NodeStatus> {
    this.#guard(path);
    const onDone = (): Promise<void> => this.#touch(parentOf(path), context);
    return this.#uploads.put(path, content, attributes, context, onDone);
  }

  setAttributes(
    path: ByteString,
    change: AttributeChange,
    context: CallContext,
  ): Promise<NodeStatus> {
    const { view, attributes, aliases, writeBack, defaults } = this.#parts;
    const { directory, name } = recordPlaceOf(path);
    const work = async (): Promise<NodeStatus> => {
      const status = await view.stat(path, context);
      const records = await attributes.load(directory, context);
      const pending = writeBack.newest(path);
      if (pending !== undefined) {
        const subject = { ...pending, kind: 'file' as const };
        const record = changedRecord(pending.record, change, subject, defaults);
        await writeBack.changeRecord(pending, record);
      } else {
        // What the journal calls `staged-…` is recorded under the version that all clients know.
        const { mtimeMs } = aliases.resolve(status);
        const before = records.get(name);
        const record = changedRecord(before, change, { ...status, mtimeMs }, defaults);
        const special = before?.kind === status.kind ? { ...record, kind: before.kind } : record;
        attributes.assertRoom({ path, record: special });
        await attributes.change([{ path, record: special }]);
      }
      return view.stat(path, context);
    };
    // The root has no other change to fear than this one.
    return this.#locked('acknowledge', [{ path }], context, work, path === ROOT);
  }

  async removeFile(
    path: ByteString,
    mustKeep: boolean,
    context: CallContext,
  ): Promise<{ readonly kept: KeptFile | undefined }> {
    this.#guard(path);
    const { writeBack, view, renames, locks } = this.#parts;
    writeBack.interrupt(path);
    const release = await locks.acquire('change', [{ path }], context);
    // Who gets the lock next: a rename or removal that goes on when this call is over.
    let isMine = true;
    try {
      const status = await view.stat(path, context);
      if (status.kind === 'directory') throw storeError('is-a-directory', 'A directory', path);
      if (status.kind === 'file' && writeBack.newest(path) !== undefined) {
        isMine = false;
        const keptPath = newKeptPath();
        await this.#removePending(path, mustKeep ? keptPath : undefined, context, release);
        return { kept: mustKeep ? { path: keptPath, version: status } : undefined };
      }
      if (status.kind === 'file' && mustKeep) {
        const keptPath = await this.#kept.announce(context);
        isMine = false;
        const { mtimeMs: shownMtimeMs } = status;
        const plan = { from: path, to: keptPath, isDirectory: false, shownMtimeMs };
        try {
          await renames.run({ ...plan, replaces: undefined, dropsRecord: true }, context, release);
        } catch (error) {
          // A rename that is still being undone may yet arrive there: then the next start sweeps it.
          if (!renames.isTarget(keptPath)) await this.#kept.revoke(keptPath);
          throw error;
        }
        await this.#touch(parentOf(path), context);
        return { kept: { path: keptPath, version: await this.#kept.versionOf(keptPath, context) } };
      }
      if (status.kind === 'file') {
        await this.#parts.writer.deleteFile(path, context);
        this.#parts.listings.noteGone(path);
      }
      await this.#parts.attributes.change(await this.#withoutRecord(path, context));
      await this.#touch(parentOf(path), context);
      return { kept: undefined };
    } finally {
      if (isMine) release();
    }
  }

  removeKept(path: ByteString, context: CallContext): Promise<void> {
    return this.#kept.remove(path, context);
  }

  removeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const { view, attributes, trees, writer } = this.#parts;
    return this.#locked('change', [{ path, subtree: true }], context, async () => {
      this.#mustNotBeMounted(path);
      const { kind } = await view.stat(path, context);
      if (kind !== 'directory') throw storeError('not-a-directory', 'Not a directory', path);
      // A link that another mount made a moment ago counts.
      await attributes.refresh(path, context);
      if (!(await view.isEmpty(path, context))) {
        throw storeError('not-empty', 'The directory is not empty', path);
      }
      await trees.emptyHidden(path, context);
      await writer.removeDirectory(path, context);
      this.#parts.listings.noteDirectoryGone(path);
      const updates = await this.#withoutRecord(path, context);
      const plan = together([
        attributes.planForget(path),
        this.#parts.temporaries.planSettledWithin(path),
      ]);
      await attributes.change(updates, plan.changes);
      plan.commit();
      await this.#touch(parentOf(path), context);
    });
  }

  touchDirectory(path: ByteString, context: CallContext): Promise<void> {
    const work = (): Promise<void> => this.#forgetTimes(path, context);
    return this.#locked('acknowledge', [{ path }], context, work, path === ROOT);
  }

  async rename(
    from: ByteString,
    to: ByteString,
    options: RenameOptions,
    context: CallContext,
  ): Promise<Renamed> {
    this.#guard(from);
    this.#guard(to);
    this.#mustNotBeMounted(from);
    this.#mustNotBeMounted(to);
    const { view, writeBack, locks } = this.#parts;
    if (isBelow(to, from)) throw storeError('invalid', 'A directory cannot move into itself', to);
    let kept: KeptFile | undefined;
    if (from === to) {
      await view.stat(from, context);
      if (options.isExclusive) throw storeError('exists', 'The name is taken', to);
    } else {
      writeBack.interrupt(from);
      writeBack.interrupt(to);
      const wishes = [
        { path: from, subtree: true },
        { path: to, subtree: true },
      ];
      const release = await locks.acquire('change', wishes, context);
      kept = await this.#renameLocked(from, to, options, context, release);
      await this.#touch(parentOf(from), context);
      if (parentOf(to) !== parentOf(from)) await this.#touch(parentOf(to), context);
    }
    const statuses = await Promise.all(
      options.watched.map((relative) => view.exists(resolvePath(to, relative), context)),
    );
    return { statuses, kept };
  }

  async sync(directory: ByteString, context: CallContext, file?: ByteString): Promise<void> {
    const { writeBack, attributes } = this.#parts;
    // An upload that comes to its end may leave attributes to write.
    if (file === undefined) await writeBack.drain(directory, context);
    else await writeBack.drainFile(file, context);
    await Promise.all([
      attributes.sync(directory, context),
      attributes.sync(parentOf(directory), context),
    ]);
  }

  backlog(): StoreBacklog {
    const { writeBack, attributes, background, journal } = this.#parts;
    const uploads = writeBack.backlog();
    const oldestMs = Math.min(uploads.oldestMs ?? Infinity, attributes.oldestMs ?? Infinity);
    const retryAtMs = Math.min(uploads.retryAtMs ?? Infinity, background.retryAtMs ?? Infinity);
    const nowMs = Date.now();
    return {
      uploadsPending: uploads.count,
      uploadBytesPending: uploads.bytes,
      attributesPending: attributes.pendingDirectories,
      repairsPending: this.repairsPending,
      keptFiles: journal.entries('kept').size,
      oldestAgeMs: Number.isFinite(oldestMs) ? Math.max(0, nowMs - oldestMs) : 0,
      lastError: uploads.error ?? background.lastError,
      retryInMs: Number.isFinite(retryAtMs) ? Math.max(0, retryAtMs - nowMs) : undefined,
    };
  }

  hurry(): void {
    const { writeBack, background } = this.#parts;
    writeBack.hurry();
    background.hurry();
  }

  /** Renames under way, and how far they are. */
  renamesInProgress(): RenameProgress[] {
    return this.#parts.renames.progress();
  }

  /** Renames, removals and failed uploads that are being finished or undone. */
  get repairsPending(): number {
    const { renames, removals, temporaries } = this.#parts;
    return renames.progress().length + removals.size + temporaries.unfinishedCount;
  }

  /** Staging files of acknowledged uploads: whoever cleans the staging directory leaves them. */
  stagingNamesInUse(): ReadonlySet<string> {
    return new Set(this.#parts.writeBack.stagingNames());
  }

  async close(context: CallContext): Promise<void> {
    const { writeBack, renames, removals, attributes, background, journal } = this.#parts;
    try {
      background.hurry();
      await Promise.all([
        writeBack.drainAll(context),
        waitWithin(renames.drain(), context, 'finishing renames'),
        waitWithin(removals.drain(), context, 'finishing removals'),
      ]);
      await attributes.drain(context);
    } catch (error) {
      // What is left is in the journal: the next start goes on with it.
      if (!isCode(error, 'timeout', 'cancelled')) throw error;
    } finally {
      this.#parts.stopping.abort();
      writeBack.stopTimers();
      attributes.stopTimers();
      await journal.close();
      await this.#parts.unlock();
    }
  }

  async #locked<T>(
    kind: LockKind,
    wishes: readonly LockWish[],
    context: CallContext,
    work: () => Promise<T>,
    isUnguarded = false,
  ): Promise<T> {
    for (const { path } of wishes) {
      if (isUnguarded) this.#mustHavePlace(path);
      else this.#guard(path);
    }
    const release = await this.#parts.locks.acquire(kind, wishes, context);
    try {
      return await work();
    } finally {
      release();
    }
  }

  async #mustBeFree(path: ByteString, context: CallContext): Promise<void> {
    if ((await this.#parts.view.exists(path, context)) !== undefined) {
      throw storeError('exists', 'The name is taken', path);
    }
    this.#mustBeWhole(path);
  }

  #guard(path: ByteString): void {
    if (path === ROOT) throw storeError('permission', 'The root cannot be replaced', path);
    if (isReservedPath(path)) {
      throw storeError('permission', 'The name is kept for the mount itself', path);
    }
    this.#mustHavePlace(path);
  }

  #mustHavePlace(path: ByteString): void {
    if (this.#parts.mounts?.takesChanges(path) !== false) return;
    throw storeError('permission', 'No under store of the cluster takes changes there', path);
  }

  #mustNotBeMounted(path: ByteString): void {
    if (this.#parts.mounts?.isMountedDirectory(path) !== true) return;
    throw storeError('permission', 'An under store is mounted there, or below it', path);
  }

  /** Only another file can take the place of what is being repaired: its upload settles it. */
  #mustBeWhole(path: ByteString): void {
    if (!this.#parts.temporaries.isUnfinished(path)) return;
    throw storeError(
      'unavailable',
      'A file of this name is being repaired after a failed upload',
      path,
    );
  }

  async #withoutRecord(path: ByteString, context: CallContext): Promise<AttributeUpdate[]> {
    const { directory, name } = recordPlaceOf(path);
    const view = await this.#parts.attributes.load(directory, context);
    return view.get(name) === undefined ? [] : [{ path, record: undefined }];
  }

  /** Its entries changed: times that a program set for the directory hold no longer. */
  async #touch(directory: ByteString, context: CallContext): Promise<void> {
    try {
      await this.#forgetTimes(directory, context);
    } catch (error) {
      // The operation itself is done; a directory's own time is not worth an error.
      if (!isCode(error, 'unavailable', 'timeout', 'cancelled', 'not-found')) throw error;
    }
  }

  async #forgetTimes(directory: ByteString, context: CallContext): Promise<void> {
    const { attributes } = this.#parts;
    const place = recordPlaceOf(directory);
    const record = (await attributes.load(place.directory, context)).get(place.name);
    if (record === undefined || record.kind !== undefined) return;
    const { mtimeMs, ctimeMs, ...rest } = record;
    if (mtimeMs === undefined && ctimeMs === undefined) return;
    const left = Object.keys(rest).length === 0 ? undefined : rest;
    await attributes.change([{ path: directory, record: left }]);
  }

  /** An acknowledged file: its journal entry goes, and what the cluster may have under its name. */
  async #removePending(
    path: ByteString,
    keptPath: ByteString | undefined,
    context: CallContext,
    release: Release,
  ): Promise<void> {
    const { writeBack, removals, attributes, temporaries } = this.#parts;
    try {
      const mayExist = writeBack.mayExist(path);
      const updates = await this.#withoutRecord(path, context);
      const plan = together([writeBack.planCancel(path, keptPath), temporaries.planSettled(path)]);
      const removal = mayExist ? [removals.changeFor(path)] : [];
      await attributes.change(updates, [...plan.changes, ...removal]);
      plan.commit();
      if (mayExist) void removals.begin(path, release);
      else release();
    } catch (error) {
      release();
      throw error;
    }
    await this.#touch(parentOf(path), context);
  }

  /** Takes over the locks. */
  async #renameLocked(
    from: ByteString,
    to: ByteString,
    options: RenameOptions,
    context: CallContext,
    release: Release,
  ): Promise<KeptFile | undefined> {
    const { view, writeBack, renames, temporaries } = this.#parts;
    let isMine = true;
    let copied: KeptFile | undefined;
    try {
      const source = await view.stat(from, context);
      const target = await view.exists(to, context);
      await this.#mayReplace(source, target, to, options, context);
      // An upload of ours that was interrupted just now is settled with what it was of.
      if (source.kind !== 'file' && writeBack.newest(to) === undefined) this.#mustBeWhole(to);
      for (const unfinished of temporaries.unfinishedWithin(from)) {
        // Of a file that is still to come, the beginning does not matter.
        if (writeBack.newest(unfinished) !== undefined) continue;
        throw storeError('unavailable', 'A file is being repaired after a failed upload', from);
      }
      const mustKeep = options.keepsTarget && target?.kind === 'file';
      // What is acknowledged only lies in the staging directory: it stays there.
      const staged =
        mustKeep && writeBack.newest(to) !== undefined
          ? { path: newKeptPath(), version: target }
          : undefined;
      // A copy: the name itself must never be missing.
      if (mustKeep && staged === undefined) copied = await this.#kept.copy(to, context);
      const keepAs = staged?.path;
      if (source.kind !== 'file' && source.kind !== 'directory') {
        isMine = false;
        await this.#renameSpecial(from, { path: to, target, keepAs }, context, release);
      } else if (source.kind === 'file' && writeBack.newest(from) !== undefined) {
        isMine = false;
        await this.#renamePending(from, to, keepAs, context, release);
      } else {
        isMine = false;
        const isDirectory = source.kind === 'directory';
        const atSwitch = () => {
          const moved = writeBack.planMove(from, to);
          const cancelled = writeBack.planCancel(to, keepAs);
          return together([
            cancelled,
            moved,
            temporaries.planSettledWithin(from),
            temporaries.planSettled(to),
          ]);
        };
        const plan = { from, to, isDirectory, shownMtimeMs: source.mtimeMs };
        await renames.run({ ...plan, replaces: target, atSwitch }, context, release);
      }
      return staged ?? copied;
    } catch (error) {
      if (copied !== undefined) this.#kept.discard(copied);
      throw error;
    } finally {
      if (isMine) release();
    }
  }

  async #mayReplace(
    source: NodeStatus,
    target: NodeStatus | undefined,
    to: ByteString,
    { isExclusive }: RenameOptions,
    context: CallContext,
  ): Promise<void> {
    if (target === undefined) return;
    if (isExclusive) throw storeError('exists', 'The name is taken', to);
    if (target.kind !== 'directory') {
      if (source.kind === 'directory') throw storeError('not-a-directory', 'Not a directory', to);
      return;
    }
    if (source.kind !== 'directory') throw storeError('is-a-directory', 'A directory', to);
    await this.#parts.attributes.refresh(to, context);
    if (!(await this.#parts.view.isEmpty(to, context))) {
      throw storeError('not-empty', 'The directory is not empty', to);
    }
  }

  async #renameSpecial(
    from: ByteString,
    replaced: {
      readonly path: ByteString;
      readonly target: NodeStatus | undefined;
      readonly keepAs: ByteString | undefined;
    },
    context: CallContext,
    release: Release,
  ): Promise<void> {
    const { attributes, writeBack, removals, temporaries } = this.#parts;
    const { path: to, target, keepAs } = replaced;
    try {
      const place = recordPlaceOf(from);
      const [view] = await Promise.all([
        attributes.load(place.directory, context),
        attributes.load(parentOf(to), context),
      ]);
      const updates = [
        { path: from, record: undefined },
        { path: to, record: view.get(place.name) },
      ];
      const plan = together([writeBack.planCancel(to, keepAs), temporaries.planSettled(to)]);
      const isFile = target?.kind === 'file';
      const removal = isFile ? [removals.changeFor(to)] : [];
      await attributes.change(updates, [...plan.changes, ...removal]);
      plan.commit();
      // A real file shadows the record of a link: until it is gone, it is looked past.
      if (isFile) void removals.begin(to, release);
      else release();
    } catch (error) {
      release();
      throw error;
    }
  }

  async #renamePending(
    from: ByteString,
    to: ByteString,
    keepAs: ByteString | undefined,
    context: CallContext,
    release: Release,
  ): Promise<void> {
    const { writeBack, removals, attributes, temporaries } = this.#parts;
    try {
      const mayExist = writeBack.mayExist(from);
      const updates = await this.#withoutRecord(from, context);
      const cancelled = writeBack.planCancel(to, keepAs);
      const moved = writeBack.planMove(from, to);
      const plan = together([cancelled, moved, temporaries.planSettled(from)]);
      const removal = mayExist ? [removals.changeFor(from)] : [];
      await attributes.change(updates, [...plan.changes, ...removal]);
      plan.commit();
      if (mayExist) void removals.begin(from, release);
      else release();
    } catch (error) {
      release();
      throw error;
    }
  }
}
