/**
 * Figures of the kernel thread, read out of shared memory at every scrape: the thread itself spends
 * no time on metrics.
 */
import type { CounterName } from '../vfs/counters.ts';
import { FUSE_CALL_BUCKETS_MS } from './metrics-table.ts';
import type { CounterKey, GaugeKey, METRICS } from './metrics-table.ts';
import type { Metrics } from './metrics.ts';

export interface CallFigures {
  readonly count: number;
  readonly sumMs: number;
  /** Not cumulative; one more than the bounds. */
  readonly buckets: readonly number[];
}

export interface KernelFigures<Operation extends string> {
  readonly operations: readonly Operation[];
  /** Upper bounds that the buckets were filled by. */
  readonly bucketsMs: readonly number[];
  operation(name: Operation, outcome: 'success' | 'failure'): CallFigures;
  get(name: CounterName): number;
}

type UnlabelledKey = {
  [K in CounterKey | GaugeKey]: (typeof METRICS)[K]['labels'] extends readonly [] ? K : never;
}[CounterKey | GaugeKey];

/** Where each figure goes; a figure without a row does not compile. */
const METRIC_OF: Record<CounterName, UnlabelledKey | { slabState: string }> = {
  pageHits: 'pageHits',
  pageMisses: 'pageMisses',
  hitBytes: 'cachedReadBytes',
  missBytes: 'missedReadBytes',
  readAheadBytes: 'readAheadBytes',
  readAheadUsedBytes: 'readAheadUsedBytes',
  wastedBytes: 'wastedBytes',
  evictedPages: 'evictedPages',
  slotsFilling: { slabState: 'filling' },
  slotsReady: { slabState: 'ready' },
  inodes: 'fuseInodes',
  openFiles: 'fuseOpenFiles',
  openDirectories: 'fuseOpenDirectories',
  requestsPending: 'fuseRequestsInFlight',
  jobsRunning: 'fuseJobsRunning',
  lookupsFromCache: 'metadataCacheHits',
  lookupsFromCluster: 'metadataCacheMisses',
  staleHandles: 'fuseStaleHandles',
  interrupts: 'fuseInterrupts',
  timeouts: 'fuseTimeouts',
  internalErrors: 'fuseInternalErrors',
  notifications: 'fuseNotifications',
  listingEntries: 'fuseListingEntries',
  heartbeats: 'fuseHeartbeats',
  writtenBytes: 'writtenBytes',
  stagedFiles: 'stagedFiles',
  stagingBytes: 'stagingBytes',
  unsavedBytes: 'unsavedBytes',
  passthroughOpens: 'passthroughOpens',
  passthroughFallbacks: 'passthroughFallbacks',
  listingsAhead: 'listingsAhead',
  listingsAheadUsed: 'listingsAheadUsed',
};

export function registerKernelFigures<Operation extends string>(
  metrics: Metrics,
  figures: KernelFigures<Operation>,
): void {
  const bounds: readonly number[] = FUSE_CALL_BUCKETS_MS;
  if (bounds.join() !== figures.bucketsMs.join()) {
    throw new Error(`Latency buckets differ: ${bounds.join()} and ${figures.bucketsMs.join()}`);
  }
  const slabStates: { state: string; name: CounterName }[] = [];
  for (const [name, target] of Object.entries(METRIC_OF) as [
    CounterName,
    (typeof METRIC_OF)[CounterName],
  ][]) {
    if (typeof target === 'object') slabStates.push({ state: target.slabState, name });
    else metrics.readAtScrape(target, () => [{ labels: {}, value: figures.get(name) }]);
  }
  metrics.readAtScrape('slabSlots', () =>
    slabStates.map(({ state, name }) => ({ labels: { state }, value: figures.get(name) })),
  );
  const calls = () =>
    figures.operations.flatMap((name) =>
      (['success', 'failure'] as const).map((outcome) => ({
        method: `Fuse.${name}`,
        outcome,
        ...figures.operation(name, outcome),
      })),
    );
  metrics.readHistogramAtScrape('fuseCallLatency', () =>
    calls()
      .filter(({ count }) => count > 0)
      .map(({ method, outcome, sumMs, buckets }) => ({
        labels: { method, success: String(outcome === 'success') },
        sum: sumMs,
        buckets,
      })),
  );
  metrics.readAtScrape('fuseResults', () =>
    calls()
      .filter(({ count }) => count > 0)
      .map(({ method, outcome, count }) => ({
        labels: { method, state: outcome === 'success' ? 'SUCCESS' : 'FAILURE' },
        value: count,
      })),
  );
}
