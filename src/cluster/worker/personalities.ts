/** Which of the two kinds of worker each worker is: probed once, remembered, asked again when it failed. */
import { setMaxListeners } from 'node:events';
import { ClusterError, type CallContext, type Worker } from '../types.ts';
import type { Personality } from '../worker-client.ts';
import { endOfCall, remaining } from './exchange.ts';

/** More workers than any cluster has; the oldest is forgotten and would be probed again. */
const maxRemembered = 8192;

/** The status of an answer, or undefined where the connection was closed instead. */
export type ProbeStatus = (
  worker: Worker,
  target: string,
  context: CallContext,
) => Promise<number | undefined>;

export class Personalities {
  readonly #probeStatus: ProbeStatus;
  readonly #probeTimeoutMs: number;
  readonly #known = new Map<string, Personality>();
  readonly #probing = new Map<string, Promise<Personality>>();
  readonly #closing = new AbortController();

  constructor(probeStatus: ProbeStatus, probeTimeoutMs: number) {
    this.#probeStatus = probeStatus;
    this.#probeTimeoutMs = probeTimeoutMs;
  }

  known(worker: Worker): Personality | undefined {
    return this.#known.get(keyOf(worker));
  }

  forget(worker: Worker): void {
    this.#known.delete(keyOf(worker));
  }

  close(): void {
    this.#closing.abort();
  }

  async of(worker: Worker, context: CallContext): Promise<Personality> {
    const key = keyOf(worker);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    let probing = this.#probing.get(key);
    if (probing === undefined) {
      // One probe for all who wait, so not under the deadline of any of them.
      probing = this.#probe(worker).finally(() => this.#probing.delete(key));
      this.#probing.set(key, probing);
    }
    return until(probing, worker, context);
  }

  async #probe(worker: Worker): Promise<Personality> {
    const context: CallContext = {
      signal: this.#closing.signal,
      deadlineMs: performance.now() + this.#probeTimeoutMs,
    };
    const personality = await this.#ask(worker, context);
    const oldest = this.#known.keys().next();
    if (this.#known.size >= maxRemembered && oldest.done !== true) this.#known.delete(oldest.value);
    this.#known.set(keyOf(worker), personality);
    return personality;
  }

  async #ask(worker: Worker, context: CallContext): Promise<Personality> {
    // Open source knows no such endpoint, and says so by closing the connection. Only the status
    // line is read: the answer of an Enterprise worker carries the secrets of its under stores.
    const status = await this.#probeStatus(worker, '/v1/ufsInfo', context);
    if (status !== undefined) return 'enterprise';
    // The close meant "no such endpoint" only if the worker is one: `/v1/health` is there since 313.
    const targets = ['/v1/health', '/v1/info?path=/'];
    for (const target of targets) {
      if ((await this.#probeStatus(worker, target, context)) === 200) return 'oss';
    }
    throw new ClusterError('unavailable', 'Nothing that answers like an Alluxio worker', {
      worker: worker.id,
      retryable: true,
    });
  }
}

/** A worker that comes back under another address may be another version. */
function keyOf(worker: Worker): string {
  return `${worker.id} ${worker.host} ${worker.httpPort}`;
}

function until<T>(shared: Promise<T>, worker: Worker, context: CallContext): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const giveUp = (): void => reject(endOfCall(context, { workerId: worker.id }));
    const timer = setTimeout(giveUp, Math.max(0, remaining(context)));
    setMaxListeners(0, context.signal);
    context.signal.addEventListener('abort', giveUp, { once: true });
    if (context.signal.aborted) giveUp();
    const settle = (): void => {
      clearTimeout(timer);
      context.signal.removeEventListener('abort', giveUp);
    };
    shared.then(resolve, reject).finally(settle);
  });
}
