/** A call that ends at its caller's deadline, whatever the library behind it does. */
import type { ByteString } from '../base/byte-string.ts';
import { runBounded } from '../base/bounded-run.ts';
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
  const bounds = {
    signal: context.signal,
    timeoutMs: Math.min(leftMs, TIMER_MS_MAX),
    cancelled: () => cancelled(path),
    timedOut: () => timedOut(path),
  };
  return await runBounded(bounds, task);
}

function cancelled(path: ByteString): ClusterError {
  return new ClusterError('cancelled', 'The call was cancelled', { path });
}

function timedOut(path: ByteString): ClusterError {
  const message = 'The under store did not answer in time';
  return new ClusterError('timeout', message, { path, retryable: true });
}
