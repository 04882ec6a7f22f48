/** Every call to a worker passes here: it is timed, counted and told to the breaker. */
import type { Clock } from '../base/clock.ts';
import type { Breakers } from './breaker.ts';
import type { ClusterEvents, WorkerMethod } from './cluster-events.ts';
import type { CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';

export interface CallSummary {
  readonly outcome: string;
  readonly bytes: number;
}

export class WorkerCalls {
  readonly #clock: Clock;
  readonly #events: ClusterEvents;
  readonly #breakers: Breakers;

  constructor(parts: {
    readonly clock: Clock;
    readonly events: ClusterEvents;
    readonly breakers: Breakers;
  }) {
    this.#clock = parts.clock;
    this.#events = parts.events;
    this.#breakers = parts.breakers;
  }

  async call<T>(
    method: WorkerMethod,
    worker: Worker,
    context: CallContext,
    run: () => Promise<T>,
    summarise: (answer: T) => CallSummary = () => ({ outcome: 'ok', bytes: 0 }),
  ): Promise<T> {
    const startMs = this.#clock.nowMs();
    try {
      const answer = await run();
      this.succeeded(method, worker, startMs, summarise(answer));
      return answer;
    } catch (error) {
      // A client that is aborted by the attempt's timer may call that a cancellation: it is the
      // worker that was too slow.
      const failure = timeoutOf(context) ?? toClusterError(error, worker);
      const isAborted = context.signal.aborted && failure.code !== 'timeout';
      if (isAborted) this.#report(method, worker, startMs, false, { outcome: 'aborted', bytes: 0 });
      else this.failed(method, worker, startMs, failure);
      throw failure;
    }
  }

  succeeded(method: WorkerMethod, worker: Worker, startMs: number, summary: CallSummary): void {
    this.#report(method, worker, startMs, true, summary);
    // A miss is a closed connection: it says neither that the worker is well nor that it is not.
    if (summary.outcome !== 'miss') this.#breakers.noteSuccess(worker);
  }

  failed(method: WorkerMethod, worker: Worker, startMs: number, failure: ClusterError): void {
    const outcome = failure.code === 'cancelled' ? 'aborted' : failure.code;
    this.#report(method, worker, startMs, isAnswer(failure), { outcome, bytes: 0 });
    if (isAnswer(failure)) this.#breakers.noteSuccess(worker);
    else if (isFault(failure)) this.#breakers.noteFailure(worker, failure.code, failure.message);
  }

  #report(
    method: WorkerMethod,
    worker: Worker,
    startMs: number,
    success: boolean,
    summary: CallSummary,
  ): void {
    const latencyMs = this.#clock.nowMs() - startMs;
    this.#events.workerCall({ method, worker: worker.id, success, latencyMs, ...summary });
  }
}

/** Set when the attempt was ended by its own timer, not by its caller. */
function timeoutOf(context: CallContext): ClusterError | undefined {
  const reason: unknown = context.signal.reason;
  return reason instanceof ClusterError && reason.code === 'timeout' ? reason : undefined;
}

/** The worker is well and said something about the path. */
export function isAnswer(error: ClusterError): boolean {
  switch (error.code) {
    case 'not-found':
    case 'not-a-directory':
    case 'is-a-directory':
    case 'permission':
    case 'exists':
    case 'not-empty':
    case 'no-space':
    case 'version-changed':
      return true;
    default:
      return false;
  }
}

function isFault(error: ClusterError): boolean {
  return error.code === 'unavailable' || error.code === 'timeout' || error.code === 'protocol';
}

export function toClusterError(error: unknown, worker?: Worker): ClusterError {
  if (error instanceof ClusterError) return error;
  const message = error instanceof Error ? error.message : String(error);
  // Whatever else a client throws is our bug or an unforeseen answer; another worker may do better.
  const details = { worker: worker?.id, retryable: true, cause: error };
  return new ClusterError('protocol', `Unexpected failure: ${message}`, details);
}
