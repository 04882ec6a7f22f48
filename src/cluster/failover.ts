/**
 * Calls that any worker can answer (status, listing): the owner first, then the next ones, then the
 * under store, under one deadline. An answer such as "not found" ends the search.
 */
import type { Clock } from '../base/clock.ts';
import { remainingMs, runAttempt } from './attempt.ts';
import type { Watch } from './attempt.ts';
import type { Breakers } from './breaker.ts';
import type { ClusterEvents, FallbackReason, WorkerMethod } from './cluster-events.ts';
import type { CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import { isAnswer, toClusterError } from './worker-calls.ts';

/** No single try gets more: a worker that needs longer is stuck, and the kernel is waiting. */
export const ATTEMPT_MS_MAX = 20_000;

/**
 * The share of the time left that one attempt may use: half while others could still be asked, so
 * that the first can be slow and the last still has a chance; all of it for the last.
 */
export function shareMs(leftMs: number, hasOthers: boolean): number {
  return Math.min(ATTEMPT_MS_MAX, hasOthers ? leftMs / 2 : leftMs);
}

export function watchOf(breakers: Pick<Breakers, 'watch'>, worker: Worker): Watch {
  return (giveUp) => breakers.watch(worker, giveUp);
}

/** Why no worker gave an answer. */
export interface NoAnswer {
  readonly reason: FallbackReason;
  /** What to throw where no under store can step in. */
  readonly error: ClusterError;
}

export async function firstAnswer<T>(
  workers: readonly Worker[],
  options: {
    readonly method: WorkerMethod;
    readonly context: CallContext;
    readonly clock: Clock;
    readonly events: ClusterEvents;
    /** Something after the workers needs time too. */
    readonly hasFallback: boolean;
    /** Left out where the whole call is short. */
    readonly breakers?: Pick<Breakers, 'watch'>;
  },
  attempt: (worker: Worker, context: CallContext) => Promise<T>,
): Promise<{ readonly answer: T } | NoAnswer> {
  const { context, clock, events } = options;
  let last: ClusterError | undefined;
  for (const [i, worker] of workers.entries()) {
    const hasOthers = options.hasFallback || i + 1 < workers.length;
    const timeoutMs = shareMs(remainingMs(context, clock), hasOthers);
    const { breakers } = options;
    const watch = hasOthers && breakers !== undefined ? watchOf(breakers, worker) : undefined;
    try {
      const answer = await runAttempt({ context, clock, timeoutMs, watch }, (limited) =>
        attempt(worker, limited),
      );
      return { answer };
    } catch (error) {
      last = toClusterError(error, worker);
      if (last.code === 'inexpressible') return { reason: 'inexpressible', error: last };
      if (isAnswer(last)) throw last;
      if (context.signal.aborted) throw last;
      events.retry(options.method, last.code);
    }
  }
  return noAnswer(last);
}

export function noAnswer(last: ClusterError | undefined): NoAnswer {
  if (last === undefined) {
    const message = 'No worker of the cluster is known to be alive';
    return {
      reason: 'no-workers',
      error: new ClusterError('unavailable', message, { retryable: true }),
    };
  }
  const details = { path: last.path, worker: last.worker, retryable: true, cause: last };
  // The last failure is the one to show; a protocol error everywhere is an error of the cluster.
  const code = last.code === 'timeout' ? 'timeout' : 'unavailable';
  const error = new ClusterError(
    code,
    `No worker could answer; the last said: ${last.message}`,
    details,
  );
  return { reason: 'workers-failed', error };
}
