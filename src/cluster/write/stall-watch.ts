/**
 * The deadline of a call that carries a file: not a fixed time, which would be too long for a small
 * file and too short for a large one, but an end when nothing has moved for a while.
 */
import type { CallContext } from '../types.ts';
import { ClusterError } from '../types.ts';

/** No upload takes longer; it only keeps timers within their range. */
const CALL_MS_MAX = 24 * 60 * 60 * 1000;

export class StallWatch {
  readonly context: CallContext;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  #timer: NodeJS.Timeout | undefined;

  constructor(outer: AbortSignal, stallMs: number) {
    this.#outer = outer;
    const { signal } = this.#controller;
    this.context = { signal, deadlineMs: performance.now() + CALL_MS_MAX };
    outer.addEventListener('abort', this.#cancel, { once: true });
    if (outer.aborted) this.#cancel();
    this.allow(stallMs);
  }

  /** From now on, so long without a further call of this. */
  allow(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#controller.signal.aborted) return;
    this.#timer = setTimeout(() => {
      const message = `Nothing has moved for ${Math.round(ms / 1000)} s`;
      this.#controller.abort(new ClusterError('timeout', message, { retryable: true }));
    }, ms);
  }

  /** Ends the call from our side; not the worker's fault. */
  giveUp(): void {
    this.#cancel();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#cancel);
  }

  readonly #cancel = (): void => {
    this.#controller.abort(new ClusterError('cancelled', 'The call was cancelled'));
  };
}
