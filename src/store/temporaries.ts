/**
 * Files are put under a hidden name first. That name is in the journal before the first byte travels:
 * what a crash leaves behind is found, and removed or finished.
 *
 * A copy from the hidden to the final name that failed half way may have left a beginning there. The
 * complete bytes are then under the hidden name still, and the copy is repeated until it succeeds or
 * the path has become something else.
 */
import { randomBytes } from 'node:crypto';
import { isWithin } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { CallContext, FileStatus } from '../cluster/index.ts';
import type { UploadedContent } from '../cluster/write/cluster-writer.ts';
import { UploadUnfinished } from '../cluster/write/cluster-writer.ts';
import type { Background } from './background.ts';
import { isBeginning } from './beginnings.ts';
import type { BoundedWriter, FileContent, StoreReader } from './cluster-parts.ts';
import { contextFor, pause } from './contexts.ts';
import { isCode, unlessMissing, untilHopeless } from './errors.ts';
import type { TemporaryEntry } from './journal-entries.ts';
import type { Journal, JournalChange, Planned } from './journal.ts';
import type { PathLocks, Release } from './path-locks.ts';

export interface TemporariesParts {
  readonly reader: StoreReader;
  readonly writer: BoundedWriter;
  readonly journal: Journal;
  readonly background: Background;
  readonly locks: PathLocks;
}

/** A stat and a delete, at a worker that may be slow. */
const SWEEP_TIMEOUT_MS = 30_000;
/** What a worker still does of a request whose connection is gone. */
const LATE_MS = 5_000;
/** A copy of a large file by a worker; the writer itself ends it when nothing moves. */
const FINISH_TIMEOUT_MS = 600_000;

export function newToken(): string {
  return randomBytes(8).toString('hex');
}

interface Unfinished {
  readonly temporary: ByteString;
  readonly entry: TemporaryEntry;
  /** Of the last life: an upload of the same path that failed before this one began. */
  readonly older: Unfinished | undefined;
}

export class Temporaries {
  readonly #parts: TemporariesParts;
  /** Final paths that may hold a beginning, with the hidden name that repairs them. */
  readonly #unfinished = new Map<ByteString, Unfinished>();
  /** Repairs whose last step is under way: the workers are told. */
  #closing = 0;
  /** Final paths that workers are being told of. */
  readonly #telling = new Map<ByteString, { isAgain: boolean; done: Promise<void> }>();

  constructor(parts: TemporariesParts) {
    this.#parts = parts;
  }

  /** The caller holds the lock of the path. */
  async put(path: ByteString, content: FileContent, context: CallContext): Promise<FileStatus> {
    const { writer, journal } = this.#parts;
    const token = newToken();
    const temporary = writer.temporaryPathFor(path, token);
    const entry: TemporaryEntry = { path, token, lengthBytes: content.lengthBytes };
    await journal.apply([{ kind: 'temporary', id: temporary, value: entry }]);
    try {
      const onUploaded = (uploaded: UploadedContent): Promise<void> => {
        const value = { ...entry, content: uploaded };
        // Of a copy that nobody knows of after a power failure, a beginning would stay.
        return journal.apply([{ kind: 'temporary', id: temporary, value }], true);
      };
      const status = await writer.putFile(path, content, { token, onUploaded }, context);
      // In one line: what was to be repaired here is older, and must not come over it after a crash.
      const older = this.planSettled(path);
      const isLeft = status.isTemporaryLeft === true;
      const done = isLeft ? abandoned({ temporary, entry }) : forgotten(temporary);
      await journal.apply([done, ...older.changes]);
      older.commit();
      if (isLeft) void this.#sweep(temporary);
      return status;
    } catch (error) {
      if (error instanceof UploadUnfinished) {
        await this.#repairLater(temporary, { ...entry, content: error.content });
      } else {
        void this.#sweepTwice(temporary, entry);
      }
      throw error;
    }
  }

  /** The path becomes something else: what was unfinished there is only to be removed. */
  planSettled(path: ByteString): Planned {
    return this.#planSettled((other) => other === path);
  }

  planSettledWithin(path: ByteString): Planned {
    return this.#planSettled((other) => isWithin(other, path));
  }

  #planSettled(isSettled: (path: ByteString) => boolean): Planned {
    const settled = [...this.#unfinished].filter(([path]) => isSettled(path));
    return {
      changes: settled.flatMap(([, newest]) => [...chainOf(newest)].map(abandoned)),
      commit: () => {
        for (const [path, unfinished] of settled) {
          if (this.#unfinished.get(path) === unfinished) this.#unfinished.delete(path);
        }
      },
    };
  }

  isUnfinished(path: ByteString): boolean {
    return this.#unfinished.has(path);
  }

  get unfinishedCount(): number {
    return this.#unfinished.size + this.#closing;
  }

  /** A file that may be a beginning must not be taken for a whole one. */
  *unfinishedWithin(path: ByteString): Generator<ByteString> {
    for (const unfinished of this.#unfinished.keys())
      if (isWithin(unfinished, path)) yield unfinished;
  }

  /** What may be in the under store though workers do not list it. */
  *unlistedWithin(path: ByteString): Generator<ByteString> {
    yield* this.unfinishedWithin(path);
    for (const told of this.#telling.keys()) if (isWithin(told, path)) yield told;
  }

  /**
   * What the last life left behind. Locks of what must be repaired are held when it returns. Resolves
   * when it is repaired.
   */
  recover(): Promise<unknown> {
    const repairs: Promise<unknown>[] = [];
    for (const [id, entry] of this.#parts.journal.entries('temporary')) {
      const temporary = id as ByteString;
      if (entry.isAbandoned === true) {
        // The journal forgets it last: nobody else would tell the workers in the next life.
        repairs.push(this.#close(entry.path).then(() => void this.#sweep(temporary)));
        continue;
      }
      this.#note(temporary, entry, this.#unfinished.get(entry.path));
    }
    for (const unfinished of this.#unfinished.values()) repairs.push(this.#finish(unfinished));
    return Promise.all(repairs);
  }

  async #repairLater(temporary: ByteString, entry: TemporaryEntry): Promise<void> {
    void this.#finish(this.#note(temporary, entry));
    await this.#parts.journal.apply([{ kind: 'temporary', id: temporary, value: entry }]);
  }

  #note(temporary: ByteString, entry: TemporaryEntry, older?: Unfinished): Unfinished {
    const unfinished = { temporary, entry, older };
    this.#unfinished.set(entry.path, unfinished);
    return unfinished;
  }

  async #finish(unfinished: Unfinished): Promise<void> {
    const { locks, background, journal } = this.#parts;
    const { path } = unfinished.entry;
    await background.untilDone('Finishing an upload', async () => {
      const context = contextFor(FINISH_TIMEOUT_MS, background.stop);
      const release: Release = await locks.acquire('change', [{ path }], context);
      try {
        if (this.#unfinished.get(path) !== unfinished) return;
        for (const each of chainOf(unfinished)) {
          const { temporary, entry } = each;
          const content = await this.#contentToCopy(temporary, entry, context);
          if (content !== undefined) {
            // To compare may have taken all of the time.
            const fresh = contextFor(FINISH_TIMEOUT_MS, background.stop);
            await this.#copy(path, content, entry.token, fresh);
            break;
          }
          if (each.older !== undefined && (await this.#isDone(each, context))) break;
        }
        const settled = this.planSettled(path);
        await journal.apply(settled.changes);
        settled.commit();
      } finally {
        release();
      }
    });
    await this.#close(path);
    await Promise.all([...chainOf(unfinished)].map(({ temporary }) => this.#sweep(temporary)));
  }

  /** It may be there in full, and the workers have not heard of it. */
  async #close(path: ByteString): Promise<void> {
    this.#closing++;
    try {
      await this.#tell(path);
    } finally {
      this.#closing--;
    }
  }

  /** It came to its name, and its hidden file is gone: nothing older may come over it. */
  async #isDone({ temporary, entry }: Unfinished, context: CallContext): Promise<boolean> {
    const { reader } = this.#parts;
    if ((await unlessMissing(reader.stat(temporary, context))) !== undefined) return false;
    const final = await unlessMissing(reader.stat(entry.path, context));
    return final?.lengthBytes === entry.lengthBytes;
  }

  async #copy(
    path: ByteString,
    content: UploadedContent,
    token: string,
    context: CallContext,
  ): Promise<void> {
    const { writer, background } = this.#parts;
    try {
      await writer.finishUpload(path, content, token, context);
    } catch (error) {
      // Nothing will come of it however often it is tried: the name is taken, or may not be written.
      const hopeless = isCode(
        error,
        'not-found',
        'permission',
        'is-a-directory',
        'not-a-directory',
      );
      if (!hopeless || background.stop.aborted) throw error;
    }
  }

  /**
   * After a failure or crash nobody knows how far the copy came. Undefined: the final name is as it was, as it
   * should be, or another client's.
   */
  async #contentToCopy(
    temporary: ByteString,
    entry: TemporaryEntry,
    context: CallContext,
  ): Promise<UploadedContent | undefined> {
    const { reader } = this.#parts;
    // It was not begun.
    if (entry.content === undefined) return undefined;
    const uploaded = await unlessMissing(reader.stat(temporary, context));
    if (uploaded?.lengthBytes !== entry.lengthBytes) return undefined;
    const final = await unlessMissing(reader.stat(entry.path, context));
    if (final !== undefined) {
      const file = { path: entry.path, status: final };
      const whole = { path: temporary, status: uploaded };
      if (!(await isBeginning(reader, file, whole, context.signal))) return undefined;
    }
    return entry.content;
  }

  /** A worker that was about to make the file when its client left makes it after the first time. */
  async #sweepTwice(temporary: ByteString, entry: TemporaryEntry): Promise<void> {
    const { background, writer, journal } = this.#parts;
    const removed = await background.untilDone('Removing a temporary file', async () => {
      await journal.apply([abandoned({ temporary, entry })]);
      await writer.removeTemporary(temporary, contextFor(SWEEP_TIMEOUT_MS, background.stop));
    });
    const isFirst = !this.#telling.has(entry.path);
    const telling = this.#tell(entry.path);
    if (removed) await pause(LATE_MS, background.stop);
    // One journal entry of the path stays until the workers have been told.
    if (isFirst) await telling;
    // Cut short, it is the next start's: the journal has the name until then.
    await this.#sweep(temporary);
  }

  /** It may have come to its name all the same, and the workers have not heard of it. One at a time. */
  #tell(path: ByteString): Promise<void> {
    const known = this.#telling.get(path);
    if (known !== undefined) {
      known.isAgain = true;
      return known.done;
    }
    const telling = { isAgain: false, done: Promise.resolve() };
    this.#telling.set(path, telling);
    telling.done = this.#tellUntilDone(path, telling).finally(() => this.#telling.delete(path));
    return telling.done;
  }

  async #tellUntilDone(path: ByteString, telling: { isAgain: boolean }): Promise<void> {
    const { background, locks, writer } = this.#parts;
    do {
      await background.untilDone('Telling the workers of an upload', async () => {
        const context = contextFor(SWEEP_TIMEOUT_MS, background.stop);
        const release = await locks.acquire('change', [{ path }], context);
        try {
          telling.isAgain = false;
          await untilHopeless(writer.tellWorkers(path, undefined, context));
        } finally {
          release();
        }
      });
    } while (telling.isAgain && !background.stop.aborted);
  }

  async #sweep(temporary: ByteString): Promise<void> {
    const { background, writer } = this.#parts;
    await background.untilDone('Removing a temporary file', async () => {
      await writer.removeTemporary(temporary, contextFor(SWEEP_TIMEOUT_MS, background.stop));
      await this.#parts.journal.apply([forgotten(temporary)]);
    });
  }
}

function* chainOf(newest: Unfinished): Generator<Unfinished> {
  for (let each: Unfinished | undefined = newest; each !== undefined; each = each.older) yield each;
}

function forgotten(temporary: ByteString): JournalChange {
  return { kind: 'temporary', id: temporary };
}

/** Only to be removed. */
function abandoned({ temporary, entry }: Pick<Unfinished, 'temporary' | 'entry'>): JournalChange {
  return { kind: 'temporary', id: temporary, value: { ...entry, isAbandoned: true } };
}
