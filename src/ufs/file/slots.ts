/**
 * A bounded number of file system calls at once. A call that hangs keeps its slot until the system
 * gives it back, but its caller only until the deadline.
 */
import { setMaxListeners } from 'node:events';
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext } from '../../cluster/types.ts';

/** Callers beyond this are refused: with slots this busy, the store hangs or is far too slow. */
const maxWaiting = 4096;

export class Slots {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `discardLate` gets a result that came after its caller was gone. */
  run<T>(
    task: () => Promise<T>,
    path: ByteString,
    context: CallContext,
    discardLate?: (value: T) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const start = (): void => {
        this.#waiting.delete(start);
        this.#running += 1;
        void this.#settle(
          task,
          (value) => {
            if (over) discardLate?.(value);
            finish(() => resolve(value));
          },
          (error) => finish(() => reject(error)),
        );
      };
      const finish = (settle: () => void): void => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        context.signal.removeEventListener('abort', giveUp);
        settle();
      };
      const giveUp = (): void => {
        this.#waiting.delete(start);
        const cancelled = context.signal.aborted;
        finish(() =>
          reject(
            new ClusterError(
              cancelled ? 'cancelled' : 'timeout',
              cancelled ? 'The call was cancelled' : 'The under store did not answer in time',
              { path },
            ),
          ),
        );
      };
      const timer = setTimeout(giveUp, Math.max(0, context.deadlineMs - performance.now()));
      setMaxListeners(0, context.signal);
      context.signal.addEventListener('abort', giveUp, { once: true });
      if (context.signal.aborted || context.deadlineMs <= performance.now()) giveUp();
      else if (this.#running < this.#limit) start();
      else if (this.#waiting.size < maxWaiting) this.#waiting.add(start);
      else {
        finish(() =>
          reject(
            new ClusterError('unavailable', 'Too many calls are waiting for the under store', {
              path,
              retryable: true,
            }),
          ),
        );
      }
    });
  }

  async #settle<T>(
    task: () => Promise<T>,
    onValue: (value: T) => void,
    onError: (error: unknown) => void,
  ): Promise<void> {
    try {
      onValue(await task());
    } catch (error) {
      onError(error);
    } finally {
      this.#running -= 1;
      const [next] = this.#waiting;
      next?.();
    }
  }
}
