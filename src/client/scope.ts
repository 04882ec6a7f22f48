/** One call of the library: when it ends, and how long each request within it may take. */
import { setMaxListeners } from 'node:events';
import { LinkedSignal } from '../base/linked-signal.ts';
import { ClusterError, type CallContext } from '../cluster/index.ts';
import { hasCode } from './errors.ts';
import type { CallOptions } from './types.ts';

/** No file takes longer to move; it only keeps timers within their range. */
const MOVE_MS_MAX = 24 * 60 * 60 * 1000;

export class Scope {
  readonly signal: AbortSignal;
  readonly #endMs: number;
  readonly #stepMs: number;
  readonly #linked: LinkedSignal;

  constructor(options: CallOptions | undefined, stepMs: number, closing: AbortSignal) {
    const { signal, timeoutMs } = options ?? {};
    this.#linked = new LinkedSignal(signal === undefined ? [closing] : [closing, signal]);
    this.signal = this.#linked.signal;
    if (timeoutMs !== undefined) this.#endAfter(timeoutMs);
    // Each request under way listens, and there may be many: it is no leak.
    setMaxListeners(0, this.signal);
    this.#endMs = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    this.#stepMs = stepMs;
  }

  /** The call has come to its end. */
  end(): void {
    this.#linked.end();
  }

  /** Its reason is the error of a call that took so long. */
  #endAfter(timeoutMs: number): void {
    const message = `The call did not end within ${timeoutMs} ms (timeoutMs)`;
    const reason = (): Error => new ClusterError('timeout', message, { retryable: true });
    this.#linked.abortAfter(Math.min(timeoutMs, MOVE_MS_MAX), reason);
  }

  /** Its caller, or who closed the client, wants no more of it. */
  get isGivenUp(): boolean {
    return this.signal.aborted && !isTimeout(this.signal.reason);
  }

  /** What really ended the call, where that was its time and the layers below call it a cancellation. */
  endOf(error: unknown): unknown {
    const reason: unknown = this.signal.reason;
    return isTimeout(reason) && isCancellation(error) ? reason : error;
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

/** Only the time of the call itself ends it so. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof ClusterError && reason.code === 'timeout';
}

function isCancellation(error: unknown): boolean {
  return hasCode(error, 'cancelled') || (error instanceof Error && error.name === 'AbortError');
}
