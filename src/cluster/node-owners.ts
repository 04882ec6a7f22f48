/**
 * Owners as the workers tell them (`/v1/node`, Enterprise), for a cluster whose ring is not known here:
 * one without etcd, reached by the names of some workers, or by a DNS name that stands for all of them.
 */
import { LRUCache } from 'lru-cache';
import { displayByteString } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { remainingMs } from './attempt.ts';
import type { ClusterEvents } from './cluster-events.ts';
import { firstAnswer } from './failover.ts';
import type { CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import type { WorkerCalls } from './worker-calls.ts';
import type { WorkerClient } from './worker-client.ts';

/** A few hundred bytes each, as many as `PathChoice` keeps. */
const PATHS_MAX = 50_000;
/** A file that moved to another owner is read through by the old one meanwhile: slower, not wrong. */
const TTL_MS = 60_000;
/** Placement is worth a small answer, not the caller's whole time: any worker can serve the file. */
const ASK_MS = 3_000;
/** Between two questions to a cluster that could not answer the last one. */
const PAUSE_MS = 10_000;

export interface NodeOwnersParts {
  readonly client: WorkerClient;
  readonly calls: WorkerCalls;
  /** The worker of the cluster at this address, known from elsewhere or not. */
  readonly workerAt: (host: string, httpPort: number) => Worker;
  readonly clock: Clock;
  readonly events: ClusterEvents;
  readonly logger: Logger;
}

export class NodeOwners {
  readonly #parts: NodeOwnersParts;
  readonly #known: LRUCache<ByteString, Worker>;
  #pausedUntilMs = -Infinity;
  #hasFailed = false;

  constructor(parts: NodeOwnersParts) {
    this.#parts = parts;
    const perf = { now: () => parts.clock.nowMs() };
    this.#known = new LRUCache({ max: PATHS_MAX, ttl: TTL_MS, perf });
  }

  /**
   * Asks where it is not known; undefined where nobody tells. Throws only where the caller gave up or
   * has no time left.
   */
  async ownerOf(
    ufsPath: ByteString,
    workersToAsk: () => readonly Worker[],
    context: CallContext,
  ): Promise<Worker | undefined> {
    const { client, calls, clock, events, logger, workerAt } = this.#parts;
    const { extras } = client;
    const known = this.#known.get(ufsPath);
    if (known !== undefined || extras === undefined) return known;
    if (clock.nowMs() < this.#pausedUntilMs) return undefined;
    // What is left must do for the call itself.
    const deadlineMs = clock.nowMs() + Math.min(ASK_MS, remainingMs(context, clock) / 2);
    const limited = { signal: context.signal, deadlineMs };
    const asked = { method: 'node', context: limited, clock, events, hasFallback: false } as const;
    try {
      const told = await firstAnswer(workersToAsk(), asked, (worker, each) =>
        calls.call('node', worker, each, () => extras.ownerOf(worker, ufsPath, each)),
      );
      if (!('answer' in told)) throw told.error;
      const owner = workerAt(told.answer.host, told.answer.httpPort);
      this.#known.set(ufsPath, owner);
      if (this.#hasFailed) logger.info({}, 'The workers tell owners again (/v1/node)');
      this.#hasFailed = false;
      return owner;
    } catch (error) {
      remainingMs(context, clock);
      if (error instanceof ClusterError && error.code === 'cancelled') throw error;
      this.#pausedUntilMs = clock.nowMs() + PAUSE_MS;
      if (this.#hasFailed) return undefined;
      this.#hasFailed = true;
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn(
        { path: displayByteString(ufsPath), reason },
        'No worker tells the owner of a path (/v1/node, Enterprise); going by a ring of the known workers',
      );
      return undefined;
    }
  }

  forget(): void {
    this.#known.clear();
    this.#pausedUntilMs = -Infinity;
  }
}
