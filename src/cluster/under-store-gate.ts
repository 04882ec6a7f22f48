/**
 * A limit on what falls back to the under store, so that a dead cluster does not turn a thousand
 * readers loose on a store that Alluxio was put in front of to protect. Two token buckets, for
 * bytes and for operations; callers wait in turn within their deadline.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { remainingMs } from './attempt.ts';
import type { ClusterEvents } from './cluster-events.ts';
import type { CallContext } from './types.ts';
import { ClusterError } from './types.ts';

export interface FallbackLimits {
  readonly bytesPerSecond: number;
  readonly operationsPerSecond: number;
}

/** A local disk or one good network link; a mount that needs more should repair its cluster. */
export const DEFAULT_FALLBACK_LIMITS: FallbackLimits = {
  bytesPerSecond: 256 * 1024 * 1024,
  operationsPerSecond: 2_000,
};
/** Unused allowance is kept for one second: bursts such as a directory of small files pass. */
const BURST_SECONDS = 1;

export class UnderStoreGate {
  readonly #limits: FallbackLimits;
  readonly #clock: Clock;
  readonly #events: ClusterEvents;
  /** Time at which each bucket will be full again; a bucket in debt makes its callers wait. */
  #bytesFullAtMs = 0;
  #operationsFullAtMs = 0;

  constructor(options: {
    readonly limits: FallbackLimits;
    readonly clock: Clock;
    readonly events: ClusterEvents;
  }) {
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#events = options.events;
  }

  /** Takes one operation and its bytes; refuses at once what could not start before the deadline. */
  async enter(bytes: number, context: CallContext): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const leftMs = remainingMs(context, this.#clock);
    const bytesAtMs = Math.max(this.#bytesFullAtMs, nowMs);
    const operationsAtMs = Math.max(this.#operationsFullAtMs, nowMs);
    // Debt beyond the burst is what has to be waited for.
    const waitMs = Math.max(bytesAtMs, operationsAtMs) - nowMs - BURST_SECONDS * 1000;
    if (waitMs >= leftMs) {
      this.#events.fallbackLimited('refused', 0);
      throw new ClusterError(
        'unavailable',
        'The limit on reading from the under store is used up; see the fallback limits',
        { retryable: true },
      );
    }
    this.#bytesFullAtMs = bytesAtMs + (bytes * 1000) / this.#limits.bytesPerSecond;
    this.#operationsFullAtMs = operationsAtMs + 1000 / this.#limits.operationsPerSecond;
    if (waitMs <= 0) return;
    this.#events.fallbackLimited('waited', waitMs);
    try {
      await delay(waitMs, undefined, { signal: context.signal });
    } catch {
      throw new ClusterError('cancelled', 'The call was cancelled');
    }
  }
}
