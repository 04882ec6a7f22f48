/** Counts what the cluster layer tells; by its types only, the daemon joins the two. */
import type { ClusterEvents } from '../cluster/cluster-events.ts';
import type { ClusterStatus } from '../cluster/cluster-client.ts';
import type { Metrics } from './metrics.ts';

/** Enough to see which worker is sick in most clusters, at 256 time series at the worst. */
const WORKER_LABELS_MAX = 256;

/** Outcomes that are the worker's normal answers, or our own doing: not a failure of the worker. */
const BENIGN_OUTCOMES = new Set(['ok', 'miss', 'redirect', 'not-found', 'aborted']);

/** Feeds `metrics`; every method is cheap and none throws. */
export function clusterEventsFor(metrics: Metrics): ClusterEvents {
  const knownWorkers = new Set<string>();
  const workerLabel = (worker: string): string => {
    if (knownWorkers.has(worker)) return worker;
    if (knownWorkers.size >= WORKER_LABELS_MAX) return 'other';
    knownWorkers.add(worker);
    return worker;
  };
  return {
    workerCall: ({ method, worker, success, latencyMs, bytes, outcome }) => {
      metrics.observe('workerCallLatency', { method, success: String(success) }, latencyMs);
      metrics.count('workerCallResults', { method, state: outcome });
      if (bytes > 0) metrics.count('workerReceivedBytes', { method }, bytes);
      if (!BENIGN_OUTCOMES.has(outcome)) {
        metrics.count('workerFailures', { worker: workerLabel(worker) });
      }
    },
    bytesRead: (source, bytes) => metrics.count('readBytes', { source }, bytes),
    fallback: (reason) => metrics.count('fallbacks', { reason }),
    fallbackLimited: (outcome, waitMs) => {
      metrics.count('fallbacksLimited', { outcome });
      metrics.count('fallbackWaitMs', {}, waitMs);
    },
    redirect: (outcome) => metrics.count('redirects', { outcome }),
    retry: (method, code) => metrics.count('retries', { method, code }),
    hedge: (outcome) => metrics.count('hedges', { outcome }),
    breaker: (_worker, state) => metrics.count('breakerTransitions', { state }),
    inexpressible: (reason) => metrics.count('inexpressibleNames', { reason }),
    pageSizeMismatch: () => metrics.count('pageSizeMismatches', {}),
    ufsRootMismatch: () => metrics.count('ufsRootMismatches', {}),
    virtualNodesSwitched: () => metrics.count('virtualNodeSwitches', {}),
    virtualNodesContradicted: () => metrics.count('ringContradictions', {}),
    membership: (event) => {
      metrics.count('membershipEvents', { event });
      if (event === 'read-ok') metrics.count('membershipRefreshes', {});
    },
  };
}

/** `status` is asked at every scrape; undefined while the cluster side is still starting. */
export function registerClusterStatus(
  metrics: Metrics,
  status: () => ClusterStatus | undefined,
): void {
  const single = (value: (now: ClusterStatus) => number) => () => {
    const now = status();
    return now === undefined ? [] : [{ labels: {}, value: value(now) }];
  };
  metrics.readAtScrape(
    'membershipAge',
    single((now) => now.viewAgeMs / 1000),
  );
  metrics.readAtScrape(
    'membershipGeneration',
    single((now) => now.view.generation),
  );
  metrics.readAtScrape(
    'membershipWorkers',
    single((now) => now.view.workers.length),
  );
  metrics.readAtScrape('virtualNodes', () => {
    const now = status();
    if (now === undefined) return [];
    return [{ labels: { from: now.virtualNodesFrom }, value: now.virtualNodes }];
  });
  metrics.readAtScrape('breakers', () => {
    const workers = status()?.workers ?? [];
    return (['closed', 'open', 'half-open'] as const).map((state) => ({
      labels: { state },
      value: workers.filter((worker) => worker.breaker === state).length,
    }));
  });
}
