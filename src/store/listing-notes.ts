/**
 * Directories whose listing the workers may remember wrongly, because names in them are being changed.
 * The journal has them before the first change, so that what a killed process told no worker the next
 * one tells: workers by themselves go on showing an old listing for days.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { ClusterWriter } from '../cluster/write/cluster-writer.ts';
import type { Journal } from './journal.ts';

export interface ListingNotesParts {
  readonly journal: Journal;
  readonly writer: Pick<ClusterWriter, 'isListingOld' | 'renewListing'>;
  readonly stop: AbortSignal;
}

interface Note {
  /** Resolves when the journal has it, or will not. */
  readonly written: Promise<void>;
  /** Changes under way. */
  count: number;
}

/** A directory in which one name after the other changes is noted once, and a renewal takes milliseconds. */
const FORGET_MS = 2_000;

export class ListingNotes {
  readonly #parts: ListingNotesParts;
  readonly #notes = new Map<ByteString, Note>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ListingNotesParts) {
    this.#parts = parts;
    parts.stop.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
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

  recover(): void {
    for (const id of this.#parts.journal.entries('listing').keys()) {
      const directory = id as ByteString;
      this.#notes.set(directory, { written: Promise.resolve(), count: 0 });
      this.#parts.writer.renewListing(directory);
    }
    this.#forgetLater();
  }

  #take(directory: ByteString): Note {
    let note = this.#notes.get(directory);
    if (note === undefined) {
      const { journal } = this.#parts;
      // A journal that cannot be written is no reason to keep a file: removing it may be the cure.
      const change = { kind: 'listing', id: directory, value: {} } as const;
      const written = journal.apply([change]).catch(() => undefined);
      note = { written, count: 0 };
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
    const told = [...this.#notes].filter(([directory, { count }]) => {
      return count === 0 && !writer.isListingOld(directory);
    });
    for (const [directory] of told) this.#notes.delete(directory);
    const changes = told.map(([id]) => ({ kind: 'listing', id }) as const);
    // Kept by a journal that cannot be written, they are renewed once too often.
    journal.apply(changes).catch(() => undefined);
  }
}
