/** The connections to every port of every worker in use. */
import type { Worker } from '../types.ts';
import {
  Connections,
  ContentConnections,
  type ConnectionOptions,
  type Exchanges,
} from './connections.ts';

/**
 * Two ports of two thousand workers, each with connections for questions and for content. Beyond that, addresses of pods long gone pile up: the oldest
 * that is not in use goes.
 */
const maxOrigins = 8192;

export class Origins {
  readonly #kept: ConnectionOptions;
  readonly #single: ConnectionOptions;
  readonly #byOrigin = new Map<string, Exchanges>();

  constructor(options: Omit<ConnectionOptions, 'oneRequestEach'>) {
    this.#kept = { ...options, oneRequestEach: false };
    this.#single = { ...options, oneRequestEach: true };
  }

  http(worker: Worker): Connections {
    const { host, httpPort } = worker;
    return this.#of(`http ${host} ${httpPort}`, () => new Connections(host, httpPort, this.#kept));
  }

  s3(worker: Worker): Connections {
    const { host, s3Port } = worker;
    return this.#of(`s3 ${host} ${s3Port}`, () => new Connections(host, s3Port, this.#single));
  }

  /** For content; questions have connections of their own and never wait behind it. */
  httpContent(worker: Worker): ContentConnections {
    const { host, httpPort } = worker;
    const make = () => new ContentConnections(host, httpPort, this.#kept);
    return this.#of(`http content ${host} ${httpPort}`, make);
  }

  s3Content(worker: Worker): ContentConnections {
    const { host, s3Port } = worker;
    const make = () => new ContentConnections(host, s3Port, this.#single);
    return this.#of(`s3 content ${host} ${s3Port}`, make);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byOrigin.values()].map((connections) => connections.close()));
  }

  /** The key says which kind of connections it stands for. */
  #of<E extends Exchanges>(key: string, make: () => E): E {
    const found = this.#byOrigin.get(key);
    if (found !== undefined) return found as E;
    if (this.#byOrigin.size >= maxOrigins) this.#dropOne();
    const made = make();
    this.#byOrigin.set(key, made);
    return made;
  }

  #dropOne(): void {
    for (const [key, connections] of this.#byOrigin) {
      if (connections.busy) continue;
      this.#byOrigin.delete(key);
      void connections.close();
      return;
    }
  }
}
