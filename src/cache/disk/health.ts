/** When a directory is not written to for a while, and when it is given up. */
import type { Clock } from '../../base/clock.ts';

/** In a row, with no success between them. */
const FAILURES_MAX = 8;
/** A full disk is not tried more often. */
const FULL_PAUSE_MS = 10_000;
const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** What the process or the machine is short of: the directory is as good as before. */
const SHORTAGE = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

export class Health {
  readonly #clock: Clock;
  readonly #giveUp: (reason: string) => void;
  #failuresInRow = 0;
  #pausedUntilMs = -Infinity;

  constructor(clock: Clock, giveUp: (reason: string) => void) {
    this.#clock = clock;
    this.#giveUp = giveUp;
  }

  /** Reading goes on. */
  get isFull(): boolean {
    return this.#clock.nowMs() < this.#pausedUntilMs;
  }

  succeeded(): void {
    this.#failuresInRow = 0;
  }

  failed(error: Error): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && FULL.has(code)) {
      this.#pausedUntilMs = this.#clock.nowMs() + FULL_PAUSE_MS;
      return;
    }
    if (code !== undefined && SHORTAGE.has(code)) return;
    if (++this.#failuresInRow >= FAILURES_MAX) this.#giveUp(error.message);
  }
}
