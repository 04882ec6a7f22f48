/**
 * The attributes of names as this mount sees them: those in the cluster under those of the journal,
 * which go to the cluster a little later, a file for all changes of a directory.
 */
import type { ByteString } from '../base/byte-string.ts';
import { displayByteString, isWithin, joinPath } from '../base/byte-string.ts';
import type { Logger } from '../base/logger.ts';
import type { CallContext } from '../cluster/index.ts';
import { ATTRIBUTE_FILE_BYTES_MAX } from './attribute-cache.ts';
import type { AttributeCache, LoadedAttributes } from './attribute-cache.ts';
import {
  encodeAttributeFile,
  isSameRecords,
  recordFromJson,
  recordToJson,
} from './attribute-json.ts';
import type { AttributeRecords } from './attribute-json.ts';
import type { AttributeRecord } from './attribute-record.ts';
import type { Background } from './background.ts';
import type { BoundedWriter, StoreReader } from './cluster-parts.ts';
import { atMost, contextFor, waitWithin } from './contexts.ts';
import { storeError, unlessMissing } from './errors.ts';
import type { Journal, JournalChange, Planned } from './journal.ts';
import type { PathLocks } from './path-locks.ts';
import { makeHiddenDirectory } from './kept.ts';
import { attributesPathOf, recordPlaceOf, ROOT } from './paths.ts';
import type { Temporaries } from './temporaries.ts';
import { newToken } from './temporaries.ts';

export interface AttributeView {
  get(name: ByteString): AttributeRecord | undefined;
  entries(): Iterable<readonly [ByteString, AttributeRecord]>;
}

export interface AttributeUpdate {
  readonly path: ByteString;
  /** Undefined: the defaults hold from here on. */
  readonly record: AttributeRecord | undefined;
  /** What is seen before the journal has it: of a name whose object goes only then. */
  readonly until?: AttributeRecord;
}

interface Pending {
  readonly record: AttributeRecord | undefined;
  until?: AttributeRecord | undefined;
  readonly sinceMs: number;
  readonly bytes: number;
}

export interface AttributeStoreOptions {
  readonly cache: AttributeCache;
  readonly reader: StoreReader;
  readonly writer: BoundedWriter;
  readonly journal: Journal;
  readonly locks: PathLocks;
  readonly temporaries: Temporaries;
  readonly background: Background;
  readonly logger: Logger;
  /** Changes wait for others of their directory this long. */
  readonly delayMs: number;
  /** Of one directory's file. */
  readonly bytesMax: number;
}

/** A stat, a read, a put of a small file. */
const FLUSH_TIMEOUT_MS = 60_000;
/** Names without an object are noted to be dropped with the next write; more are noticed another time. */
const GONE_MAX = 1000;

/** Of a record in its directory's file, about. */
function bytesOf(name: ByteString, record: AttributeRecord): number {
  return Buffer.byteLength(JSON.stringify({ name, ...recordToJson(record) })) + 1;
}

const seenOf = ({ record, until }: Pending): AttributeRecord | undefined => until ?? record;

const idOf = (directory: ByteString, name: ByteString): string => `${directory}\n/${name}`;

export class AttributeStore {
  readonly #parts: AttributeStoreOptions;
  readonly #pending = new Map<ByteString, Map<ByteString, Pending>>();
  /** Of all that is pending in a directory, as its file will have it. */
  readonly #pendingBytes = new Map<ByteString, number>();
  readonly #gone = new Map<ByteString, Set<ByteString>>();
  readonly #flushing = new Map<ByteString, Promise<boolean>>();
  readonly #timers = new Map<ByteString, NodeJS.Timeout>();

  constructor(parts: AttributeStoreOptions) {
    this.#parts = parts;
    for (const { directory, name, record } of parts.journal.entries('attribute').values()) {
      this.#note(directory, name, record === null ? undefined : recordFromJson(record));
      this.#schedule(directory);
    }
  }

  async load(directory: ByteString, context: CallContext): Promise<AttributeView> {
    return this.#view(directory, await this.#parts.cache.load(directory, context));
  }

  /** As they were when they were read last; undefined: nothing is known of them. */
  known(directory: ByteString): AttributeView | undefined {
    const known = this.#parts.cache.current(directory);
    return known === undefined ? undefined : this.#view(directory, known);
  }

  #view(directory: ByteString, loaded: LoadedAttributes): AttributeView {
    // Looked up at every call: a change moves from the journal to the cluster while a view is in use.
    const records = (): AttributeRecords =>
      (this.#parts.cache.current(directory) ?? loaded).records;
    const pending = (): ReadonlyMap<ByteString, Pending> | undefined =>
      this.#pending.get(directory);
    return {
      get: (name) => {
        const change = pending()?.get(name);
        return change === undefined ? records().get(name) : seenOf(change);
      },
      *entries() {
        const changes = new Map(pending());
        for (const entry of records()) if (!changes.has(entry[0])) yield entry;
        for (const [name, change] of changes) {
          const record = seenOf(change);
          if (record !== undefined) yield [name, record];
        }
      },
    };
  }

  /**
   * Before anything is done that needs the record: an attribute file of more than readers take would
   * be as good as lost.
   */
  assertRoom({ path, record }: AttributeUpdate): void {
    if (record === undefined) return;
    const { directory, name } = recordPlaceOf(path);
    const known = this.#parts.cache.current(directory);
    // One that nobody can read is kept aside, and written anew.
    const stored = known?.damage === undefined ? (known?.version?.lengthBytes ?? 0) : 0;
    const bytes = stored + (this.#pendingBytes.get(directory) ?? 0) + bytesOf(name, record);
    const { bytesMax } = this.#parts;
    if (bytes <= bytesMax) return;
    const replaced = [known?.records.get(name), this.#pending.get(directory)?.get(name)?.record];
    const freed = replaced.reduce((sum, old) => sum + (old ? bytesOf(name, old) : 0), 0);
    if (bytes - freed <= bytesMax) return;
    const reason = 'Modes, owners, links and xattrs of this directory take all that is kept of one';
    throw storeError('no-space', `${reason}: ${bytesMax} bytes`, directory);
  }

  /**
   * Together with `others`, all or nothing; resolves when the journal has it, and calls `commit` in the same
   * turn.
   */
  async change(
    updates: readonly AttributeUpdate[],
    others: readonly JournalChange[] = [],
    { isDurable = false, commit }: { isDurable?: boolean; commit?: () => void } = {},
  ): Promise<void> {
    const undo: (() => void)[] = [];
    const late: Pending[] = [];
    const changes = [...others];
    for (const { path, record, until } of updates) {
      const { directory, name } = recordPlaceOf(path);
      const before = this.#pending.get(directory)?.get(name);
      // Seen at once, so that two changes of one name build on each other.
      const noted = this.#note(directory, name, record, before?.sinceMs);
      if (until !== undefined) {
        noted.until = until;
        late.push(noted);
      }
      undo.push(() => {
        if (this.#pending.get(directory)?.get(name) !== noted) return;
        if (before === undefined) this.#drop(directory, name);
        else this.#set(directory, name, before);
      });
      const json = record === undefined ? null : recordToJson(record);
      const value = { directory, name, record: json };
      changes.push({ kind: 'attribute', id: idOf(directory, name), value });
    }
    try {
      await this.#parts.journal.apply(changes, isDurable);
    } catch (error) {
      for (const step of undo.toReversed()) step();
      throw error;
    }
    commit?.();
    for (const noted of late) noted.until = undefined;
    for (const { path } of updates) this.#schedule(recordPlaceOf(path).directory);
  }

  /** A record without an object was seen: dropped with the next write, if it is still without one. */
  noteGone(directory: ByteString, name: ByteString): void {
    const names = this.#gone.get(directory) ?? new Set();
    if (names.size >= GONE_MAX || this.#gone.size >= GONE_MAX) return;
    this.#gone.set(directory, names.add(name));
    this.#schedule(directory);
  }

  /** The directory is gone, with all that was in it; what has its path now says for itself what it is. */
  planForget(directory: ByteString): Planned {
    const gone = [...this.#pending].filter(([other]) => isWithin(other, directory));
    const changes: JournalChange[] = [];
    for (const [other, names] of gone) {
      for (const name of names.keys()) changes.push({ kind: 'attribute', id: idOf(other, name) });
    }
    const commit = (): void => {
      this.#parts.cache.forgetWithin(directory);
      for (const [other] of gone) {
        this.#forget(other);
        this.#unschedule(other);
      }
      for (const other of this.#gone.keys()) {
        if (isWithin(other, directory)) this.#gone.delete(other);
      }
    };
    return { changes, commit };
  }

  /** As the cluster has them now: before something irrevocable. */
  async refresh(directory: ByteString, context: CallContext): Promise<void> {
    await this.#parts.cache.load(directory, context, true);
  }

  /** A whole attribute file, for a directory that nobody sees yet. */
  async writeNew(
    directory: ByteString,
    records: AttributeRecords,
    context: CallContext,
  ): Promise<void> {
    this.#parts.cache.forget(directory);
    if (records.size > 0) await this.#put(directory, records, context);
  }

  /** Everything about this directory's entries is in the cluster. */
  async sync(directory: ByteString, context: CallContext): Promise<void> {
    while (this.#pending.has(directory)) {
      // A flush under way may have begun before the newest change: the loop looks again.
      this.#parts.background.hurry();
      // Tried again and again; but programs wait here, and a directory's fsync(2) keeps others out.
      const what = `writing attributes: ${this.#parts.background.lastError ?? 'no answer'}`;
      await waitWithin(this.#flush(directory), atMost(FLUSH_TIMEOUT_MS, context), what);
      this.#parts.background.stop.throwIfAborted();
    }
  }

  async drain(context: CallContext): Promise<void> {
    const directories = Array.from(this.#pending.keys());
    await Promise.all(directories.map((directory) => this.sync(directory, context)));
  }

  stopTimers(): void {
    for (const directory of this.#timers.keys()) this.#unschedule(directory);
  }

  get pendingDirectories(): number {
    return this.#pending.size;
  }

  /** When the oldest change was made that the cluster does not have, as Date.now() tells. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const names of this.#pending.values()) {
      for (const { sinceMs } of names.values()) oldest = Math.min(oldest ?? sinceMs, sinceMs);
    }
    return oldest;
  }

  #note(
    directory: ByteString,
    name: ByteString,
    record: AttributeRecord | undefined,
    sinceMs = Date.now(),
  ): Pending {
    const bytes = record === undefined ? 0 : bytesOf(name, record);
    const pending: Pending = { record, sinceMs, bytes };
    this.#set(directory, name, pending);
    return pending;
  }

  #set(directory: ByteString, name: ByteString, pending: Pending): void {
    const names = this.#pending.get(directory) ?? new Map<ByteString, Pending>();
    const bytes = pending.bytes - (names.get(name)?.bytes ?? 0);
    this.#pendingBytes.set(directory, (this.#pendingBytes.get(directory) ?? 0) + bytes);
    this.#pending.set(directory, names.set(name, pending));
  }

  #drop(directory: ByteString, name: ByteString): void {
    const names = this.#pending.get(directory);
    const bytes = (this.#pendingBytes.get(directory) ?? 0) - (names?.get(name)?.bytes ?? 0);
    this.#pendingBytes.set(directory, bytes);
    names?.delete(name);
    if (names?.size === 0) this.#forget(directory);
  }

  #forget(directory: ByteString): void {
    this.#pending.delete(directory);
    this.#pendingBytes.delete(directory);
  }

  #schedule(directory: ByteString): void {
    if (this.#timers.has(directory) || this.#flushing.has(directory)) return;
    const timer = setTimeout(() => void this.#flush(directory), this.#parts.delayMs);
    timer.unref();
    this.#timers.set(directory, timer);
  }

  #unschedule(directory: ByteString): void {
    clearTimeout(this.#timers.get(directory));
    this.#timers.delete(directory);
  }

  #flush(directory: ByteString): Promise<boolean> {
    this.#unschedule(directory);
    const running = this.#flushing.get(directory);
    if (running !== undefined) return running;
    const what = `Writing the attributes of ${displayByteString(directory)}`;
    const flush = this.#parts.background
      .untilDone(what, () => this.#write(directory))
      .finally(() => {
        this.#flushing.delete(directory);
        if (this.#pending.has(directory)) this.#schedule(directory);
      });
    this.#flushing.set(directory, flush);
    return flush;
  }

  async #write(directory: ByteString): Promise<void> {
    const { locks, cache, reader, background, journal, temporaries } = this.#parts;
    const context = contextFor(FLUSH_TIMEOUT_MS, background.stop);
    const file = attributesPathOf(directory);
    const release = await locks.acquire('change', [{ path: file }], context);
    try {
      if (temporaries.isUnfinished(file)) {
        throw storeError('unavailable', 'The attribute file is being repaired', directory);
      }
      const changes = new Map(this.#pending.get(directory));
      const isLatest = (name: ByteString): boolean =>
        this.#pending.get(directory)?.get(name) === changes.get(name);
      const gone = this.#gone.get(directory) ?? new Set();
      this.#gone.delete(directory);
      if (changes.size === 0 && gone.size === 0) return;
      const loaded = await cache.load(directory, context, true);
      const records = new Map(loaded.records);
      for (const [name, { record }] of changes) {
        if (record === undefined) records.delete(name);
        else records.set(name, record);
      }
      for (const name of gone) {
        if (!changes.has(name) && (await this.#isGone(directory, name, records, context))) {
          records.delete(name);
        }
      }
      if (!isSameRecords(records, loaded.records)) {
        // A put makes directories: one that another client removed must not come back.
        const isThere =
          directory === ROOT ||
          (await unlessMissing(reader.stat(directory, context))) !== undefined;
        if (isThere) await this.#replace(directory, records, loaded, context);
        else {
          cache.forget(directory);
          if ([...changes.values()].some(({ record }) => record !== undefined)) {
            this.#parts.logger.warn(
              { directory: displayByteString(directory), names: changes.size },
              'Attributes set here have nobody to be of: another client removed their directory',
            );
          }
        }
      }
      const stored = [...changes.keys()].filter((name) => isLatest(name));
      // First there: an entry that could not be ended would be written again by the next start, over
      // what another client has said since.
      await journal.apply(stored.map((name) => ({ kind: 'attribute', id: idOf(directory, name) })));
      for (const name of stored) if (isLatest(name)) this.#drop(directory, name);
    } finally {
      release();
    }
  }

  async #isGone(
    directory: ByteString,
    name: ByteString,
    records: AttributeRecords,
    context: CallContext,
  ): Promise<boolean> {
    const record = records.get(name);
    if (record === undefined || name === '') return false;
    const path = joinPath(directory, name);
    // Somebody may be about to make it.
    if (this.#parts.locks.isHeld(path)) return false;
    const status = await unlessMissing(this.#parts.reader.stat(path, context));
    return (status === undefined) === (record.kind === undefined);
  }

  async #replace(
    directory: ByteString,
    records: AttributeRecords,
    loaded: LoadedAttributes,
    context: CallContext,
  ): Promise<void> {
    const { writer } = this.#parts;
    const file = attributesPathOf(directory);
    if (loaded.damage !== undefined) {
      const aside = `${file}.damaged-${newToken()}` as ByteString;
      await writer.copyFile(file, aside, context);
      this.#parts.logger.error(
        { directory: displayByteString(directory), keptAs: displayByteString(aside) },
        'A damaged attribute file was kept aside and is written anew',
      );
    }
    if (records.size > 0) {
      await this.#put(directory, records, context);
    } else {
      if (loaded.version !== undefined) await unlessMissing(writer.deleteFile(file, context));
      this.#parts.cache.put(directory, records, undefined);
    }
  }

  async #put(
    directory: ByteString,
    records: AttributeRecords,
    context: CallContext,
  ): Promise<void> {
    const bytes = encodeAttributeFile(records);
    // Until there is room, the journal keeps what is new.
    if (bytes.length > ATTRIBUTE_FILE_BYTES_MAX) {
      throw storeError('no-space', 'The attributes of a directory take too much', directory);
    }
    const content = {
      lengthBytes: bytes.length,
      async *open() {
        yield bytes;
      },
    };
    const file = attributesPathOf(directory);
    const isThere = this.#parts.cache.current(directory)?.version !== undefined;
    if (directory === ROOT && !isThere) await makeHiddenDirectory(this.#parts.writer, context);
    const end = this.#parts.cache.beginWrite(directory);
    const status = await this.#parts.temporaries.put(file, content, context).finally(end);
    const { lengthBytes, mtimeMs, contentHash } = status;
    const hash = contentHash === undefined ? {} : { contentHash };
    this.#parts.cache.put(directory, records, { lengthBytes, mtimeMs, ...hash });
  }
}
