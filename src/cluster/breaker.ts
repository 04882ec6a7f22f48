/**
 * A circuit breaker per worker: a worker that keeps failing is left alone for a while, and readers
 * go elsewhere at once instead of waiting for it. Readers never pay for finding out whether it is
 * back: a health probe does that beside them. One that hangs is found out while they wait: where it
 * answers nobody, not even probes, those who can go elsewhere do.
 */
import type { Clock } from '../base/clock.ts';
import type { BreakerState, ClusterEvents } from './cluster-events.ts';
import type { ClusterErrorCode, Worker } from './types.ts';
import { ClusterError } from './types.ts';

export interface BreakersOptions {
  readonly clock: Clock;
  readonly events: ClusterEvents;
  readonly random: () => number;
  /** Whether the worker says that it is well; must not throw and must have a deadline. */
  readonly probe: (worker: Worker) => Promise<boolean>;
}

type GiveUp = (error: ClusterError) => void;

interface Breaker {
  readonly worker: Worker;
  state: BreakerState;
  consecutiveFailures: number;
  /** Times opened without a success between: the exponent of the backoff. */
  openings: number;
  probeAtMs: number;
  isProbing: boolean;
  lastError: string | undefined;
  /** When it answered last. */
  answeredMs: number;
  /** Since then. */
  missedProbes: number;
  /** Who could go elsewhere, by the time since when; the oldest first. */
  readonly waiting: Map<GiveUp, number>;
}

/** One failure may be the file's fault, two a coincidence. */
const FAILURES_MAX = 3;
/** A worker that answers nobody for so long while somebody waits is asked for its health. */
const SUSPICION_MS = 1_000;
/** A worker that collects garbage misses one probe. */
const MISSED_PROBES_MAX = 2;
const HANGS = 'The worker answers nobody, and not when asked for its health either';
/** A restarted worker is back within seconds … */
const BACKOFF_MS_MIN = 1_000;
/** … and one that stays away costs a probe every half minute. */
const BACKOFF_MS_MAX = 30_000;

export class Breakers {
  readonly #options: BreakersOptions;
  /** By worker id; bounded by `retain` to the workers of the view. */
  readonly #breakers = new Map<string, Breaker>();
  #isLooking = false;

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** False while open. Starts the probe when the backoff has passed. */
  isAvailable(worker: Worker): boolean {
    const breaker = this.#breakers.get(worker.id);
    if (breaker === undefined || breaker.state === 'closed') return true;
    if (breaker.state === 'open' && this.#options.clock.nowMs() >= breaker.probeAtMs) {
      this.#set(breaker, 'half-open');
      void this.#probe(breaker, 'open');
    }
    return false;
  }

  stateOf(worker: Worker): BreakerState {
    return this.#breakers.get(worker.id)?.state ?? 'closed';
  }

  lastErrorOf(worker: Worker): string | undefined {
    return this.#breakers.get(worker.id)?.lastError;
  }

  noteSuccess(worker: Worker): void {
    const breaker = this.#breakers.get(worker.id);
    if (breaker === undefined) return;
    breaker.answeredMs = this.#options.clock.nowMs();
    breaker.missedProbes = 0;
    breaker.consecutiveFailures = 0;
    if (breaker.state !== 'closed') this.#close(breaker);
  }

  noteFailure(worker: Worker, code: ClusterErrorCode, message: string): void {
    const breaker = this.#breakerOf(worker);
    breaker.lastError = message;
    breaker.consecutiveFailures += 1;
    if (breaker.state !== 'closed') return;
    const hasFailedOften = breaker.consecutiveFailures >= FAILURES_MAX;
    // A worker that hangs on data may well answer a health probe; its readers hang all the same.
    if (hasFailedOften && code === 'timeout') this.#open(breaker);
    // Each timeout has cost somebody long: that of a worker that hangs should stay the only one.
    else if (hasFailedOften) void this.#probe(breaker, 'failures');
    else if (code === 'timeout') void this.#probe(breaker, 'timeout');
  }

  /** For a call that could be answered elsewhere: `giveUp` is called once the worker is found to hang. */
  watch(worker: Worker, giveUp: GiveUp): () => void {
    const { waiting } = this.#breakerOf(worker);
    waiting.set(giveUp, this.#options.clock.nowMs());
    if (!this.#isLooking) this.#lookAgain();
    return () => waiting.delete(giveUp);
  }

  #lookAtWaiting(): void {
    this.#isLooking = false;
    let isAnyWaiting = false;
    const sinceMs = this.#options.clock.nowMs() - SUSPICION_MS;
    for (const breaker of this.#breakers.values()) {
      const [oldestMs] = breaker.waiting.values();
      if (oldestMs === undefined) continue;
      isAnyWaiting = true;
      const isSuspect = oldestMs <= sinceMs && breaker.answeredMs <= sinceMs;
      if (isSuspect) void this.#probe(breaker, 'waiting');
    }
    if (isAnyWaiting) this.#lookAgain();
  }

  #lookAgain(): void {
    this.#isLooking = true;
    setTimeout(() => this.#lookAtWaiting(), SUSPICION_MS).unref();
  }

  /** Forgets workers that left; one that came back at another address starts afresh. */
  retain(workers: readonly Worker[], isSameAddress: (worker: Worker) => boolean): void {
    const kept = new Set(workers.filter(isSameAddress).map((worker) => worker.id));
    for (const [id, breaker] of this.#breakers) {
      if (kept.has(id)) continue;
      this.#breakers.delete(id);
      this.#giveUp(breaker, 'The worker has left the cluster');
    }
  }

  /** Failures that a healthy worker explains (a file or directory it trips over) do not open. */
  async #probe(breaker: Breaker, why: 'failures' | 'timeout' | 'waiting' | 'open'): Promise<void> {
    const { worker } = breaker;
    if (breaker.isProbing) return;
    breaker.isProbing = true;
    const isWell = await this.#options.probe(worker);
    breaker.isProbing = false;
    if (this.#breakers.get(worker.id) !== breaker) return;
    if (!isWell) {
      breaker.missedProbes += 1;
      const hangs = breaker.missedProbes >= MISSED_PROBES_MAX;
      if (why !== 'waiting' || hangs || breaker.state !== 'closed') this.#open(breaker);
      if (hangs) this.#giveUp(breaker, HANGS);
    } else {
      breaker.answeredMs = this.#options.clock.nowMs();
      breaker.missedProbes = 0;
      if (why === 'failures') breaker.consecutiveFailures = 0;
      if (breaker.state !== 'closed') this.#close(breaker);
    }
  }

  #giveUp({ worker, waiting }: Breaker, message: string): void {
    const details = { worker: worker.id, retryable: true };
    const all = [...waiting.keys()];
    waiting.clear();
    for (const giveUp of all) giveUp(new ClusterError('timeout', message, details));
  }

  #open(breaker: Breaker): void {
    const backoffMs = Math.min(
      BACKOFF_MS_MAX,
      BACKOFF_MS_MIN * 2 ** Math.min(breaker.openings, 10),
    );
    breaker.openings += 1;
    // Half of it jittered, so that a thousand mounts do not probe a returning worker together.
    const jitteredMs = backoffMs * (0.5 + this.#options.random() / 2);
    breaker.probeAtMs = this.#options.clock.nowMs() + jitteredMs;
    this.#set(breaker, 'open');
  }

  #close(breaker: Breaker): void {
    breaker.openings = 0;
    breaker.consecutiveFailures = 0;
    this.#set(breaker, 'closed');
  }

  #set(breaker: Breaker, state: BreakerState): void {
    if (breaker.state === state) return;
    breaker.state = state;
    this.#options.events.breaker(breaker.worker.id, state);
  }

  #breakerOf(worker: Worker): Breaker {
    let breaker = this.#breakers.get(worker.id);
    if (breaker === undefined) {
      breaker = {
        worker,
        state: 'closed',
        consecutiveFailures: 0,
        openings: 0,
        probeAtMs: 0,
        isProbing: false,
        lastError: undefined,
        answeredMs: -Infinity,
        missedProbes: 0,
        waiting: new Map(),
      };
      this.#breakers.set(worker.id, breaker);
    }
    return breaker;
  }
}
