/**
 * The short way to one page: the owner is known and well, has what is asked for as far as anybody can
 * tell, and nothing has to be found out first. Small files are read this way, where all that stands
 * around a request costs more than the request. Any other answer than the page leaves the read to the
 * search of `RangeRouter`.
 */
import type { Clock } from '../base/clock.ts';
import type { Breakers } from './breaker.ts';
import type { ClusterEvents } from './cluster-events.ts';
import { shareMs } from './failover.ts';
import { Hedging } from './hedging.ts';
import type { StartRead } from './hedging.ts';
import { lostName } from './inexpressible.ts';
import type { RangeJob } from './oss-reader.ts';
import type { PageTrust } from './page-trust.ts';
import type { PathChoice } from './path-choice.ts';
import type { Placement } from './placement.ts';
import type { ByteSink, CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import type { UnderStoreFallback } from './under-store-fallback.ts';
import type { VersionCheck } from './version-check.ts';
import type { WorkerCalls } from './worker-calls.ts';
import type { PageNowOutcome, WorkerClient } from './worker-client.ts';

export interface QuickPagesParts {
  readonly client: WorkerClient;
  readonly calls: WorkerCalls;
  readonly placement: Placement;
  readonly breakers: Breakers;
  readonly fallback: Pick<UnderStoreFallback, 'isConfigured'>;
  readonly choice: PathChoice;
  readonly trust: PageTrust;
  readonly versions: VersionCheck;
  readonly pageSizeBytes: number;
  readonly clock: Clock;
  readonly events: ClusterEvents;
}

export interface QuickResult {
  readonly worker: Worker;
  /** Undefined: all bytes are there. */
  readonly failure: ClusterError | 'unclear' | undefined;
}

export class QuickPages {
  readonly #parts: QuickPagesParts;
  readonly #hedging: Hedging;

  constructor(parts: QuickPagesParts) {
    this.#parts = parts;
    this.#hedging = new Hedging(parts.events);
  }

  /** Undefined where the long way has to be taken from the beginning. */
  read(job: RangeJob, sink: ByteSink, context: CallContext): Promise<QuickResult> | undefined {
    const { client, clock, breakers, fallback, pageSizeBytes } = this.#parts;
    if (client.readPageNow === undefined || !this.#isPlain(job)) return undefined;
    const worker = this.#worker(job);
    if (worker === undefined) return undefined;
    const startMs = clock.nowMs();
    const deadlineMs = startMs + shareMs(context.deadlineMs - startMs, true);
    if (deadlineMs <= startMs) return undefined;
    const pageIndex = job.offset / pageSizeBytes;
    const { ufsPath, lengthBytes } = job;
    const isEnd = job.offset + lengthBytes === job.version.lengthBytes;
    const request = { ufsPath, pageIndex, lengthBytes, isEnd };
    let end: (outcome: PageNowOutcome) => void = () => undefined;
    const start: StartRead = (into, onEnd) =>
      client.readPageNow?.(worker, request, into, deadlineMs, onEnd);
    const cancel = this.#hedging.run(start, sink, job.lengthBytes, (outcome) => end(outcome));
    if (cancel === undefined) return undefined;
    return new Promise((resolve) => {
      let hung: ClusterError | undefined;
      const stopWatching = onAbort(context, cancel);
      const stopWaiting = fallback.isConfigured(job.path)
        ? breakers.watch(worker, (error) => {
            hung = error;
            cancel();
          })
        : undefined;
      end = (outcome) => {
        stopWatching();
        stopWaiting?.();
        resolve({ worker, failure: this.#note(job, worker, hung ?? outcome, startMs) });
      };
    });
  }

  /** One page of a version that needs no confirmation, from its beginning. */
  #isPlain(job: RangeJob): boolean {
    const { choice, trust, versions, pageSizeBytes } = this.#parts;
    const { path, offset, lengthBytes } = job;
    if (trust.mismatch !== undefined || offset % pageSizeBytes !== 0) return false;
    if (lengthBytes > pageSizeBytes || lostName(path) !== undefined) return false;
    if (!choice.isLikelyHeld(job)) return false;
    return versions.isConfirmed(job);
  }

  #worker(job: RangeJob): Worker | undefined {
    const { placement, breakers, trust, pageSizeBytes } = this.#parts;
    const worker = placement.knownOwner(job.ufsPath);
    if (worker === undefined || !breakers.isAvailable(worker)) return undefined;
    const isProven = job.version.lengthBytes <= pageSizeBytes || trust.isProven(worker);
    return isProven ? worker : undefined;
  }

  #note(
    job: RangeJob,
    worker: Worker,
    outcome: PageNowOutcome,
    startMs: number,
  ): QuickResult['failure'] {
    const { calls, choice, placement, clock, events } = this.#parts;
    switch (outcome) {
      case 'page':
        this.#hedging.note(clock.nowMs() - startMs);
        calls.succeeded('page', worker, startMs, { outcome: 'ok', bytes: job.lengthBytes });
        events.bytesRead('page', job.lengthBytes);
        choice.notePageHit(job);
        choice.noteOwner(job.ufsPath, worker.id, placement.view.generation);
        return undefined;
      case 'miss':
        calls.succeeded('page', worker, startMs, { outcome: 'miss', bytes: 0 });
        // The long way then reads it through at once.
        choice.notePageMiss(job);
        return 'unclear';
      case 'unclear':
        return 'unclear';
      default:
        calls.failed('page', worker, startMs, outcome);
        return outcome;
    }
  }
}

/** Returns what takes it back. A call that is over already is cancelled at once. */
function onAbort(context: CallContext, cancel: () => void): () => void {
  if (context.watch !== undefined) {
    if (!context.watch(cancel)) queueMicrotask(cancel);
    return () => context.watch?.(undefined);
  }
  const { signal } = context;
  if (signal.aborted) queueMicrotask(cancel);
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}
