/**
 * Backing ids outlive the daemon that got them, as the connection does, and with each the kernel keeps a
 * file open. So that the next daemon can close them, the blocks of numbers that they lie in are written
 * down: one write for a thousand opens. Closing an id is safe: files that are open keep what they read.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const BLOCK_IDS = 1024;
/** The kernel gives numbers in turn, so few blocks have open ones. What is longer is no list of ours. */
const BLOCKS_MAX = 1_000_000;

export class BackingIds {
  readonly #file: string;
  readonly #onError: (error: unknown) => void;
  /** How many ids of a block are open. */
  readonly #open = new Map<number, number>();
  #newest = -1;

  constructor(file: string, onError: (error: unknown) => void) {
    this.#file = file;
    this.#onError = onError;
  }

  /** It is another connection: there are none yet. */
  reset(): void {
    this.#open.clear();
    this.#newest = -1;
    rmSync(this.#file, { force: true });
  }

  /** Those that an earlier life of the daemon may have left, and some that nobody has. */
  *left(): IterableIterator<number> {
    for (const block of this.#readBlocks()) {
      for (let index = 0; index < BLOCK_IDS; index++) yield block * BLOCK_IDS + index;
    }
  }

  #readBlocks(): number[] {
    try {
      const blocks: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
      if (!Array.isArray(blocks) || blocks.length > BLOCKS_MAX) return [];
      return blocks.filter((block): block is number => Number.isSafeInteger(block) && block >= 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError(error);
      return [];
    }
  }

  opened(id: number): void {
    const block = Math.floor(id / BLOCK_IDS);
    const count = this.#open.get(block);
    this.#open.set(block, (count ?? 0) + 1);
    if (count !== undefined) return;
    const last = this.#newest;
    this.#newest = block;
    if (this.#open.get(last) === 0) this.#open.delete(last);
    this.#write();
  }

  closed(id: number): void {
    const block = Math.floor(id / BLOCK_IDS);
    const count = (this.#open.get(block) ?? 1) - 1;
    // The block that numbers are given out of is kept: it would be written again at once.
    if (count > 0 || block === this.#newest) this.#open.set(block, count);
    else this.#open.delete(block);
  }

  #write(): void {
    try {
      writeFileSync(`${this.#file}.new`, JSON.stringify([...this.#open.keys()]), { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      // After a crash the kernel keeps some files open until the unmount, no more.
      this.#onError(error);
    }
  }
}
