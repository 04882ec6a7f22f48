/** A bounded number of connections; calls beyond the bound wait in order, under their own deadline. */
import { setMaxListeners } from 'node:events';
import { ClusterError, type CallContext } from '../types.ts';
import { endOfCall, remaining } from './exchange.ts';

/** More waiting calls than this on one worker means that it is lost; a queue would only hide it. */
const maxWaiting = 10_000;

interface Waiter<C> {
  readonly wake: (connection: C) => void;
  readonly fail: (error: ClusterError) => void;
}

export class Pool<C> {
  readonly #limit: number;
  readonly #create: () => C;
  /** Last in, first out: few sockets stay warm rather than many lukewarm. */
  readonly #idle: C[] = [];
  readonly #waiting = new Set<Waiter<C>>();
  readonly #open = new Set<C>();
  #closed = false;

  constructor(limit: number, create: () => C) {
    this.#limit = limit;
    this.#create = create;
  }

  get busy(): boolean {
    return this.#open.size > this.#idle.length || this.#waiting.size > 0;
  }

  /** Undefined where the call would have to wait. */
  acquireNow(): C | undefined {
    if (this.#closed) return undefined;
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    return this.#open.size < this.#limit ? this.#add() : undefined;
  }

  acquire(
    about: { readonly workerId: string; readonly path?: string },
    context: CallContext,
  ): Promise<C> | C {
    if (this.#closed) throw new ClusterError('cancelled', 'The client was closed');
    const free = this.acquireNow();
    if (free !== undefined) return free;
    if (this.#waiting.size >= maxWaiting) {
      throw new ClusterError('unavailable', 'Too many calls are waiting for this worker', {
        worker: about.workerId,
        retryable: true,
      });
    }
    return new Promise<C>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        clearTimeout(timer);
        context.signal.removeEventListener('abort', giveUp);
      };
      const waiter: Waiter<C> = {
        wake: (connection) => {
          leave();
          resolve(connection);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const giveUp = (): void => {
        waiter.fail(endOfCall(context, about));
      };
      const timer = setTimeout(giveUp, Math.max(0, remaining(context)));
      setMaxListeners(0, context.signal);
      context.signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(waiter);
      if (context.signal.aborted) giveUp();
    });
  }

  /** A new connection in the place of one that was acquired. */
  replace(connection: C): C {
    this.#open.delete(connection);
    return this.#add();
  }

  release(connection: C, isUsable: boolean): void {
    if (!isUsable) {
      this.#open.delete(connection);
      if (this.#closed || this.#waiting.size === 0) return;
    }
    const next = isUsable ? connection : this.#add();
    const [waiter] = this.#waiting;
    if (waiter === undefined) this.#idle.push(next);
    else waiter.wake(next);
  }

  /** An idle connection ended by itself. */
  forget(connection: C): void {
    const index = this.#idle.indexOf(connection);
    if (index < 0) return;
    this.#idle.splice(index, 1);
    this.#open.delete(connection);
  }

  /** All connections there are, to be ended by the caller; those who wait are told. */
  close(error: ClusterError): C[] {
    this.#closed = true;
    for (const waiter of this.#waiting) waiter.fail(error);
    return [...this.#open];
  }

  #add(): C {
    const connection = this.#create();
    this.#open.add(connection);
    return connection;
  }
}
