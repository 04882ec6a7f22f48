/**
 * The ring in use, and how many virtual nodes per worker it has: a number that the cluster does not
 * tell. Pinned by the user, or learned: a worker that redirects a file names the owner on its own
 * ring. When the count in use contradicts what was seen and another known setting explains all of
 * it, that one is switched to.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { ClusterEvents } from './cluster-events.ts';
import { Ring } from './ring.ts';
import type { MembershipView, Worker } from './types.ts';

/** What clusters really run with: Enterprise and open source to 309, then open source since 310. */
export const KNOWN_VIRTUAL_NODES: readonly number[] = [2000, 5];
/**
 * Few files agree with a wrong candidate by chance (small rings are lopsided: one of three workers
 * may own half of them). Six wrong ones in a row at a half each: 1.6 %, and later ones correct it.
 */
const EVIDENCE_MIN = 6;
/** One or two may be stray answers; more are worth a line in the log. */
const CONTRADICTIONS_MIN = 3;
/** Old evidence leaves as new comes, so that one stray answer cannot block learning for long. */
const EVIDENCE_MAX = 16;
/**
 * After a change the workers place by their own idea of membership, which they refresh every 120 s
 * (`alluxio.user.worker.list.refresh.interval`): what they say before that is not about the count.
 */
const SETTLE_MS = 130_000;

export interface VirtualNodesOptions {
  readonly virtualNodes: number | 'auto';
  /** What an earlier process learned: `auto` begins with it. */
  readonly learnedBefore?: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ClusterEvents;
  readonly candidates?: readonly number[];
  readonly settleMs?: number;
}

/** A host that a worker named, or showed by serving, as the owner of a key. */
interface Evidence {
  readonly host: string;
  readonly kind: 'redirect' | 'served';
}

export class VirtualNodes {
  readonly #options: VirtualNodesOptions;
  readonly #candidates: readonly number[];
  readonly #rings = new Map<number, Ring>();
  readonly #evidence = new Map<ByteString, Evidence>();
  #view: MembershipView = { workers: [], generation: 0 };
  #hosts = new Set<string>();
  #changedAtMs: number | undefined;
  #current: number;
  #from: 'pinned' | 'default' | 'learned';
  #hasWarned = false;

  constructor(options: VirtualNodesOptions) {
    this.#options = options;
    this.#candidates = options.candidates ?? KNOWN_VIRTUAL_NODES;
    const { virtualNodes, learnedBefore } = options;
    const first = learnedBefore ?? this.#candidates[0] ?? 2000;
    this.#current = virtualNodes === 'auto' ? first : virtualNodes;
    const unpinned = learnedBefore === undefined ? 'default' : 'learned';
    this.#from = virtualNodes === 'auto' ? unpinned : 'pinned';
  }

  get current(): number {
    return this.#current;
  }

  get from(): 'pinned' | 'default' | 'learned' {
    return this.#from;
  }

  /** Rings are built when first asked for: a burst of changes costs one build. */
  setView(view: MembershipView): void {
    // The first view says nothing about when the cluster last changed: learning starts at once,
    // and evidence from a cluster still settling contradicts itself and switches nothing.
    if (this.#view.workers.length > 0) this.#changedAtMs = this.#options.clock.nowMs();
    this.#view = view;
    this.#hosts = new Set(view.workers.map((worker) => worker.host));
    this.#rings.clear();
    this.#evidence.clear();
  }

  ring(): Ring {
    return this.#ringOf(this.#current);
  }

  /** All that may be the workers', as long as nothing told which one it is. */
  possibleRings(): readonly Ring[] {
    if (this.#from !== 'default') return [this.ring()];
    return this.#candidates.map((candidate) => this.#ringOf(candidate));
  }

  /** By each of these rings. */
  possibleOwners(key: ByteString): readonly Worker[] {
    return this.possibleRings().flatMap((ring) => ring.ownerOf(key) ?? []);
  }

  /** A worker named `host` as the owner. */
  noteRedirect(key: ByteString, host: string): void {
    this.#note(key, { host, kind: 'redirect' });
  }

  /** A worker of an open-source cluster served the bytes of a file itself: it owns the file. */
  noteServed(key: ByteString, host: string): void {
    // Before any redirect it is not known that this cluster redirects at all (some proxy).
    for (const { kind } of this.#evidence.values()) {
      if (kind === 'redirect') return this.#note(key, { host, kind: 'served' });
    }
  }

  #note(key: ByteString, evidence: Evidence): void {
    // Workers compare hosts only: with one host for all there is nothing to learn.
    if (this.#hosts.size < 2 || !this.#hosts.has(evidence.host) || this.#isSettling()) return;
    this.#evidence.delete(key);
    this.#evidence.set(key, evidence);
    for (const oldest of this.#evidence.keys()) {
      if (this.#evidence.size <= EVIDENCE_MAX) break;
      this.#evidence.delete(oldest);
    }
    const isContradiction = !this.#explains(this.#current, key, evidence);
    if (isContradiction && evidence.kind === 'redirect') {
      this.#options.events.virtualNodesContradicted(this.#current);
    }
    if (this.#evidence.size >= EVIDENCE_MIN) this.#judge();
  }

  #judge(): void {
    if (this.#explainsAll(this.#current)) {
      const isProof = this.#candidates.every(
        (candidate) => candidate === this.#current || !this.#explainsAll(candidate),
      );
      if (this.#from === 'default' && isProof) this.#from = 'learned';
      return;
    }
    const better = this.#candidates.find(
      (candidate) => candidate !== this.#current && this.#explainsAll(candidate),
    );
    const { logger, events } = this.#options;
    if (better !== undefined && this.#from !== 'pinned') {
      const from = this.#current;
      this.#current = better;
      this.#from = 'learned';
      this.#rings.delete(from);
      logger.info(
        { from, to: better, evidence: this.#evidence.size },
        'Switched the virtual nodes per worker: redirects of the workers show the other setting',
      );
      events.virtualNodesSwitched(from, better);
      return;
    }
    if (this.#hasWarned || this.#contradictions() < CONTRADICTIONS_MIN) return;
    this.#hasWarned = true;
    logger.warn(
      { virtualNodes: this.#current, from: this.#from, wouldExplain: better },
      better === undefined
        ? 'Redirects of the workers fit no known virtual node count; set --virtual-nodes to what the cluster has'
        : 'Redirects of the workers contradict the pinned virtual node count; see wouldExplain, or set --virtual-nodes auto',
    );
  }

  #contradictions(): number {
    let count = 0;
    for (const [key, evidence] of this.#evidence) {
      if (!this.#explains(this.#current, key, evidence)) count += 1;
    }
    return count;
  }

  #explainsAll(virtualNodes: number): boolean {
    for (const [key, evidence] of this.#evidence) {
      if (!this.#explains(virtualNodes, key, evidence)) return false;
    }
    return true;
  }

  #explains(virtualNodes: number, key: ByteString, evidence: Evidence): boolean {
    return this.#ringOf(virtualNodes).ownerOf(key)?.host === evidence.host;
  }

  #isSettling(): boolean {
    if (this.#changedAtMs === undefined) return false;
    const settleMs = this.#options.settleMs ?? SETTLE_MS;
    return this.#options.clock.nowMs() - this.#changedAtMs < settleMs;
  }

  #ringOf(virtualNodes: number): Ring {
    let ring = this.#rings.get(virtualNodes);
    if (ring === undefined) {
      ring = new Ring(this.#view.workers, { virtualNodes });
      this.#rings.set(virtualNodes, ring);
    }
    return ring;
  }
}
