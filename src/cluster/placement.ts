/** Which workers to ask for a path, in which order, given the ring and the breakers. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import type { Breakers } from './breaker.ts';
import type { NodeOwners } from './node-owners.ts';
import type { PathChoice } from './path-choice.ts';
import type { CallContext, MembershipView, Worker } from './types.ts';
import type { VirtualNodes } from './virtual-nodes.ts';
import { workerOfAddress } from './worker-identity.ts';

/** The owner, two more that may know better, and one in case: beyond that it is not the workers. */
export const WORKERS_PER_CALL_MAX = 4;

/** As many as the largest cluster we know of has. */
const UNLISTED_MAX = 1_000;

/** The ports of workers that are met by their host alone. */
export interface CommonPorts {
  readonly httpPort: number;
  readonly s3Port: number;
}

export class Placement {
  readonly virtualNodes: VirtualNodes;
  /** Set where the cluster is asked for owners. */
  nodes: NodeOwners | undefined;
  readonly #breakers: Breakers;
  readonly #choice: PathChoice;
  readonly #unlistedPorts: CommonPorts | undefined;
  /** Workers that the cluster itself named and the view does not have, by id. */
  readonly #unlisted = new LRUCache<string, Worker>({ max: UNLISTED_MAX });
  #view: MembershipView = { workers: [], generation: 0 };
  readonly #byId = new Map<string, Worker>();

  constructor(parts: {
    readonly virtualNodes: VirtualNodes;
    readonly breakers: Breakers;
    readonly choice: PathChoice;
    /** Where the view may lack workers of the cluster: those it names are used all the same. */
    readonly unlistedPorts?: CommonPorts | undefined;
  }) {
    this.virtualNodes = parts.virtualNodes;
    this.#breakers = parts.breakers;
    this.#choice = parts.choice;
    this.#unlistedPorts = parts.unlistedPorts;
  }

  get view(): MembershipView {
    return this.#view;
  }

  /** The view, and whom the cluster named besides. */
  get known(): readonly Worker[] {
    return [...this.#view.workers, ...this.#unlisted.values()];
  }

  setView(view: MembershipView): void {
    const before = new Map(this.#byId);
    this.#view = view;
    this.#unlisted.clear();
    this.nodes?.forget();
    this.#byId.clear();
    for (const worker of view.workers) this.#byId.set(worker.id, worker);
    this.virtualNodes.setView(view);
    this.#choice.forget();
    this.#breakers.retain(view.workers, (worker) => {
      const old = before.get(worker.id);
      return old?.host === worker.host && old.httpPort === worker.httpPort;
    });
  }

  /** The owner and the next ones on the ring, whatever the breakers say. `told`: who said to be the owner. */
  async owners(
    ufsPath: ByteString,
    count: number,
    context: CallContext,
    told?: Worker,
  ): Promise<Worker[]> {
    const ordered = this.virtualNodes.ring().workersFor(ufsPath, count);
    return ownerFirst(told ?? (await this.#toldOwner(ufsPath, context)), ordered).slice(0, count);
  }

  /**
   * Candidates for a call: the owner that the cluster itself named, then ring order, without those
   * whose breaker is open. Where nobody is left and nothing else could answer (`isLastResort`), the
   * open ones are tried all the same: an error is certain otherwise.
   */
  async candidates(
    ufsPath: ByteString,
    isLastResort: boolean,
    context: CallContext,
  ): Promise<Worker[]> {
    const told = await this.#toldOwner(ufsPath, context);
    const named = this.#choice.ownerOf(ufsPath, this.#view.generation);
    const owner = named === undefined ? undefined : this.#workerOf(named);
    return this.#ordered(ufsPath, told ?? owner, isLastResort);
  }

  /** Whom `candidates` would name first, were all well; undefined where the cluster must be asked. */
  knownOwner(ufsPath: ByteString): Worker | undefined {
    if (this.nodes !== undefined) return undefined;
    const named = this.#choice.ownerOf(ufsPath, this.#view.generation);
    const owner = named === undefined ? undefined : this.#workerOf(named);
    return owner ?? this.virtualNodes.ring().ownerOf(ufsPath);
  }

  async #toldOwner(ufsPath: ByteString, context: CallContext): Promise<Worker | undefined> {
    const workersToAsk = (): Worker[] => this.#ordered(ufsPath, undefined, true);
    return this.nodes?.ownerOf(ufsPath, workersToAsk, context);
  }

  #ordered(ufsPath: ByteString, owner: Worker | undefined, isLastResort: boolean): Worker[] {
    const ordered = this.virtualNodes.ring().workersFor(ufsPath, WORKERS_PER_CALL_MAX);
    const all = ownerFirst(owner, ordered);
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
    const listed = sameHost.find((worker) => worker.s3Port === s3Port) ?? sameHost[0];
    if (listed !== undefined || this.#unlistedPorts === undefined) return listed;
    return this.#unlistedAt({ host, httpPort: this.#unlistedPorts.httpPort, s3Port });
  }

  /** The worker that an owner's address means, in the view or not. */
  workerAtHttp(host: string, httpPort: number): Worker {
    const isThere = (worker: Worker): boolean =>
      worker.host === host && worker.httpPort === httpPort;
    const s3Port = this.#unlistedPorts?.s3Port ?? this.#view.workers[0]?.s3Port ?? 0;
    return this.#view.workers.find(isThere) ?? this.#unlistedAt({ host, httpPort, s3Port });
  }

  #unlistedAt(address: CommonPorts & { readonly host: string }): Worker {
    const worker = workerOfAddress(address, this.#unlistedPorts?.httpPort ?? address.httpPort);
    const known = this.#unlisted.get(worker.id);
    if (known !== undefined) return known;
    this.#unlisted.set(worker.id, worker);
    return worker;
  }

  #workerOf(id: string): Worker | undefined {
    return this.#byId.get(id) ?? this.#unlisted.get(id);
  }
}

function ownerFirst(owner: Worker | undefined, ordered: Worker[]): Worker[] {
  return owner === undefined ? ordered : [owner, ...ordered.filter(({ id }) => id !== owner.id)];
}
