/** Work that ends in time, whatever it does with its signal. */
export interface Bounds {
  /** Of the caller, who may give up. */
  readonly signal: AbortSignal;
  /** From now; at most what a timer holds, 2^31 - 1. */
  readonly timeoutMs: number;
  readonly cancelled: () => Error;
  readonly timedOut: () => Error;
  /** Hears of something else that ends the work; returns what takes that back. */
  readonly watch?: ((end: (error: Error) => void) => () => void) | undefined;
}

/** `work` is told by its signal that it is over, and not waited for. */
export async function runBounded<T>(
  bounds: Bounds,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs, cancelled, timedOut } = bounds;
  const controller = new AbortController();
  let end: (error: Error) => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    end = (error) => {
      reject(error);
      controller.abort(error);
    };
  });
  const onAbort = (): void => end(cancelled());
  const timer = setTimeout(() => end(timedOut()), timeoutMs);
  ended.catch(() => undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const stopWatching = bounds.watch?.(end);
  try {
    const running = work(controller.signal);
    // Its late failure, after the race is lost, is nobody's business any more.
    running.catch(() => undefined);
    return await Promise.race([running, ended]);
  } finally {
    clearTimeout(timer);
    stopWatching?.();
    signal.removeEventListener('abort', onAbort);
  }
}
