/** Which workers to ask for a path, in which order, given the ring and the breakers. */
import type { ByteString } from '../base/byte-string.ts';
import type { Breakers } from './breaker.ts';
import type { PathChoice } from './path-choice.ts';
import type { MembershipView, Worker } from './types.ts';
import type { VirtualNodes } from './virtual-nodes.ts';

/** The owner, two more that may know better, and one in case: beyond that it is not the workers. */
export const WORKERS_PER_CALL_MAX = 4;

export class Placement {
  readonly virtualNodes: VirtualNodes;
  readonly #breakers: Breakers;
  readonly #choice: PathChoice;
  #view: MembershipView = { workers: [], generation: 0 };
  readonly #byId = new Map<string, Worker>();

  constructor(parts: {
    readonly virtualNodes: VirtualNodes;
    readonly breakers: Breakers;
    readonly choice: PathChoice;
  }) {
    this.virtualNodes = parts.virtualNodes;
    this.#breakers = parts.breakers;
    this.#choice = parts.choice;
  }

  get view(): MembershipView {
    return this.#view;
  }

  setView(view: MembershipView): void {
    const before = new Map(this.#byId);
    this.#view = view;
    this.#byId.clear();
    for (const worker of view.workers) this.#byId.set(worker.id, worker);
    this.virtualNodes.setView(view);
    this.#choice.forget();
    this.#breakers.retain(view.workers, (worker) => {
      const old = before.get(worker.id);
      return old?.host === worker.host && old.httpPort === worker.httpPort;
    });
  }

  /** In ring order, whatever the breakers say. */
  owners(ufsPath: ByteString, count: number): Worker[] {
    return this.virtualNodes.ring().workersFor(ufsPath, count);
  }

  /**
   * Candidates for a call: the owner that the cluster itself named, then ring order, without those
   * whose breaker is open. Where nobody is left and nothing else could answer (`isLastResort`), the
   * open ones are tried all the same: an error is certain otherwise.
   */
  candidates(ufsPath: ByteString, isLastResort: boolean): Worker[] {
    const ordered = this.owners(ufsPath, WORKERS_PER_CALL_MAX);
    const named = this.#choice.ownerOf(ufsPath, this.#view.generation);
    const owner = named === undefined ? undefined : this.#byId.get(named);
    const all = owner === undefined ? ordered : [owner, ...ordered.filter((w) => w !== owner)];
    const available = all.filter((worker) => this.#breakers.isAvailable(worker));
    if (available.length > 0) return available;
    // The first ones are all down; in a large cluster others are not.
    const others = this.#view.workers.filter(
      (worker) => !all.includes(worker) && this.#breakers.isAvailable(worker),
    );
    if (others.length > 0) return others.slice(0, WORKERS_PER_CALL_MAX);
    return isLastResort ? all : [];
  }

  /** The live worker that a redirect means; its port decides where several share a host. */
  workerAt(host: string, s3Port: number): Worker | undefined {
    const sameHost = this.#view.workers.filter((worker) => worker.host === host);
    return sameHost.find((worker) => worker.s3Port === s3Port) ?? sameHost[0];
  }
}
