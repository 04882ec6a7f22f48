/**
 * Connections to one port of one worker: a bounded number, so that it is known of every request
 * whether its socket had been used before. Requests beyond the bound wait in order, under their own
 * deadline.
 */
import { Client } from 'undici';
import { ClusterError, type CallContext } from '../types.ts';
import { ContentConnection, runContentExchange } from './content-connection.ts';
import { directConnector } from './direct-socket.ts';
import {
  runExchange,
  type Connection,
  type ExchangeLimits,
  type ExchangeRequest,
  type ResponseReader,
} from './exchange.ts';
import { Pool } from './pool.ts';
import { QuickExchange, type QuickEnd, type QuickRequest } from './quick-exchange.ts';

export interface ConnectionOptions extends ExchangeLimits {
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  /** Close the connection after every request (the S3 port; README of the real worker). */
  readonly oneRequestEach: boolean;
}

/** Idle sockets are closed by us after this, before most firewalls forget them. */
const idleTimeoutMs = 30_000;
/** Heads of real answers are under 1 KiB; the bound is there for a server gone wrong. */
const maxHeaderBytes = 16 * 1024;

/** What the exchanges of a port run over. */
export interface Exchanges {
  /** `onFreshConnection`: on one that has not served a request. */
  exchange<T>(
    request: Omit<ExchangeRequest, 'closeAfter'>,
    reader: ResponseReader<T>,
    context: CallContext,
    onFreshConnection?: boolean,
  ): Promise<T>;
  readonly busy: boolean;
  close(): Promise<void>;
}

/** Through undici: every kind of request and answer. */
export class Connections implements Exchanges {
  readonly #options: ConnectionOptions;
  readonly #pool: Pool<Connection>;

  constructor(host: string, port: number, options: ConnectionOptions) {
    this.#options = options;
    const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#pool = new Pool(options.maxConnections, () => connect(origin, options));
  }

  get busy(): boolean {
    return this.#pool.busy;
  }

  async exchange<T>(
    request: Omit<ExchangeRequest, 'closeAfter'>,
    reader: ResponseReader<T>,
    context: CallContext,
    onFreshConnection = false,
  ): Promise<T> {
    let connection = await this.#pool.acquire(request, context);
    if (onFreshConnection && connection.reused) {
      void connection.client.destroy();
      connection = this.#pool.replace(connection);
    }
    const closeAfter = this.#options.oneRequestEach;
    try {
      const whole = { ...request, closeAfter };
      return await runExchange(connection, whole, reader, context, this.#options);
    } finally {
      this.#pool.release(connection, !connection.client.destroyed);
    }
  }

  async close(): Promise<void> {
    const error = new ClusterError('cancelled', 'The client was closed');
    await Promise.all(this.#pool.close(error).map(({ client }) => client.destroy(error)));
  }
}

function connect(origin: string, options: ConnectionOptions): Connection {
  const client = new Client(origin, {
    pipelining: 1,
    connect: directConnector(options.connectTimeoutMs),
    keepAliveTimeout: idleTimeoutMs,
    keepAliveMaxTimeout: idleTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
  });
  const connection: Connection = { client, reused: false };
  client.on('connect', () => {
    connection.reused = false;
  });
  return connection;
}

/** Straight from the socket: GETs of file content. `NotPlain` for answers that are no such thing. */
export class ContentConnections implements Exchanges {
  readonly #options: ConnectionOptions;
  readonly #pool: Pool<ContentConnection>;

  constructor(host: string, port: number, options: ConnectionOptions) {
    this.#options = options;
    const { connectTimeoutMs } = options;
    this.#pool = new Pool(options.maxConnections, () => {
      const connection: ContentConnection = new ContentConnection({
        host,
        port,
        connectTimeoutMs,
        idleTimeoutMs,
        onIdleEnd: () => this.#pool.forget(connection),
      });
      return connection;
    });
  }

  get busy(): boolean {
    return this.#pool.busy;
  }

  async exchange<T>(
    request: Omit<ExchangeRequest, 'closeAfter'>,
    reader: ResponseReader<T>,
    context: CallContext,
    onFreshConnection = false,
  ): Promise<T> {
    let connection = await this.#pool.acquire(request, context);
    // It may have ended in the very moment in which it was taken.
    if ((onFreshConnection && connection.reused) || !connection.isUsable) {
      connection.destroy();
      connection = this.#pool.replace(connection);
    }
    const closeAfter = this.#options.oneRequestEach;
    try {
      const whole = { ...request, closeAfter };
      return await runContentExchange(connection, whole, reader, context, this.#options);
    } finally {
      this.#pool.release(connection, connection.isUsable);
    }
  }

  /**
   * Without waiting for anything; `onEnd` is called later, once. Returns what cancels it, or undefined
   * where all connections are in use.
   */
  quickly(
    request: Omit<QuickRequest, 'stallTimeoutMs'>,
    onEnd: (end: Exclude<QuickEnd, 'closed-reused'>) => void,
  ): (() => void) | undefined {
    let connection = this.#pool.acquireNow();
    if (connection === undefined) return undefined;
    if (!connection.isUsable) connection = this.#pool.replace(connection);
    const whole = { ...request, stallTimeoutMs: this.#options.bodyStallTimeoutMs };
    let exchange: QuickExchange;
    const run = (used: ContentConnection): void => {
      exchange = new QuickExchange(used, whole, (end) => {
        if (end === 'closed-reused') {
          // It may have been closed for its age just as the request was written.
          run(this.#pool.replace(used));
          return;
        }
        this.#pool.release(used, used.isUsable);
        onEnd(end);
      });
    };
    run(connection);
    return () => exchange.cancel();
  }

  async close(): Promise<void> {
    const error = new ClusterError('cancelled', 'The client was closed');
    for (const connection of this.#pool.close(error)) connection.destroy();
    await Promise.resolve();
  }
}
