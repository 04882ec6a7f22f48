/** Work that must come to its end, however long the cluster is away: tried again with growing pauses. */
import { LinkedSignal } from '../base/linked-signal.ts';
import type { Logger } from '../base/logger.ts';
import { pause } from './contexts.ts';
import { messageOf } from './errors.ts';

export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

export class Background {
  readonly stop: AbortSignal;
  readonly #backoff: BackoffLimits;
  readonly #logger: Logger;
  readonly #failing = new Map<object, { readonly text: string; readonly retryAtMs: number }>();
  /** Ends the pauses that are under way. */
  #wake = new AbortController();

  constructor(stop: AbortSignal, backoff: BackoffLimits, logger: Logger) {
    this.stop = stop;
    this.#backoff = backoff;
    this.#logger = logger;
  }

  /** Of what fails now; undefined when nothing does. */
  get lastError(): string | undefined {
    return [...this.#failing.values()].at(-1)?.text;
  }

  /** The next attempt of what fails now, as Date.now() tells. */
  get retryAtMs(): number | undefined {
    const times = [...this.#failing.values()].map((failure) => failure.retryAtMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Resolves when an attempt came through (true) or the store closes (false). Never rejects. */
  async untilDone(what: string, attempt: () => Promise<void>): Promise<boolean> {
    const self = {};
    try {
      for (let round = 0; !this.stop.aborted; round++) {
        // The exponent is held down so that it stays a number.
        const ms = Math.min(this.#backoff.firstMs * 2 ** Math.min(round, 30), this.#backoff.maxMs);
        try {
          await attempt();
          return true;
        } catch (error) {
          if (this.stop.aborted) return false;
          const text = `${what}: ${messageOf(error)}`;
          // Said when it changes: a cluster that is away for a night is not worth a line a minute.
          if (this.#failing.get(self)?.text !== text) this.#logger.warn({ error }, `${what} fails`);
          this.#failing.set(self, { text, retryAtMs: Date.now() + ms });
        }
        const either = new LinkedSignal([this.stop, this.#wake.signal]);
        await pause(ms, either.signal);
        either.end();
      }
      return false;
    } finally {
      this.#failing.delete(self);
    }
  }

  /** Whoever waits now tries at once. */
  hurry(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }
}
