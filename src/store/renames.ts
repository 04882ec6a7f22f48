/**
 * Renames of what the cluster holds. It cannot move a tree in one step, and most clusters not even a
 * file, so a rename is a copy, a switch, and a delete:
 *
 * - copying: `from` is what programs see; `to` is hidden, or still what it was.
 * - switched: `to` is what they see; `from` is hidden and on its way out.
 *
 * The switch is a line in the journal. A crash before it undoes the copy (or repeats it, where the copy
 * has overwritten a file); a crash after it goes on deleting. This mount never shows both names or neither;
 * other clients may see both for a while.
 */
import { displayByteString, isBelow, isWithin, parentOf } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { CallContext, FileStatus } from '../cluster/index.ts';
import type { AttributeDefaults } from './attribute-record.ts';
import { movedRecord } from './attribute-record.ts';
import type { AttributeStore, AttributeUpdate } from './attribute-store.ts';
import type { Background } from './background.ts';
import type { BoundedWriter, StoreReader } from './cluster-parts.ts';
import { contextFor, waitWithin } from './contexts.ts';
import { storeError, unlessMissing, untilHopeless } from './errors.ts';
import type { RenameEntry } from './journal-entries.ts';
import { together } from './journal.ts';
import type { Journal, JournalChange, Planned } from './journal.ts';
import type { Listings } from './listings.ts';
import type { PathLocks, Release } from './path-locks.ts';
import { recordPlaceOf, ROOT } from './paths.ts';
import { newToken } from './temporaries.ts';
import type { TreeCopy } from './tree-copy.ts';
import type { NodeStatus } from './types.ts';

export interface RenamesParts {
  readonly reader: StoreReader;
  readonly writer: BoundedWriter;
  readonly journal: Journal;
  readonly attributes: AttributeStore;
  readonly defaults: AttributeDefaults;
  readonly background: Background;
  readonly locks: PathLocks;
  readonly trees: TreeCopy;
  readonly listings: Listings;
  /** Nothing within the path is to be repaired any more. */
  readonly planSettled: (path: ByteString) => Planned;
}

export interface RenameProgress {
  readonly from: ByteString;
  readonly to: ByteString;
  readonly phase: RenameEntry['phase'];
  readonly filesCopied: number;
}

/** What else changes at the moment of the switch. Asked for under the locks, after the copy. */
export type AtSwitch = () => Planned;

interface Job {
  readonly id: string;
  entry: RenameEntry;
  /** What programs see at `to` while it is being overwritten. */
  readonly frozen: NodeStatus | undefined;
  readonly atSwitch: AtSwitch;
  /** A file moved out of sight: its record is for nobody. */
  readonly dropsRecord: boolean;
  filesCopied: number;
  /** Done in this life and in full: nobody need be told of it any more. */
  isTold: boolean;
}

/** A step of recovery: within it a tree of a million files can be copied; then it begins again. */
const BACKGROUND_TIMEOUT_MS = 24 * 3600 * 1000;
/** How long a rename that failed waits for its undoing before it says so. */
const UNDO_WAIT_MS = 5000;

const nothingElse: AtSwitch = () => together([]);

export class Renames {
  readonly #parts: RenamesParts;
  readonly #jobs = new Map<string, Job>();
  readonly #inBackground = new Set<Promise<unknown>>();

  constructor(parts: RenamesParts) {
    this.#parts = parts;
  }

  isHidden(path: ByteString): boolean {
    for (const { entry, frozen } of this.#jobs.values()) {
      if (entry.phase === 'switched') {
        if (isWithin(path, entry.from)) return true;
      } else if (isBelow(path, entry.to)) {
        return true;
      } else if (path === entry.to && entry.replaced !== 'directory' && frozen === undefined) {
        return true;
      }
    }
    return false;
  }

  /** A rename to it is under way, or being undone. */
  isTarget(path: ByteString): boolean {
    return [...this.#jobs.values()].some(({ entry }) => entry.to === path);
  }

  isEmptied(directory: ByteString): boolean {
    for (const { entry } of this.#jobs.values()) {
      if (entry.phase === 'copying' && entry.to === directory) return true;
    }
    return false;
  }

  frozen(path: ByteString): NodeStatus | undefined {
    for (const { entry, frozen } of this.#jobs.values()) {
      if (entry.phase === 'copying' && entry.to === path) return frozen;
    }
    return undefined;
  }

  /**
   * Resolves when it is done, or switched and the deadline is over. The locks of both paths are its
   * own from here on, until nothing of it is left.
   */
  async run(
    plan: {
      readonly from: ByteString;
      readonly to: ByteString;
      readonly isDirectory: boolean;
      readonly shownMtimeMs: number;
      readonly replaces: NodeStatus | undefined;
      readonly dropsRecord?: boolean;
      readonly atSwitch?: AtSwitch;
    },
    context: CallContext,
    release: Release,
  ): Promise<void> {
    const { from, to, isDirectory, replaces } = plan;
    let job: Job;
    try {
      const isAtomic = !isDirectory && (await this.#parts.writer.canRename(from));
      const { lengthBytes, mtimeMs } = await this.#parts.reader.stat(from, context);
      const source = { lengthBytes, mtimeMs, shownMtimeMs: plan.shownMtimeMs };
      const replaced =
        replaces?.kind === 'file' || replaces?.kind === 'directory' ? replaces.kind : 'nothing';
      job = {
        id: newToken(),
        entry: { from, to, isDirectory, source, phase: 'copying', isAtomic, replaced },
        frozen: replaces,
        atSwitch: plan.atSwitch ?? nothingElse,
        dropsRecord: plan.dropsRecord === true,
        filesCopied: 0,
        isTold: false,
      };
      // Seen before the first byte is copied, also when the journal takes its time.
      this.#jobs.set(job.id, job);
      try {
        await this.#parts.journal.apply([entryOf(job)]);
      } catch (error) {
        this.#jobs.delete(job.id);
        throw error;
      }
    } catch (error) {
      release();
      throw error;
    }
    try {
      await this.#copyAndSwitch(job, context);
    } catch (error) {
      const undoing = this.#background(job, release);
      const wait = contextFor(UNDO_WAIT_MS, this.#parts.background.stop);
      await waitWithin(undoing, wait, 'undoing a rename').catch(() => undefined);
      if (job.entry.phase === 'switched') return;
      throw error;
    }
    try {
      await this.#clean(job, context);
      release();
    } catch {
      void this.#background(job, release);
    }
  }

  /**
   * Names are hidden, and locks held, when it returns. `atSwitch`: of a file that is copied again.
   * Resolves when what may have been done is known to be done or not.
   */
  recover(atSwitch: (entry: RenameEntry) => Planned): Promise<unknown> {
    const { journal, locks, background } = this.#parts;
    const uncertain: Promise<unknown>[] = [];
    for (const [id, entry] of journal.entries('rename')) {
      const job: Job = {
        id,
        entry,
        frozen: undefined,
        atSwitch: () => atSwitch(entry),
        dropsRecord: journal.entries('kept').has(entry.to),
        filesCopied: 0,
        isTold: false,
      };
      this.#jobs.set(id, job);
      const wishes = [
        { path: entry.from, subtree: true },
        { path: entry.to, subtree: true },
      ];
      const context = contextFor(BACKGROUND_TIMEOUT_MS, background.stop);
      const locked = locks.acquire('change', wishes, context);
      const work = this.#background(job, () => void locked.then((release) => release()));
      if (entry.isAtomic && entry.phase === 'copying') uncertain.push(work);
    }
    return Promise.all(uncertain);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#inBackground);
  }

  progress(): RenameProgress[] {
    return [...this.#jobs.values()].map(({ entry, filesCopied }) => ({
      from: entry.from,
      to: entry.to,
      phase: entry.phase,
      filesCopied,
    }));
  }

  #background(job: Job, release: Release): Promise<unknown> {
    const { background } = this.#parts;
    const { from, to } = job.entry;
    const what = `Renaming ${displayByteString(from)} to ${displayByteString(to)}`;
    const work = background
      .untilDone(what, () => this.#resume(job, contextFor(BACKGROUND_TIMEOUT_MS, background.stop)))
      .finally(() => {
        this.#inBackground.delete(work);
        release();
      });
    this.#inBackground.add(work);
    return work;
  }

  async #resume(job: Job, context: CallContext): Promise<void> {
    // At a start the other parts take up in the same turn what they know of these names.
    await Promise.resolve();
    const { from, to, isDirectory, isAtomic, replaced } = job.entry;
    const { reader, writer, trees } = this.#parts;
    if (job.entry.phase === 'copying') {
      if (isAtomic) {
        // Past the workers, who may not have heard of it.
        if ((await writer.statStored(from, context)) !== undefined) return this.#end(job);
        const target = await writer.statStored(to, context);
        if (target !== undefined) await this.#switch(job, target, context);
        else return this.#endWithoutTarget(job, context);
      } else if (isDirectory) {
        await trees.undoCopy(from, to, replaced === 'directory', context);
        // What a put of this rename left unfinished below its target must not come back, nor what it
        // said of the names there.
        const { attributes, planSettled } = this.#parts;
        return this.#end(job, together([planSettled(to), attributes.planForget(to)]));
      } else if (replaced === 'file') {
        // The bytes that were at `to` are lost: the only whole state is ahead.
        const source = await unlessMissing(reader.stat(from, context));
        if (source === undefined) return this.#end(job);
        await this.#copyAndSwitch(job, context);
      } else {
        // Where another client has removed the source, the copy is all there is.
        const source = await unlessMissing(reader.stat(from, context));
        const copy = await unlessMissing(reader.stat(to, context));
        const isAll = copy?.lengthBytes === job.entry.source.lengthBytes;
        if (source !== undefined || copy === undefined || !isAll) {
          await unlessMissing(writer.deleteFile(to, context));
          return this.#end(job);
        }
        await this.#switch(job, copy, context);
      }
    }
    return this.#clean(job, context);
  }

  async #copyAndSwitch(job: Job, context: CallContext): Promise<void> {
    const { writer, trees } = this.#parts;
    const { from, to, isDirectory, isAtomic } = job.entry;
    let is: FileStatus | undefined;
    if (isDirectory) {
      await trees.emptyHidden(to, context);
      await trees.copyTree(from, to, context, () => job.filesCopied++);
    } else if (isAtomic) {
      is = await writer.renameFile(from, to, context);
      job.isTold = true;
    } else {
      is = await trees.copyFile(from, to, context);
    }
    await this.#switch(job, is, context);
  }

  /** `is`: of a file, what is at the target now. */
  async #switch(job: Job, is: FileStatus | undefined, context: CallContext): Promise<void> {
    const { attributes, defaults } = this.#parts;
    const { from, to, isDirectory, source } = job.entry;
    const was = { ...source, kind: isDirectory ? ('directory' as const) : ('file' as const) };
    const place = recordPlaceOf(from);
    const target = recordPlaceOf(to);
    const [view, targetView] = await Promise.all([
      attributes.load(place.directory, context),
      attributes.load(target.directory, context),
    ]);
    // From here to the journal in one turn: nothing may change in between.
    const before = view.get(place.name);
    const now = is === undefined ? was : { ...is, kind: was.kind };
    const record = movedRecord(before, was, now, source.shownMtimeMs, defaults);
    const updates: AttributeUpdate[] = [];
    // Until the switch programs see the old name, as it was.
    if (before !== undefined) updates.push({ path: from, record: undefined, until: before });
    const isNews = record !== undefined || targetView.get(target.name) !== undefined;
    if (isNews && !job.dropsRecord) updates.push({ path: to, record });
    const other = job.atSwitch();
    const switched: Job = { ...job, entry: { ...job.entry, phase: 'switched' } };
    // What waits for a directory that was replaced was said of names that are gone.
    const forgotten = isDirectory ? [from, to].map((path) => attributes.planForget(path)) : [];
    const changes = [entryOf(switched), ...other.changes];
    for (const plan of forgotten) changes.push(...plan.changes);
    // What is deleted next must not be all that the next life believes in, also after a power failure.
    const commit = (): void => {
      job.entry = switched.entry;
      other.commit();
      for (const plan of forgotten) plan.commit();
      if (isDirectory) this.#parts.listings.noteDirectoryGone(from);
    };
    await attributes.change(updates, changes, { isDurable: !job.entry.isAtomic, commit });
  }

  async #clean(job: Job, context: CallContext): Promise<void> {
    const { writer, trees } = this.#parts;
    const { from, to, isDirectory, isAtomic, source } = job.entry;
    if (isDirectory) await trees.deleteCopied(from, to, context);
    else if (!isAtomic) await unlessMissing(writer.deleteFile(from, context));
    else if (!job.isTold) {
      await untilHopeless(writer.tellWorkers(to, undefined, context));
      await untilHopeless(writer.tellWorkers(from, source, context));
    }
    await this.#end(job);
  }

  /** Somebody has removed both names; or what looks like an empty store is not mounted. */
  async #endWithoutTarget(job: Job, context: CallContext): Promise<void> {
    const directory = parentOf(job.entry.to);
    if (
      directory !== ROOT &&
      (await this.#parts.writer.statStored(directory, context)) === undefined
    ) {
      throw storeError(
        'unavailable',
        'The under store lacks the directory of a renamed file',
        directory,
      );
    }
    await this.#end(job);
  }

  async #end(job: Job, other = together([])): Promise<void> {
    const { journal, listings } = this.#parts;
    await journal.apply([{ kind: 'rename', id: job.id }, ...other.changes]);
    other.commit();
    // Not hidden any more from here on; listings may have been drawn up before it went.
    const { phase, from, to } = job.entry;
    listings.noteGone(phase === 'switched' ? from : to);
    this.#jobs.delete(job.id);
  }
}

function entryOf({ id, entry }: Job): JournalChange {
  return { kind: 'rename', id, value: entry };
}
