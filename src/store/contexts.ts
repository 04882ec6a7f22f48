/** Deadlines: for work of the store's own, and for waiting on work that others share. */
import { ClusterError } from '../cluster/index.ts';
import type { CallContext } from '../cluster/index.ts';

export function contextFor(timeoutMs: number, stop: AbortSignal): CallContext {
  return { signal: stop, deadlineMs: performance.now() + timeoutMs };
}

/** As `context`, and over after this time at the latest. */
export function atMost(timeoutMs: number, context: CallContext): CallContext {
  const deadlineMs = Math.min(context.deadlineMs, performance.now() + timeoutMs);
  return { ...context, deadlineMs };
}

export function overError(context: CallContext, what: string): ClusterError {
  return context.signal.aborted
    ? new ClusterError('cancelled', `Cancelled while ${what}`)
    : new ClusterError('timeout', `The deadline ran out while ${what}`, { retryable: true });
}

/** Calls back once when the context is over; the result takes that back. */
export function whenOver(context: CallContext, callback: () => void): () => void {
  let done = false;
  const stop = (): void => {
    done = true;
    clearTimeout(timer);
    context.signal.removeEventListener('abort', fire);
  };
  const fire = (): void => {
    if (done) return;
    stop();
    callback();
  };
  // setTimeout takes at most 2^31 - 1 ms; a longer deadline than 24 days is none.
  const leftMs = Math.min(Math.max(0, context.deadlineMs - performance.now()), 0x7fffffff);
  // A process that has nothing else to do need not wait for a deadline.
  const timer = setTimeout(fire, leftMs).unref();
  context.signal.addEventListener('abort', fire);
  if (context.signal.aborted) queueMicrotask(fire);
  return stop;
}

/** Shared work goes on when one who waits for it gives up. */
export function waitWithin<T>(work: Promise<T>, context: CallContext, what: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = whenOver(context, () => reject(overError(context, what)));
    work.then(resolve, reject).finally(cancel);
  });
}

/** Resolves after the time, or at once when stopped. */
export function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    timer.unref();
    stop.addEventListener('abort', end);
  });
}
