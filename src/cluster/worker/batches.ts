/** Between a listing that arrives and a consumer that takes: bounded, by holding up the sender. */
import type { ReadFlow } from './exchange.ts';

/** What consumers are promised: batches small enough not to hold up an event loop. */
const maxBatch = 1000;
/** Entries held before the sender is held up: a few chunks of the network. */
const maxHeld = 4000;

export class Batches<T> implements AsyncIterable<T[]> {
  #held: T[] = [];
  #flow: ReadFlow | undefined;
  #paused = false;
  #ended = false;
  #wake: (() => void) | undefined;

  push(entries: readonly T[], flow: ReadFlow): void {
    for (const entry of entries) this.#held.push(entry);
    this.#flow = flow;
    if (this.#held.length > maxHeld && !this.#paused) {
      this.#paused = true;
      flow.pause();
    }
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T[]> {
    for (;;) {
      const held = this.#held;
      this.#held = [];
      for (let from = 0; from < held.length; from += maxBatch) {
        yield held.slice(from, from + maxBatch);
      }
      if (this.#held.length > 0) continue;
      if (this.#ended) return;
      if (this.#paused) {
        this.#paused = false;
        this.#flow?.resume();
      }
      // Resuming may have delivered at once.
      if (this.#held.length > 0 || this.#isEnded()) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #isEnded(): boolean {
    return this.#ended;
  }
}
