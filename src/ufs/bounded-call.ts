/** A call that ends at its caller's deadline, whatever the library behind it does. */
import type { ByteString } from '../base/byte-string.ts';
import { ClusterError, type CallContext } from '../cluster/types.ts';

/** Timers hold no more; a call without an end of its own is bounded by its signal. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** `task` is told by its signal, and not waited for once the time is up. */
export async function boundedCall<T>(
  path: ByteString,
  context: CallContext,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const leftMs = context.deadlineMs - performance.now();
  if (context.signal.aborted) throw cancelled(path);
  if (leftMs <= 0) throw timedOut(path);
  const controller = new AbortController();
  let end: (error: ClusterError) => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    end = (error) => {
      reject(error);
      controller.abort(error);
    };
  });
  const onAbort = (): void => end(cancelled(path));
  const timer = setTimeout(() => end(timedOut(path)), Math.min(leftMs, TIMER_MS_MAX));
  context.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const running = task(controller.signal);
    // Its late failure is nobody's business any more.
    running.catch(() => undefined);
    return await Promise.race([running, ended]);
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', onAbort);
  }
}

function cancelled(path: ByteString): ClusterError {
  return new ClusterError('cancelled', 'The call was cancelled', { path });
}

function timedOut(path: ByteString): ClusterError {
  const message = 'The under store did not answer in time';
  return new ClusterError('timeout', message, { path, retryable: true });
}
