/**
 * Names that this mount has made or taken away a short while ago. The cluster's listings may not know
 * of them yet, and answers to questions that were asked before may still arrive; both are older news.
 */
import { LRUCache } from 'lru-cache';
import { isWithin } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { StatusMessage } from './types.ts';

export interface OwnChange {
  /** Which of all changes it was, from 1. */
  readonly number: number;
  /** As the core's clock tells. */
  readonly atMs: number;
  /** What the name became; undefined: nothing. */
  readonly status: StatusMessage | undefined;
  /** Of a name that went: the modification time that it had; a listing that shows it is an old one. */
  readonly goneMtimeMs: number;
}

/** Over all directories; some 200 bytes each. */
const CHANGES_MAX = 65_536;

export class OwnChanges {
  readonly #directories = new LRUCache<ByteString, Map<ByteString, OwnChange>>({
    maxSize: CHANGES_MAX,
    sizeCalculation: (changes) => changes.size + 1,
  });

  #count = 0;

  /** How many there ever were: questions remember it, and know what came after them. */
  get count(): number {
    return this.#count;
  }

  get isEmpty(): boolean {
    return this.#directories.size === 0;
  }

  of(directory: ByteString): ReadonlyMap<ByteString, OwnChange> | undefined {
    return this.#directories.get(directory);
  }

  find(directory: ByteString, name: ByteString): OwnChange | undefined {
    return this.#directories.get(directory)?.get(name);
  }

  note(directory: ByteString, name: ByteString, made: Omit<OwnChange, 'number'>): void {
    const change: OwnChange = { ...made, number: ++this.#count };
    const changes = this.#directories.get(directory) ?? new Map<ByteString, OwnChange>();
    // Younger ones last.
    changes.delete(name);
    changes.set(name, change);
    // One directory alone must not outgrow the bound: its oldest goes.
    if (changes.size >= CHANGES_MAX) changes.delete(changes.keys().next().value as ByteString);
    this.#directories.delete(directory);
    this.#directories.set(directory, changes);
  }

  /** The cluster agrees, or somebody else has changed it since. */
  forget(directory: ByteString, name: ByteString): void {
    const changes = this.#directories.get(directory);
    if (changes?.delete(name) === true && changes.size === 0) this.#directories.delete(directory);
  }

  /** A directory has another path now; what was there before is not this one's past. */
  move(from: ByteString, to: ByteString): void {
    for (const path of Array.from(this.#directories.keys())) {
      if (isWithin(path, to)) this.#directories.delete(path);
    }
    for (const [path, changes] of Array.from(this.#directories.entries())) {
      if (!isWithin(path, from)) continue;
      this.#directories.delete(path);
      this.#directories.set(`${to}${path.slice(from.length)}` as ByteString, changes);
    }
  }
}
