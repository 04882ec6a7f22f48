/**
 * What the cluster layer tells whoever counts: plain callbacks, wired to metrics by the daemon.
 * They are called on the hot path: they must be cheap and must not throw.
 */
import type { DataSource } from './types.ts';

export type WorkerMethod =
  | 'health'
  | 'personality'
  | 'stat'
  | 'list'
  | 'page'
  | 's3'
  | 'range'
  | 'put'
  | 'copy'
  | 'delete'
  | 'mkdir'
  | 'move'
  | 'refresh'
  | 'node';

export interface WorkerCallEvent {
  readonly method: WorkerMethod;
  readonly worker: string;
  readonly success: boolean;
  readonly latencyMs: number;
  /** Bytes of file content delivered; 0 for calls that carry none. */
  readonly bytes: number;
  /**
   * `ok`, `miss` (page not held), `redirect`, `not-found`, `aborted` (our own caller gave up; not a
   * success, but not the worker's fault either), or the code of the error.
   */
  readonly outcome: string;
}

export type FallbackReason =
  /** No worker is known. */
  | 'no-workers'
  /** Every worker that was tried failed. */
  | 'workers-failed'
  /** Every worker points to an owner that does not answer. */
  | 'owner-dead'
  /** No worker path can express the name. */
  | 'inexpressible'
  /** Names that worker listings leave out. */
  | 'list-supplement';

export type RedirectOutcome =
  | 'followed'
  /** The owner is known, but its breaker is open or it has failed within this read. */
  | 'owner-failing'
  /** No worker with that address is in the view. */
  | 'owner-unknown'
  | 'loop';

/** `withheld`: too many reads are slow to ask for all of them twice. */
export type HedgeOutcome = 'sent' | 'won' | 'withheld';

export type BreakerState = 'closed' | 'open' | 'half-open';

export type InexpressibleReason =
  'question-mark' | 'backslash' | 'invalid-utf8' | 'root-file' | 'other';

export type MembershipEvent =
  /** The view changed. */
  | 'changed'
  | 'read-ok'
  | 'read-failed'
  | 'watch-lost'
  | 'bad-entry'
  /** The source said "no worker"; held back until a second read says so too. */
  | 'empty-unconfirmed';

export interface ClusterEvents {
  workerCall(event: WorkerCallEvent): void;
  /** Bytes handed to a reader, by where they came from. */
  bytesRead(source: DataSource, bytes: number): void;
  fallback(reason: FallbackReason): void;
  /** A fallback waited for, or was refused by, the fallback rate limit. */
  fallbackLimited(outcome: 'waited' | 'refused', waitMs: number): void;
  redirect(outcome: RedirectOutcome, from: string, toHost: string): void;
  retry(method: WorkerMethod | 'under-store', code: string): void;
  /** A read was taking so long that it was asked for a second time. */
  hedge(outcome: HedgeOutcome): void;
  breaker(worker: string, state: BreakerState): void;
  inexpressible(reason: InexpressibleReason): void;
  pageSizeMismatch(message: string): void;
  ufsRootMismatch(message: string): void;
  virtualNodesSwitched(from: number, to: number): void;
  /** A redirect or a direct answer that the virtual node count in use cannot explain. */
  virtualNodesContradicted(virtualNodes: number): void;
  membership(event: MembershipEvent, workers: number): void;
}

function ignore(): void {
  // Nobody counts.
}

export const ignoredEvents: ClusterEvents = {
  workerCall: ignore,
  bytesRead: ignore,
  fallback: ignore,
  fallbackLimited: ignore,
  redirect: ignore,
  retry: ignore,
  hedge: ignore,
  breaker: ignore,
  inexpressible: ignore,
  pageSizeMismatch: ignore,
  ufsRootMismatch: ignore,
  virtualNodesSwitched: ignore,
  virtualNodesContradicted: ignore,
  membership: ignore,
};
