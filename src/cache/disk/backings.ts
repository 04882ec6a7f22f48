/** Backing files that the kernel may read by itself: which are known to be right, which it has open. */
import type { BigIntStats } from 'node:fs';
import { LRUCache } from 'lru-cache';
import type { BackingMessage } from './types.ts';

/** Others are checked again when they are wanted; at some 300 bytes each this is 20 MB. */
const CHECKED_MAX = 65_536;

/** All by path, which no two files ever share. */
export class Backings {
  /** Complete files that were checked in this life of the daemon, as they were then. */
  readonly #checked = new LRUCache<string, Omit<BackingMessage, 'file'>>({ max: CHECKED_MAX });
  /** How often each is held open. */
  readonly #held = new Map<string, number>();

  checked(file: string, { ino, ctimeNs }: Pick<BigIntStats, 'ino' | 'ctimeNs'>): void {
    this.#checked.set(file, { ino, ctimeNs });
  }

  find(file: string): BackingMessage | undefined {
    const found = this.#checked.get(file);
    return found === undefined ? undefined : { file, ...found };
  }

  doubt(file: string): void {
    this.#checked.delete(file);
  }

  hold(file: string): void {
    this.#held.set(file, (this.#held.get(file) ?? 0) + 1);
  }

  release(file: string): void {
    const count = this.#held.get(file) ?? 0;
    if (count > 1) this.#held.set(file, count - 1);
    else this.#held.delete(file);
  }

  get hasHeld(): boolean {
    return this.#held.size > 0;
  }

  isHeld(file: string): boolean {
    return this.#held.has(file);
  }

  clear(): void {
    this.#checked.clear();
  }
}
