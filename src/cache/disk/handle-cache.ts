/** Backing files kept open for reading: a bounded number, the least recently used closed first. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';

/** Enough for the files that a data loader has in hand; a process may have 1024 files open. */
const HANDLES_MAX = 256;

/** A link or a pipe is nothing that we made: it is not followed, nor waited for. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

interface Entry {
  readonly handle: Promise<FileHandle>;
  users: number;
  isDropped: boolean;
}

export class HandleCache {
  readonly #entries = new LRUCache<string, Entry>({
    max: HANDLES_MAX,
    dispose: (entry) => {
      entry.isDropped = true;
      closeUnused(entry);
    },
  });

  /** Rejects where the file cannot be opened. */
  async use<T>(path: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    let entry = this.#entries.get(path);
    if (entry === undefined) {
      const handle = open(path, READ_FLAGS);
      entry = { handle, users: 0, isDropped: false };
      this.#entries.set(path, entry);
    }
    entry.users++;
    try {
      return await work(await entry.handle);
    } catch (error) {
      // Not kept: it may be another file the next time.
      if (this.#entries.peek(path) === entry) this.#entries.delete(path);
      throw error;
    } finally {
      entry.users--;
      closeUnused(entry);
    }
  }

  drop(path: string): void {
    this.#entries.delete(path);
  }

  clear(): void {
    this.#entries.clear();
  }
}

function closeUnused(entry: Entry): void {
  if (!entry.isDropped || entry.users > 0) return;
  entry.handle.then(
    (handle) => handle.close(),
    // It was never open.
    () => undefined,
  );
}
