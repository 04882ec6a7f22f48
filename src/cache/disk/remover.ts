/**
 * Removes backing files behind everybody's back, a few at a time: a million may be dropped at once, and
 * each is a call of the disk. What waits are numbers, some 50 bytes a file; the order does not matter.
 */
import type { BackingFiles } from './backing-files.ts';
import { KEY_WORDS } from './cache-key.ts';
import type { FileIdentity } from './records.ts';

/** Beside them, readers need threads of Node's pool. */
const REMOVALS_MAX = 2;
/** Given up by the index before others have their turn: a millisecond or two. */
export const FILES_PER_TURN = 256;
/** What stands in a row for each file that waits: its key, its nonce, its bytes. */
const NUMBERS = KEY_WORDS + 2;

export interface RemoverEvents {
  gone(bytes: number): void;
  failed(error: Error): void;
}

export class Remover {
  readonly #files: BackingFiles;
  readonly #events: RemoverEvents;
  readonly #waiting: number[] = [];
  #running = 0;
  #leavingBytes = 0;
  #stuckBytes = 0;
  /** Of those that wait for the next to be gone. */
  #wake: (() => void)[] = [];

  constructor(files: BackingFiles, events: RemoverEvents) {
    this.#files = files;
    this.#events = events;
  }

  /** Of files that are going to be gone. */
  get leavingBytes(): number {
    return this.#leavingBytes;
  }

  /** What still lies there; also of files that could not be removed: the next start removes them. */
  get takenBytes(): number {
    return this.#leavingBytes + this.#stuckBytes;
  }

  get isBusy(): boolean {
    return this.#running > 0;
  }

  remove({ key, nonce }: FileIdentity, bytes: number): void {
    this.#leavingBytes += bytes;
    this.#waiting.push(...key, nonce, bytes);
    if (this.#running < REMOVALS_MAX) void this.#removeAll();
  }

  /** Resolves when the next file is gone, or could not be removed. */
  async progress(): Promise<void> {
    if (this.isBusy) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  async drained(): Promise<void> {
    while (this.isBusy) await this.progress();
  }

  /** Until nothing waits any more. */
  async #removeAll(): Promise<void> {
    this.#running++;
    while (this.#waiting.length > 0) {
      const numbers = this.#waiting.splice(-NUMBERS);
      const [nonce, bytes] = numbers.slice(KEY_WORDS) as [number, number];
      await this.#removeOne({ key: new Uint32Array(numbers.slice(0, KEY_WORDS)), nonce }, bytes);
      if (this.#waiting.length > 0) this.#tell();
    }
    this.#running--;
    this.#tell();
  }

  async #removeOne(identity: FileIdentity, bytes: number): Promise<void> {
    try {
      await this.#files.remove(this.#files.pathOf(identity));
      this.#events.gone(bytes);
    } catch (error) {
      this.#stuckBytes += bytes;
      this.#events.failed(error as Error);
    }
    this.#leavingBytes -= bytes;
  }

  #tell(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }
}
