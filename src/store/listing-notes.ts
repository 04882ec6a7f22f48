/**
 * Directories whose listing the workers may remember wrongly, because names in them are being changed.
 * The journal has them before the first change, so that what a killed process told no worker the next
 * one tells: workers by themselves go on showing an old listing for days.
 */
import { parentOf, type ByteString } from '../base/byte-string.ts';
import type { ClusterWriter } from '../cluster/write/cluster-writer.ts';
import type { Journal, JournalChange } from './journal.ts';

export interface ListingNotesParts {
  readonly journal: Journal;
  readonly writer: Pick<ClusterWriter, 'listingOldSinceMs' | 'renewListing'>;
  readonly stop: AbortSignal;
}

interface Note {
  /** Resolves when the journal has it, or will not. */
  readonly written: Promise<void>;
  /** Changes under way. */
  count: number;
  /** When the workers, if they do not answer, are told again; as performance.now() tells. */
  retryMs: number;
  /** When the cluster got or lost names for which this mount had answered until then; the oldest first. */
  readonly settled: Map<ByteString, number>;
}

/** A directory in which one name after the other changes is noted once, and a renewal takes milliseconds. */
const FORGET_MS = 2_000;
/** Workers that do not answer for many seconds are away for minutes. */
const RETRY_MS = 60_000;
/** Of one directory: each costs a listing a question, and some dozens change before the workers are told. */
const SETTLED_MAX = 1000;
/** What a worker still does of a request of a process that was killed. */
const LATE_MS = 5_000;

export class ListingNotes {
  readonly #parts: ListingNotesParts;
  readonly #notes = new Map<ByteString, Note>();
  #timer: NodeJS.Timeout | undefined;
  #late: NodeJS.Timeout | undefined;

  constructor(parts: ListingNotesParts) {
    this.#parts = parts;
    const end = (): void => {
      clearTimeout(this.#timer);
      clearTimeout(this.#late);
    };
    parts.stop.addEventListener('abort', end, { once: true });
  }

  /** Changes names in the directories. */
  async during<T>(directories: readonly ByteString[], change: () => Promise<T>): Promise<T> {
    const notes = directories.map((directory) => this.#take(directory));
    await Promise.all(notes.map(({ written }) => written));
    try {
      return await change();
    } finally {
      for (const note of notes) note.count--;
    }
  }

  /** How long there have been changes that the workers may not have heard of, in ms. */
  unheardMs(directory: ByteString): number {
    const sinceMs = this.#parts.writer.listingOldSinceMs(directory);
    return sinceMs === undefined ? 0 : performance.now() - sinceMs;
  }

  /** What this mount has shown for a while is what the cluster has, from now on. */
  noteSettled(path: ByteString): void {
    const settled = this.#notes.get(parentOf(path))?.settled;
    if (settled === undefined) return;
    settled.delete(path);
    settled.set(path, performance.now());
    const [oldest] = settled.keys();
    if (settled.size > SETTLED_MAX && oldest !== undefined) settled.delete(oldest);
  }

  /** Of these the directory's workers may not have heard yet; the others are forgotten. */
  unheardIn(directory: ByteString): Set<ByteString> {
    const settled = this.#notes.get(directory)?.settled ?? new Map<ByteString, number>();
    const sinceMs = this.#parts.writer.listingOldSinceMs(directory) ?? Infinity;
    for (const [path, atMs] of settled) {
      if (atMs >= sinceMs) break;
      settled.delete(path);
    }
    return new Set(settled.keys());
  }

  /** Now, and once more when nothing of the last life is under way any more. */
  recover(): void {
    const { journal, writer } = this.#parts;
    const recovered: [ByteString, Note][] = [];
    for (const id of journal.entries('listing').keys()) {
      const directory = id as ByteString;
      const note = newNote(Promise.resolve(), 1);
      this.#notes.set(directory, note);
      recovered.push([directory, note]);
      writer.renewListing(directory);
    }
    if (recovered.length === 0) return;
    this.#late = setTimeout(() => {
      for (const [directory, note] of recovered) {
        writer.renewListing(directory);
        note.count--;
      }
    }, LATE_MS).unref();
    this.#forgetLater();
  }

  #take(directory: ByteString): Note {
    let note = this.#notes.get(directory);
    if (note === undefined) {
      const { journal } = this.#parts;
      // A journal that cannot be written is no reason to keep a file: removing it may be the cure.
      const change = { kind: 'listing', id: directory, value: {} } as const;
      const written = journal.apply([change]).catch(() => {
        // The next change tries again.
        if (this.#notes.get(directory) === made) this.#notes.delete(directory);
      });
      const made = newNote(written, 0);
      note = made;
      this.#notes.set(directory, note);
      this.#forgetLater();
    }
    note.count++;
    return note;
  }

  #forgetLater(): void {
    if (this.#notes.size === 0 || this.#timer !== undefined || this.#parts.stop.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#forget();
      this.#forgetLater();
    }, FORGET_MS).unref();
  }

  #forget(): void {
    const { journal, writer } = this.#parts;
    const nowMs = performance.now();
    const changes: JournalChange[] = [];
    for (const [directory, note] of this.#notes) {
      if (note.count > 0) continue;
      if (writer.listingOldSinceMs(directory) === undefined) {
        this.#notes.delete(directory);
        changes.push({ kind: 'listing', id: directory });
      } else if (nowMs >= note.retryMs) {
        note.retryMs = retryMs();
        writer.renewListing(directory);
      }
    }
    // Kept by a journal that cannot be written, they are renewed once too often.
    journal.apply(changes).catch(() => undefined);
  }
}

function newNote(written: Promise<void>, count: number): Note {
  return { written, count, retryMs: retryMs(), settled: new Map() };
}

function retryMs(): number {
  return performance.now() + RETRY_MS;
}
