/** The connections to every port of every worker in use. */
import type { Worker } from '../types.ts';
import { Connections, type ConnectionOptions } from './connections.ts';

/**
 * Two ports of four thousand workers. Beyond that, addresses of pods long gone pile up: the oldest
 * that is not in use goes.
 */
const maxOrigins = 8192;

export class Origins {
  readonly #options: Omit<ConnectionOptions, 'oneRequestEach'>;
  readonly #byOrigin = new Map<string, Connections>();

  constructor(options: Omit<ConnectionOptions, 'oneRequestEach'>) {
    this.#options = options;
  }

  http(worker: Worker): Connections {
    return this.#of(worker.host, worker.httpPort, false);
  }

  s3(worker: Worker): Connections {
    return this.#of(worker.host, worker.s3Port, true);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byOrigin.values()].map((connections) => connections.close()));
  }

  #of(host: string, port: number, oneRequestEach: boolean): Connections {
    const key = `${host} ${port} ${oneRequestEach}`;
    const found = this.#byOrigin.get(key);
    if (found !== undefined) return found;
    if (this.#byOrigin.size >= maxOrigins) this.#dropOne();
    const connections = new Connections(host, port, { ...this.#options, oneRequestEach });
    this.#byOrigin.set(key, connections);
    return connections;
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
