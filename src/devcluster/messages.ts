/** What a devcluster parent and its worker processes say to each other over the IPC channel. */
import type { FaultRule } from './worker/faults.ts';
import type { Root } from './worker/roots.ts';

export type DevPersonality = 'oss' | 'enterprise';

/** Everything a worker process needs to know; sent as the first message. */
export interface WorkerConfig {
  /** Identity bytes as hex; a worker started again with the same ones is the same worker. */
  readonly identifier: string;
  readonly id: string;
  readonly host: string;
  /** 0: any free port. */
  readonly httpPort: number;
  readonly s3Port: number;
  readonly roots: readonly Root[];
  readonly etcdHosts: readonly string[];
  readonly clusterName: string;
  readonly virtualNodes: number;
  readonly leaseTtlS: number;
  readonly pageSizeBytes: number;
  readonly cacheBytes: number;
  readonly personality: DevPersonality;
}

export interface WorkerStats {
  /** Requests answered, by port and endpoint or method: `http:info`, `s3:GET`, … */
  readonly requests: Readonly<Record<string, number>>;
  readonly pagesCached: number;
  readonly bytesCached: number;
  /** Pages read from the under store. */
  readonly pagesLoaded: number;
  readonly faultsApplied: number;
  /** Hosts of the members that this worker's ring holds, sorted. */
  readonly members: readonly string[];
}

export type ToWorker =
  | { readonly type: 'start'; readonly config: WorkerConfig }
  | { readonly type: 'faults'; readonly rules: readonly FaultRule[]; readonly seed: number }
  | { readonly type: 'roots'; readonly roots: readonly Root[] }
  | { readonly type: 'stats' }
  /** Ends the lease at once, closes and exits: a worker that leaves, not one that dies. */
  | { readonly type: 'leave' };

export type FromWorker =
  | { readonly type: 'ready'; readonly httpPort: number }
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  | { readonly type: 'faults-set' }
  | { readonly type: 'roots-set' }
  | { readonly type: 'stats'; readonly stats: WorkerStats };
