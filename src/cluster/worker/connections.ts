/**
 * Connections to one port of one worker: a bounded number, each an undici client of its own, so
 * that it is known of every request whether its socket had been used before. Requests beyond the
 * bound wait in order, under their own deadline.
 */
import { setMaxListeners } from 'node:events';
import { Client } from 'undici';
import { ClusterError, type CallContext } from '../types.ts';
import { directConnector } from './direct-socket.ts';
import {
  endOfCall,
  remaining,
  runExchange,
  type Connection,
  type ExchangeLimits,
  type ExchangeRequest,
  type ResponseReader,
} from './exchange.ts';

export interface ConnectionOptions extends ExchangeLimits {
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  /** Close the connection after every request (the S3 port; README of the real worker). */
  readonly oneRequestEach: boolean;
}

/** Idle sockets are closed by us after this, before most firewalls forget them. */
const idleTimeoutMs = 30_000;
/** More waiting calls than this on one worker means that it is lost; a queue would only hide it. */
const maxWaiting = 10_000;
/** Heads of real answers are under 1 KiB; the bound is there for a server gone wrong. */
const maxHeaderBytes = 16 * 1024;

interface Waiter {
  readonly wake: (connection: Connection) => void;
  readonly fail: (error: ClusterError) => void;
}

export class Connections {
  readonly #origin: string;
  readonly #options: ConnectionOptions;
  /** Last in, first out: few sockets stay warm rather than many lukewarm. */
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<Waiter>();
  readonly #open = new Set<Connection>();
  #closed = false;

  constructor(host: string, port: number, options: ConnectionOptions) {
    this.#origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#options = options;
  }

  get busy(): boolean {
    return this.#open.size > this.#idle.length || this.#waiting.size > 0;
  }

  async exchange<T>(
    request: Omit<ExchangeRequest, 'closeAfter'>,
    reader: ResponseReader<T>,
    context: CallContext,
    onFreshConnection = false,
  ): Promise<T> {
    let connection = await this.#acquire(request, context);
    if (onFreshConnection && connection.reused) {
      this.#open.delete(connection);
      void connection.client.destroy();
      connection = this.#connect();
    }
    try {
      return await runExchange(
        connection,
        { ...request, closeAfter: this.#options.oneRequestEach },
        reader,
        context,
        this.#options,
      );
    } finally {
      this.#release(connection);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const error = new ClusterError('cancelled', 'The client was closed');
    for (const waiter of this.#waiting) waiter.fail(error);
    await Promise.all([...this.#open].map((connection) => connection.client.destroy(error)));
  }

  #acquire(
    request: { readonly workerId: string; readonly path?: string },
    context: CallContext,
  ): Promise<Connection> | Connection {
    if (this.#closed) throw new ClusterError('cancelled', 'The client was closed');
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#open.size < this.#options.maxConnections) return this.#connect();
    if (this.#waiting.size >= maxWaiting) {
      throw new ClusterError('unavailable', 'Too many calls are waiting for this worker', {
        worker: request.workerId,
        retryable: true,
      });
    }
    return new Promise<Connection>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        clearTimeout(timer);
        context.signal.removeEventListener('abort', giveUp);
      };
      const waiter: Waiter = {
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
        waiter.fail(endOfCall(context, request));
      };
      const timer = setTimeout(giveUp, Math.max(0, remaining(context)));
      setMaxListeners(0, context.signal);
      context.signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(waiter);
      if (context.signal.aborted) giveUp();
    });
  }

  #release(connection: Connection): void {
    let next = connection;
    if (connection.client.destroyed) {
      this.#open.delete(connection);
      if (this.#closed || this.#waiting.size === 0) return;
      next = this.#connect();
    }
    const [waiter] = this.#waiting;
    if (waiter === undefined) this.#idle.push(next);
    else waiter.wake(next);
  }

  #connect(): Connection {
    const client = new Client(this.#origin, {
      pipelining: 1,
      connect: directConnector(this.#options.connectTimeoutMs),
      keepAliveTimeout: idleTimeoutMs,
      keepAliveMaxTimeout: idleTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
    });
    const connection: Connection = { client, reused: false };
    client.on('connect', () => {
      connection.reused = false;
    });
    this.#open.add(connection);
    return connection;
  }
}
