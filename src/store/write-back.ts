/**
 * Files that were acknowledged and are on their way. They are seen and read from this disk until the
 * cluster has them. At most two versions of a path are kept: the one that is travelling, and the newest.
 */
import { displayByteString, isWithin, nameOf, parentOf } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { Logger } from '../base/logger.ts';
import type { ByteSink, CallContext, FileVersion, ReadRequest } from '../cluster/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { Aliases } from './aliases.ts';
import { stagedHash, stagedIdOf } from './aliases.ts';
import { recordFromJson, recordToJson } from './attribute-json.ts';
import { posixOf, rebasedRecord, versionSubject } from './attribute-record.ts';
import type { AttributeDefaults, AttributeRecord } from './attribute-record.ts';
import type { AttributeStore } from './attribute-store.ts';
import type { Background, BackoffLimits } from './background.ts';
import { contextFor, waitWithin } from './contexts.ts';
import { lengthOf, readStagedRange, StagedContent } from './content.ts';
import { messageOf, storeError } from './errors.ts';
import type { Journal, JournalChange, Planned } from './journal.ts';
import type { ListingNotes } from './listing-notes.ts';
import type { PathLocks } from './path-locks.ts';
import { movedPath, recordPlaceOf } from './paths.ts';
import type { Staging } from './staging.ts';
import type { Temporaries } from './temporaries.ts';
import type { NodeStatus, UploadSegment } from './types.ts';

export interface WriteBackParts {
  readonly journal: Journal;
  readonly aliases: Aliases;
  readonly attributes: AttributeStore;
  readonly temporaries: Temporaries;
  readonly locks: PathLocks;
  readonly staging: Staging;
  readonly background: Background;
  readonly notes: Pick<ListingNotes, 'noteSettled'>;
  readonly stop: AbortSignal;
  readonly logger: Logger;
  readonly defaults: AttributeDefaults;
  readonly backoff: BackoffLimits;
  /** Uploads at a time. */
  readonly concurrency: number;
}

interface Staged {
  readonly stagingName: string;
  readonly segments: readonly UploadSegment[];
}

export interface PendingUpload extends Staged {
  readonly id: string;
  readonly path: ByteString;
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly sinceMs: number;
  readonly record: AttributeRecord | undefined;
  readonly isNew: boolean;
}

interface Item {
  pending: PendingUpload;
  running: AbortController | undefined;
  failures: number;
  lastError: string | undefined;
  /** When it is tried again after a failure, as Date.now() tells. */
  retryAtMs: number | undefined;
}

export interface UploadBacklog {
  readonly count: number;
  readonly bytes: number;
  readonly oldestMs: number | undefined;
  readonly error: string | undefined;
  /** The next attempt of what has failed; undefined where one is under way or nothing has. */
  readonly retryAtMs: number | undefined;
}

/** A day: the writer itself ends an upload in which nothing moves. */
const ATTEMPT_TIMEOUT_MS = 24 * 3600 * 1000;

function entryOf(pending: PendingUpload): JournalChange {
  const { id, path, stagingName, segments, mtimeMs, record, isNew } = pending;
  const json = record === undefined ? null : recordToJson(record);
  const value = { path, stagingName, segments, mtimeMs, record: json, isNew };
  return { kind: 'upload', id, value };
}

export function pendingVersion(pending: PendingUpload): FileVersion {
  const { lengthBytes, mtimeMs, id } = pending;
  return { lengthBytes, mtimeMs, contentHash: stagedHash(id) };
}

export function pendingStatus(pending: PendingUpload): NodeStatus {
  const version = pendingVersion(pending);
  const posix = posixOf(pending.record, versionSubject(version));
  return { name: nameOf(pending.path), kind: 'file', ...version, posix };
}

export class WriteBack {
  readonly #parts: WriteBackParts;
  /** Oldest first. */
  readonly #byPath = new Map<ByteString, Item[]>();
  readonly #byDirectory = new Map<ByteString, Set<ByteString>>();
  /** Ids of all items. */
  readonly #travelling = new Set<string>();
  /** Everything that can be read by its version: on its way, or kept for those who have it open. */
  readonly #staged = new Map<string, Staged>();
  readonly #kept = new Map<ByteString, string>();
  readonly #ready = new Set<ByteString>();
  readonly #pauses = new Map<ByteString, NodeJS.Timeout>();
  readonly #waiting = new Set<() => void>();
  #active = 0;

  constructor(parts: WriteBackParts) {
    this.#parts = parts;
    for (const [id, { record, ...entry }] of parts.journal.entries('upload')) {
      this.#add({
        ...entry,
        id,
        // The last life may have brought it to the cluster without having said so.
        isNew: false,
        lengthBytes: lengthOf(entry.segments),
        sinceMs: entry.mtimeMs,
        record: record === null ? undefined : recordFromJson(record),
      });
    }
  }

  /** Begins; before, names and contents are known but nothing is sent. */
  start(): void {
    for (const path of this.#byPath.keys()) this.#ready.add(path);
    this.#pump();
  }

  newest(path: ByteString): PendingUpload | undefined {
    return this.#byPath.get(path)?.at(-1)?.pending;
  }

  *newestIn(directory: ByteString): Generator<PendingUpload> {
    for (const path of this.#byDirectory.get(directory) ?? []) {
      const pending = this.newest(path);
      if (pending !== undefined) yield pending;
    }
  }

  /** Whether the cluster may have something under the path of a pending file. */
  mayExist(path: ByteString): boolean {
    const items = this.#byPath.get(path) ?? [];
    return items.length !== 1 || items.some((item) => !item.pending.isNew || item.failures > 0);
  }

  /** Resolves when the journal on disk has it. */
  async acknowledge(pending: PendingUpload): Promise<void> {
    const items = this.#byPath.get(pending.path) ?? [];
    const last = items.at(-1);
    const replaced = last !== undefined && last.running === undefined ? last : undefined;
    const changes = [entryOf(pending)];
    if (replaced !== undefined) changes.push({ kind: 'upload', id: replaced.pending.id });
    await this.#parts.journal.promise(changes);
    if (replaced !== undefined) {
      // It may have begun to travel meanwhile: then it ends by itself, unseen.
      replaced.running?.abort();
      this.#drop(replaced);
    }
    this.#add(pending);
    this.#enqueue(pending.path);
  }

  /** Synchronous up to the journal: the caller has looked at `newest` in the same turn. */
  async changeRecord(pending: PendingUpload, record: AttributeRecord | undefined): Promise<void> {
    const item = this.#byPath.get(pending.path)?.find((other) => other.pending === pending);
    if (item === undefined) return;
    item.pending = { ...pending, record };
    await this.#parts.journal.apply([entryOf(item.pending)]);
  }

  /** Transfers of the path, or within it, let go of their locks. */
  interrupt(path: ByteString): void {
    if (this.#byPath.size === 0) return;
    for (const [other, items] of this.#byPath) {
      if (!isWithin(other, path)) continue;
      for (const { running } of items) running?.abort();
    }
  }

  /** Under the lock of both. */
  planMove(from: ByteString, to: ByteString): Planned {
    const moved = [...this.#byPath].filter(([path]) => isWithin(path, from));
    const changes: JournalChange[] = [];
    for (const [path, items] of moved) {
      const target = movedPath(path, from, to);
      for (const { pending } of items)
        changes.push(entryOf({ ...pending, path: target, isNew: false }));
    }
    const commit = (): void => {
      for (const [path, items] of moved) {
        const target = movedPath(path, from, to);
        for (const item of items.slice()) {
          this.#drop(item, true);
          // What the new name held is in the cluster still.
          this.#add({ ...item.pending, path: target, isNew: false });
        }
        this.#enqueue(target);
      }
    };
    return { changes, commit };
  }

  /** Under the lock of the path; `keepAs`: its newest bytes stay readable. */
  planCancel(path: ByteString, keepAs?: ByteString): Planned {
    const items = [...(this.#byPath.get(path) ?? [])];
    const newest = items.at(-1);
    const changes: JournalChange[] = items.map(({ pending }) => ({
      kind: 'upload',
      id: pending.id,
    }));
    if (keepAs !== undefined && newest !== undefined) {
      const { stagingName } = newest.pending;
      changes.push({ kind: 'kept', id: keepAs, value: { stagingName } });
    }
    const commit = (): void => {
      for (const item of items) this.#drop(item, keepAs !== undefined && item === newest);
      if (keepAs === undefined || newest === undefined) return;
      this.#staged.set(newest.pending.id, newest.pending);
      this.#kept.set(keepAs, newest.pending.id);
    };
    return { changes, commit };
  }

  /** Whether it was one of these. */
  async removeKept(keptPath: ByteString): Promise<boolean> {
    const id = this.#kept.get(keptPath);
    const staged = id === undefined ? undefined : this.#staged.get(id);
    if (id === undefined || staged === undefined) return false;
    await this.#parts.journal.apply([{ kind: 'kept', id: keptPath }]);
    this.#kept.delete(keptPath);
    this.#staged.delete(id);
    await this.#parts.staging.remove(staged.stagingName);
    return true;
  }

  /** Whether the version is one that lies here. */
  async read(request: ReadRequest, sink: ByteSink): Promise<boolean> {
    const id = stagedIdOf(request.version);
    const staged = id === undefined ? undefined : this.#staged.get(id);
    if (id === undefined || staged === undefined) return false;
    try {
      const path = this.#parts.staging.pathOf(staged.stagingName);
      await readStagedRange(path, staged.segments, request, sink);
      return true;
    } catch (error) {
      // The upload was done just now: the cluster has the bytes.
      if (!this.#staged.has(id)) return false;
      if (error instanceof ClusterError) throw error;
      throw storeError('unavailable', `The staged file cannot be read: ${messageOf(error)}`);
    }
  }

  /** Until nothing is left of the directory's own entries. */
  drain(directory: ByteString, context: CallContext): Promise<void> {
    return this.#untilDone(() => !this.#byDirectory.has(directory), context);
  }

  /** Until what is on its way there now is through, whatever name it has by then. */
  drainFile(path: ByteString, context: CallContext): Promise<void> {
    const ids = (this.#byPath.get(path) ?? []).map(({ pending }) => pending.id);
    return this.#untilDone(() => !ids.some((id) => this.#travelling.has(id)), context);
  }

  drainAll(context: CallContext): Promise<void> {
    return this.#untilDone(() => this.#byPath.size === 0, context);
  }

  async #untilDone(isDone: () => boolean, context: CallContext): Promise<void> {
    // Once: a failure wakes this loop, too, and its pause is there to be kept.
    this.hurry();
    while (!isDone()) {
      const change = new Promise<void>((resolve) => this.#waiting.add(resolve));
      await waitWithin(change, context, 'uploading acknowledged files');
      this.#parts.stop.throwIfAborted();
    }
  }

  stopTimers(): void {
    for (const timer of this.#pauses.values()) clearTimeout(timer);
    this.#pauses.clear();
    this.#settle();
  }

  *stagingNames(): Generator<string> {
    for (const { stagingName } of this.#staged.values()) yield stagingName;
  }

  backlog(): UploadBacklog {
    let count = 0;
    let bytes = 0;
    let oldestMs: number | undefined;
    let error: string | undefined;
    let retryAtMs: number | undefined;
    for (const items of this.#byPath.values()) {
      for (const { pending, lastError, retryAtMs: itemRetryAtMs } of items) {
        count++;
        bytes += pending.lengthBytes;
        oldestMs = Math.min(oldestMs ?? pending.sinceMs, pending.sinceMs);
        error ??= lastError;
        if (itemRetryAtMs === undefined || !this.#pauses.has(pending.path)) continue;
        retryAtMs = Math.min(retryAtMs ?? itemRetryAtMs, itemRetryAtMs);
      }
    }
    return { count, bytes, oldestMs, error, retryAtMs };
  }

  #add(pending: PendingUpload): void {
    const { path } = pending;
    const item: Item = {
      pending,
      running: undefined,
      failures: 0,
      lastError: undefined,
      retryAtMs: undefined,
    };
    const items = this.#byPath.get(path) ?? [];
    items.push(item);
    this.#byPath.set(path, items);
    const directory = parentOf(path);
    const names = this.#byDirectory.get(directory) ?? new Set();
    this.#byDirectory.set(directory, names.add(path));
    this.#travelling.add(pending.id);
    this.#staged.set(pending.id, pending);
  }

  /** Not any more on its way; `isKept`: the staging file is still somebody's. */
  #drop(item: Item, isKept = false): void {
    const { path, id, stagingName } = item.pending;
    const items = this.#byPath.get(path);
    const index = items?.indexOf(item) ?? -1;
    if (items === undefined || index < 0) return;
    items.splice(index, 1);
    this.#travelling.delete(id);
    if (items.length === 0) {
      this.#byPath.delete(path);
      this.#ready.delete(path);
      clearTimeout(this.#pauses.get(path));
      this.#pauses.delete(path);
      const directory = parentOf(path);
      const names = this.#byDirectory.get(directory);
      names?.delete(path);
      if (names?.size === 0) this.#byDirectory.delete(directory);
    }
    this.#staged.delete(id);
    if (!isKept) void this.#parts.staging.remove(stagingName);
    this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #enqueue(path: ByteString): void {
    if (!this.#byPath.has(path) || this.#pauses.has(path)) return;
    this.#ready.add(path);
    this.#pump();
  }

  /** Whoever waits for the next attempt tries at once. */
  hurry(): void {
    for (const [path, timer] of this.#pauses) {
      clearTimeout(timer);
      this.#ready.add(path);
    }
    this.#pauses.clear();
    this.#pump();
  }

  #pump(): void {
    for (const path of this.#ready) {
      if (this.#active >= this.#parts.concurrency || this.#parts.stop.aborted) return;
      const item = this.#byPath.get(path)?.[0];
      // One version after the other: the next is enqueued when this one is through.
      this.#ready.delete(path);
      if (item === undefined || item.running !== undefined) continue;
      this.#active++;
      void this.#transfer(item);
    }
  }

  async #transfer(item: Item): Promise<void> {
    const { locks, stop, logger, backoff } = this.#parts;
    const { path } = item.pending;
    const interrupt = new AbortController();
    item.running = interrupt;
    const either = new LinkedSignal([stop, interrupt.signal]);
    const context = contextFor(ATTEMPT_TIMEOUT_MS, either.signal);
    let pauseMs = 0;
    try {
      const release = await locks.acquire('transfer', [{ path }], context);
      try {
        if (this.#byPath.get(path)?.[0] === item) await this.#upload(item, context);
      } finally {
        release();
      }
    } catch (error) {
      item.failures++;
      if (!interrupt.signal.aborted && !stop.aborted) {
        const text = `Uploading ${displayByteString(path)}: ${messageOf(error)}`;
        if (item.lastError !== text) logger.warn({ error, path }, 'An acknowledged file waits');
        item.lastError = text;
        pauseMs = Math.min(backoff.firstMs * 2 ** Math.min(item.failures - 1, 30), backoff.maxMs);
        this.#settle();
      }
    } finally {
      either.end();
    }
    item.running = undefined;
    this.#active--;
    if (stop.aborted) return;
    if (pauseMs > 0 && this.#byPath.has(path)) {
      const resume = (): void => {
        this.#pauses.delete(path);
        this.#enqueue(path);
      };
      item.retryAtMs = Date.now() + pauseMs;
      this.#pauses.set(path, setTimeout(resume, pauseMs).unref());
    } else {
      this.#enqueue(path);
    }
    this.#pump();
  }

  async #upload(item: Item, context: CallContext): Promise<void> {
    const { staging, temporaries, aliases, attributes, notes, defaults, background } = this.#parts;
    const { path, stagingName, segments } = item.pending;
    const readBase = (): Promise<void> =>
      Promise.reject(storeError('protocol', 'An acknowledged file has no base'));
    const stagingPath = staging.pathOf(stagingName);
    const assertBase = (): Promise<void> => Promise.resolve();
    const content = new StagedContent({ stagingPath, segments, readBase, assertBase }, context);
    const status = await temporaries.put(path, content, context);
    const { directory, name } = recordPlaceOf(path);
    const view = await attributes.load(directory, context).catch(() => undefined);
    // From here to the journal in one turn: whoever looks next sees the file in the cluster.
    const { pending } = item;
    const { lengthBytes, mtimeMs, contentHash } = status;
    const hash = contentHash === undefined ? {} : { contentHash };
    const alias = {
      path,
      stagedMtimeMs: pending.mtimeMs,
      version: { lengthBytes, mtimeMs, ...hash },
    };
    const was = versionSubject(pendingVersion(pending));
    const record = rebasedRecord(pending.record, was, versionSubject(status), defaults);
    const isPlain = record === undefined && view !== undefined && view.get(name) === undefined;
    const changes: JournalChange[] = [
      { kind: 'upload', id: pending.id },
      ...aliases.changesFor(pending.id, alias),
    ];
    aliases.note(pending.id, alias);
    notes.noteSettled(path);
    this.#drop(item, true);
    // Until the journal takes it: the next life would lay these bytes over whatever came after them.
    const isNoted = await background.untilDone('Noting an upload that is done', () =>
      attributes.change(isPlain ? [] : [{ path, record }], changes),
    );
    if (isNoted) await staging.remove(stagingName);
  }
}
