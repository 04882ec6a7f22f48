/** One call of the library: when it ends, and how long each request within it may take. */
import type { CallContext } from '../cluster/index.ts';
import type { CallOptions } from './types.ts';

/** No file takes longer to move; it only keeps timers within their range. */
const MOVE_MS_MAX = 24 * 60 * 60 * 1000;

export class Scope {
  readonly signal: AbortSignal;
  readonly #endMs: number;
  readonly #stepMs: number;

  constructor(options: CallOptions | undefined, stepMs: number, closing: AbortSignal) {
    const { signal, timeoutMs } = options ?? {};
    this.signal = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    this.#endMs = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    this.#stepMs = stepMs;
  }

  /** For one question to the cluster. */
  step(): CallContext {
    const deadlineMs = Math.min(this.#endMs, performance.now() + this.#stepMs);
    return { signal: this.signal, deadlineMs };
  }

  /** For moving a file, which has ends of its own where nothing moves any more. */
  long(): CallContext {
    const deadlineMs = Math.min(this.#endMs, performance.now() + MOVE_MS_MAX);
    return { signal: this.signal, deadlineMs };
  }
}
