/** Files that are gone for this mount, by its journal, and are still to go in the cluster. */
import { displayByteString } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { Background } from './background.ts';
import type { BoundedWriter } from './cluster-parts.ts';
import { contextFor } from './contexts.ts';
import { unlessMissing } from './errors.ts';
import type { Journal, JournalChange } from './journal.ts';
import type { Listings } from './listings.ts';
import type { PathLocks, Release } from './path-locks.ts';

export interface RemovalsParts {
  readonly writer: BoundedWriter;
  readonly journal: Journal;
  readonly background: Background;
  readonly locks: PathLocks;
  readonly listings: Listings;
}

const DELETE_TIMEOUT_MS = 30_000;

export class Removals {
  readonly #parts: RemovalsParts;
  readonly #paths = new Map<ByteString, Promise<unknown>>();

  constructor(parts: RemovalsParts) {
    this.#parts = parts;
  }

  has(path: ByteString): boolean {
    return this.#paths.has(path);
  }

  changeFor(path: ByteString): JournalChange {
    return { kind: 'removal', id: path, value: {} };
  }

  /** The journal has it. Keeps the lock until the cluster has it, too. */
  begin(path: ByteString, release: Release): Promise<unknown> {
    const { background, writer, journal, listings } = this.#parts;
    const what = `Removing ${displayByteString(path)}`;
    const work = background
      .untilDone(what, async () => {
        await unlessMissing(
          writer.deleteFile(path, contextFor(DELETE_TIMEOUT_MS, background.stop)),
        );
        await journal.apply([{ kind: 'removal', id: path }]);
        // Not hidden any more from here on; listings may have been drawn up before it went.
        listings.noteGone(path);
        this.#paths.delete(path);
      })
      .finally(release);
    this.#paths.set(path, work);
    return work;
  }

  /** Hidden, and their locks held, when it returns. */
  recover(): void {
    const { background, journal, locks } = this.#parts;
    for (const id of journal.entries('removal').keys()) {
      const path = id as ByteString;
      // At once: nobody else holds a lock while the store is being opened.
      const context = contextFor(DELETE_TIMEOUT_MS, background.stop);
      const locked = locks.acquire('change', [{ path }], context);
      void this.begin(path, () => void locked.then((release) => release()));
    }
  }

  async drain(): Promise<void> {
    await Promise.all(this.#paths.values());
  }

  get size(): number {
    return this.#paths.size;
  }
}
