/** One attempt of a call: a share of the caller's time, and an end that nobody can overrun. */
import { runBounded } from '../base/bounded-run.ts';
import type { Clock } from '../base/clock.ts';
import type { ByteSink, CallContext } from './types.ts';
import { ClusterError } from './types.ts';

/** The time left to a call; throws `cancelled` or `timeout` when there is none. */
export function remainingMs(context: CallContext, clock: Clock): number {
  if (context.signal.aborted) throw new ClusterError('cancelled', 'The call was cancelled');
  const left = context.deadlineMs - clock.nowMs();
  if (left <= 0) {
    throw new ClusterError('timeout', 'The deadline of the call ran out', { retryable: true });
  }
  return left;
}

/** Tells when the worker turns out to be hung: `Breakers.watch`. Returns what takes it back. */
export type Watch = (giveUp: (error: ClusterError) => void) => () => void;

/**
 * Runs one attempt under its own timeout. Ends when the attempt does, when its time is up (error
 * `timeout`), when `watch` gives it up or when the caller does (`cancelled`), even if the attempt
 * ignores its signal.
 */
export async function runAttempt<T>(
  options: {
    readonly context: CallContext;
    readonly clock: Clock;
    readonly timeoutMs: number;
    readonly watch?: Watch | undefined;
  },
  attempt: (context: CallContext) => Promise<T>,
): Promise<T> {
  const { context, clock, watch } = options;
  const timeoutMs = Math.min(options.timeoutMs, remainingMs(context, clock));
  const bounds = {
    signal: context.signal,
    timeoutMs,
    cancelled: () => new ClusterError('cancelled', 'The call was cancelled'),
    timedOut: () => {
      const message = `No complete answer within ${Math.round(timeoutMs)} ms`;
      return new ClusterError('timeout', message, { retryable: true });
    },
    watch,
  };
  return await runBounded(bounds, (signal) =>
    attempt({ signal, deadlineMs: clock.nowMs() + timeoutMs }),
  );
}

/**
 * A sink for one attempt: refuses bytes outside of the range, counts them, and lets nothing through
 * once the attempt is over, when the memory behind the real sink may already have another owner.
 */
export class AttemptSink {
  readonly #sink: ByteSink;
  readonly #lengthBytes: number;
  #receivedBytes = 0;
  #isOver = false;

  constructor(sink: ByteSink, lengthBytes: number) {
    this.#sink = sink;
    this.#lengthBytes = lengthBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** The sink for a part of the range that begins at `offset` in it. */
  part(offset: number, lengthBytes: number): ByteSink {
    const count = (offsetInPart: number, bytes: number): void => {
      const isInside =
        offsetInPart >= 0 &&
        offsetInPart + bytes <= lengthBytes &&
        offset + lengthBytes <= this.#lengthBytes;
      if (!isInside) throw new ClusterError('protocol', 'More bytes came than were asked for');
      this.#receivedBytes += bytes;
    };
    const take = (chunk: Uint8Array, offsetInPart: number): void => {
      if (this.#isOver) return;
      count(offsetInPart, chunk.length);
      this.#sink(chunk, offset + offsetInPart);
    };
    const direct = this.#sink.direct;
    if (direct === undefined) return take;
    return Object.assign(take, {
      direct: {
        memoryAt: (offsetInPart: number) => {
          if (this.#isOver || offsetInPart < 0 || offsetInPart >= lengthBytes) return undefined;
          const memory = direct.memoryAt(offset + offsetInPart);
          return memory?.subarray(0, Math.min(memory.length, lengthBytes - offsetInPart));
        },
        received: (offsetInPart: number, bytes: number) => {
          if (this.#isOver) return;
          count(offsetInPart, bytes);
          direct.received(offset + offsetInPart, bytes);
        },
      },
    });
  }

  end(): void {
    this.#isOver = true;
  }
}
