/** The parts of a store, joined; and what the last life left, taken up again. */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import type { ByteString } from '../base/byte-string.ts';
import type { FileStatus } from '../cluster/index.ts';
import { Aliases } from './aliases.ts';
import { AttributeCache } from './attribute-cache.ts';
import { AttributeStore } from './attribute-store.ts';
import { Background } from './background.ts';
import { BoundedWriter } from './cluster-parts.ts';
import { contextFor } from './contexts.ts';
import { lengthOf } from './content.ts';
import { unlessMissing } from './errors.ts';
import { FileJournalDisk } from './journal-disk.ts';
import { lockJournal } from './journal-lock.ts';
import { Journal, together } from './journal.ts';
import { ListingNotes } from './listing-notes.ts';
import { Listings } from './listings.ts';
import { DEFAULT_TUNING } from './options.ts';
import type { StoreOptions } from './options.ts';
import { PathLocks } from './path-locks.ts';
import { Removals } from './removals.ts';
import { Renames } from './renames.ts';
import { Staging } from './staging.ts';
import { Temporaries } from './temporaries.ts';
import { TreeCopy } from './tree-copy.ts';
import type { Overlay } from './view.ts';
import { NameSpaceView, nodeOf } from './view.ts';
import { pendingStatus, WriteBack } from './write-back.ts';

const DELETE_TIMEOUT_MS = 30_000;
/** Some small requests a path, where the cluster is there; a mount must come up without it, too. */
const RECOVERY_MS = 5_000;

function assemble(options: StoreOptions, journal: Journal) {
  const tuning = { ...DEFAULT_TUNING, ...options.tuning };
  const { reader, clock, logger } = options;
  const defaults = options.defaults ?? {};
  const stopping = new AbortController();
  const stop = stopping.signal;
  // All that waits listens to it, and each of these takes its ear away again.
  setMaxListeners(0, stop);
  const notes = new ListingNotes({ journal, writer: options.writer, stop });
  const writer = new BoundedWriter(options.writer, notes);
  const backoff = { firstMs: tuning.retryFirstMs, maxMs: tuning.retryMaxMs };
  const background = new Background(stop, backoff, logger);
  const locks = new PathLocks();
  const staging = new Staging(options.stagingDirectory, logger, options.onStagingReleased);
  const temporaries = new Temporaries({ reader, writer, journal, background, locks });
  const cache = new AttributeCache({
    reader,
    clock,
    logger,
    ttlMs: options.attributesTtlMs,
    maxRecords: tuning.attributeRecordsMax,
    isUnfinished: (file) => temporaries.isUnfinished(file),
  });
  const attributes = new AttributeStore({
    cache,
    reader,
    writer,
    journal,
    locks,
    temporaries,
    background,
    logger,
    delayMs: tuning.attributesDelayMs,
    bytesMax: tuning.attributeBytesMax,
  });
  const aliases = new Aliases(journal);
  const writeBack = new WriteBack({
    journal,
    aliases,
    attributes,
    temporaries,
    locks,
    staging,
    background,
    notes,
    stop,
    logger,
    defaults,
    backoff,
    concurrency: tuning.uploadConcurrency,
  });
  const concurrency = tuning.copyConcurrency;
  const shownMtimeMs = (path: ByteString, status: FileStatus): number =>
    aliases.present(path, nodeOf(status, undefined)).mtimeMs;
  const unlistedWithin = temporaries.unlistedWithin.bind(temporaries);
  const copying = { reader, writer, attributes, defaults, shownMtimeMs, concurrency };
  const trees = new TreeCopy({ ...copying, unlistedWithin });
  const listings = new Listings((path) => notes.noteSettled(path));
  const common = { reader, writer, journal, background, locks, listings };
  const renames = new Renames({
    ...common,
    attributes,
    defaults,
    trees,
    planSettled: (path) => temporaries.planSettledWithin(path),
  });
  const removals = new Removals(common);
  const overlay: Overlay = {
    // A beginning of a file is not shown as the file.
    isHidden: (path) =>
      renames.isHidden(path) ||
      (temporaries.isUnfinished(path) && writeBack.newest(path) === undefined),
    isRemoved: (path) => removals.has(path),
    isEmptied: (directory) => renames.isEmptied(directory),
    replacement: (path) => {
      const frozen = renames.frozen(path);
      if (frozen !== undefined) return frozen;
      const pending = writeBack.newest(path);
      return pending === undefined ? undefined : pendingStatus(pending);
    },
    *replacementsIn(directory) {
      for (const pending of writeBack.newestIn(directory)) yield pendingStatus(pending);
    },
    unheardIn: (directory) => notes.unheardIn(directory),
    present: (path, status) => aliases.present(path, status),
    noteGone: (directory, name) => attributes.noteGone(directory, name),
  };
  const view = new NameSpaceView(reader, attributes, overlay, listings);
  return {
    ...common,
    notes,
    stopping,
    staging,
    temporaries,
    attributes,
    aliases,
    writeBack,
    trees,
    renames,
    removals,
    view,
    defaults,
    mounts: options.mounts,
  };
}

export type StoreParts = ReturnType<typeof assemble> & { readonly unlock: () => Promise<void> };

/** Kept for those who had it open: they are gone. */
function removeKept(parts: ReturnType<typeof assemble>): void {
  const { journal, background, writer, staging, locks } = parts;
  for (const [path, { stagingName }] of journal.entries('kept')) {
    void background.untilDone('Removing a file that was kept', async () => {
      if (stagingName === undefined) {
        const context = contextFor(DELETE_TIMEOUT_MS, background.stop);
        // Not while the rename that brought it there is being taken up again.
        const wishes = [{ path: path as ByteString }];
        const release = await locks.acquire('change', wishes, context);
        try {
          await unlessMissing(writer.deleteFile(path as ByteString, context));
        } finally {
          release();
        }
      } else {
        await staging.remove(stagingName);
      }
      await journal.apply([{ kind: 'kept', id: path }]);
    });
  }
}

/** What was acknowledged without its bytes, which somebody deleted, can only be told. */
async function dropLostUploads(options: StoreOptions, journal: Journal): Promise<void> {
  const staging = new Staging(options.stagingDirectory, options.logger, undefined);
  for (const [id, { path, stagingName, segments }] of journal.entries('upload')) {
    const needsFile = segments.some(({ from }) => from === 'staging');
    if (!needsFile || (await staging.has(stagingName))) continue;
    options.logger.error(
      { path, stagingName, lengthBytes: lengthOf(segments) },
      'The bytes of an acknowledged file are gone from the staging directory: it is lost',
    );
    await journal.apply([{ kind: 'upload', id }]);
  }
}

/** Nothing of it waits for the cluster: what is unfinished is hidden, shown or locked, and goes on. */
export async function openParts(options: StoreOptions): Promise<StoreParts> {
  const journalPath = join(options.stateDirectory, 'journal');
  const unlock = await lockJournal(`${journalPath}.lock`);
  try {
    const disk = options.journalDisk ?? new FileJournalDisk(journalPath);
    const journal = await Journal.open(disk, options.logger);
    await dropLostUploads(options, journal);
    const parts = assemble(options, journal);
    parts.notes.recover();
    const renames = parts.renames.recover(({ from, to }) =>
      together([
        parts.writeBack.planCancel(to),
        parts.temporaries.planSettledWithin(from),
        parts.temporaries.planSettled(to),
      ]),
    );
    parts.removals.recover();
    const uploads = parts.temporaries.recover();
    removeKept(parts);
    parts.writeBack.start();
    // What nobody knows yet is better not asked for; in the end it is hidden, or shown as it was.
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, RECOVERY_MS);
    });
    await Promise.race([Promise.all([renames, uploads]), late]);
    clearTimeout(timer);
    return { ...parts, unlock };
  } catch (error) {
    await unlock();
    throw error;
  }
}
