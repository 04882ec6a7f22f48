/**
 * Every metric of the mount: name, type, labels, what it means, and whether its name is a promise.
 * docs/metrics.md lists the same rows, and a test compares the two.
 *
 * Names without `fuse` in them, and the first group of those with it, are Alluxio's own: dashboards
 * that know Alluxio's FUSE and workers find the figures of this mount under the same names.
 *
 * Every label has a small closed set of values, but for `worker`, which is bounded where it is set:
 * a time series for each path or each of 1000 workers would cost more than the mount itself.
 */

import { DISK_METRICS } from './metrics-table-disk.ts';

/** `alluxio`: a name of Alluxio's, kept. `stable`: ours, kept. `young`: may still change. */
export type Stability = 'alluxio' | 'stable' | 'young';

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly stability: Stability;
  /** Histograms only: upper bounds. */
  readonly buckets?: readonly number[];
}

/** The seed system's buckets for a call to a worker: a cached page, a cold one, a slow one, a sick one. */
const WORKER_CALL_BUCKETS_MS = [10, 40, 160, 640] as const;

/** A small file near by, one of megabytes, gigabytes, and what takes longer than programs like. */
const UPLOAD_BUCKETS_S = [0.01, 0.1, 1, 10, 60, 600] as const;

/** Equal to the buckets that the kernel thread fills; `registerKernelFigures` checks it. */
export const FUSE_CALL_BUCKETS_MS = [0.1, 1, 10, 40, 160, 640, 5000] as const;

export const METRICS = {
  // Calls to workers.
  workerCallLatency: {
    name: 'alluxio_http_server_call_latency_ms',
    type: 'histogram',
    help: 'Time of one call to a worker in milliseconds',
    labels: ['method', 'success'],
    stability: 'alluxio',
    buckets: WORKER_CALL_BUCKETS_MS,
  },
  workerCallResults: {
    name: 'alluxio_http_server_result_total',
    type: 'counter',
    help: 'Calls to workers by outcome',
    labels: ['method', 'state'],
    stability: 'alluxio',
  },

  // Requests of the kernel.
  fuseCallLatency: {
    name: 'alluxio_fuse_call_latency_ms',
    type: 'histogram',
    help: 'Time from reading a kernel request to replying to it in milliseconds',
    labels: ['method', 'success'],
    stability: 'alluxio',
    buckets: FUSE_CALL_BUCKETS_MS,
  },
  fuseResults: {
    name: 'alluxio_fuse_result_total',
    type: 'counter',
    help: 'Kernel requests answered; ENOENT and the like count as FAILURE',
    labels: ['method', 'state'],
    stability: 'alluxio',
  },
  fuseOpenFiles: {
    name: 'alluxio_fuse_open_files',
    type: 'gauge',
    help: 'Open file handles',
    labels: [],
    stability: 'alluxio',
  },
  fuseOpenDirectories: {
    name: 'alluxio_fuse_open_directories',
    type: 'gauge',
    help: 'Open directory handles',
    labels: [],
    stability: 'stable',
  },
  fuseInodes: {
    name: 'alluxio_fuse_inodes',
    type: 'gauge',
    help: 'Inodes that the kernel or an open handle refers to, and those kept for reuse',
    labels: [],
    stability: 'stable',
  },
  fuseRequestsInFlight: {
    name: 'alluxio_fuse_requests_in_flight',
    type: 'gauge',
    help: 'Kernel requests read and not yet answered',
    labels: [],
    stability: 'stable',
  },
  fuseJobsRunning: {
    name: 'alluxio_fuse_jobs_running',
    type: 'gauge',
    help: 'Jobs handed to the cluster thread and not yet finished',
    labels: [],
    stability: 'young',
  },
  fuseInterrupts: {
    name: 'alluxio_fuse_interrupts_total',
    type: 'counter',
    help: 'Requests given up since a signal ends the program that waits',
    labels: [],
    stability: 'stable',
  },
  fuseTimeouts: {
    name: 'alluxio_fuse_timeouts_total',
    type: 'counter',
    help: 'Requests answered with an error because their deadline ran out',
    labels: [],
    stability: 'stable',
  },
  fuseInternalErrors: {
    name: 'alluxio_fuse_internal_errors_total',
    type: 'counter',
    help: 'Broken invariants and unknown errors answered with EIO; stays at 0 in a healthy mount',
    labels: [],
    stability: 'stable',
  },
  fuseStaleHandles: {
    name: 'alluxio_fuse_stale_handles_total',
    type: 'counter',
    help: 'Reads refused with ESTALE because the file changed after it was opened',
    labels: [],
    stability: 'stable',
  },
  fuseNotifications: {
    name: 'alluxio_fuse_notifications_total',
    type: 'counter',
    help: 'Invalidations sent to the kernel',
    labels: [],
    stability: 'young',
  },
  fuseListingEntries: {
    name: 'alluxio_fuse_listing_entries_total',
    type: 'counter',
    help: 'Directory entries that came from the cluster',
    labels: [],
    stability: 'young',
  },
  writtenBytes: {
    name: 'alluxio_fuse_written_bytes_total',
    type: 'counter',
    help: 'Bytes that programs wrote, staged on this machine',
    labels: [],
    stability: 'young',
  },
  stagedFiles: {
    name: 'alluxio_fuse_staged_files',
    type: 'gauge',
    help: 'Files with changes that neither the cluster nor the journal has yet',
    labels: [],
    stability: 'young',
  },
  unsavedBytes: {
    name: 'alluxio_fuse_unsaved_bytes',
    type: 'gauge',
    help: 'Staged bytes of such files: lost if this machine fails now',
    labels: [],
    stability: 'young',
  },
  stagingBytes: {
    name: 'alluxio_fuse_staging_bytes',
    type: 'gauge',
    help: 'Bytes in the staging directory that count against --staging-limit',
    labels: [],
    stability: 'young',
  },
  stagingLimitBytes: {
    name: 'alluxio_fuse_staging_limit_bytes',
    type: 'gauge',
    help: '--staging-limit; 0 where the mount is read-only',
    labels: [],
    stability: 'young',
  },
  fuseHeartbeats: {
    name: 'alluxio_fuse_kernel_thread_heartbeats_total',
    type: 'counter',
    help: 'Turns of the kernel thread; standing still means that it hangs',
    labels: [],
    stability: 'young',
  },

  // Writing to the cluster.
  uploads: {
    name: 'alluxio_fuse_uploads_total',
    type: 'counter',
    help: 'Attempts to bring a file to the cluster, files of attributes among them: ok, or the code of the failure',
    labels: ['outcome'],
    stability: 'young',
  },
  uploadSeconds: {
    name: 'alluxio_fuse_upload_seconds',
    type: 'histogram',
    help: 'Time of such an attempt in seconds, until the cluster has the file under its name',
    labels: ['success'],
    stability: 'young',
    buckets: UPLOAD_BUCKETS_S,
  },
  uploadedBytes: {
    name: 'alluxio_fuse_uploaded_bytes_total',
    type: 'counter',
    help: 'Bytes of file content sent to the cluster, also those of attempts that failed',
    labels: [],
    stability: 'young',
  },
  uploadsActive: {
    name: 'alluxio_fuse_uploads_active',
    type: 'gauge',
    help: 'Uploads under way',
    labels: [],
    stability: 'young',
  },
  uploadsPending: {
    name: 'alluxio_fuse_backlog_files',
    type: 'gauge',
    help: 'Files that are acknowledged and in the journal, and not in the cluster yet (--write-mode back)',
    labels: [],
    stability: 'young',
  },
  uploadBytesPending: {
    name: 'alluxio_fuse_backlog_bytes',
    type: 'gauge',
    help: 'Bytes of such files',
    labels: [],
    stability: 'young',
  },
  attributesPending: {
    name: 'alluxio_fuse_backlog_attribute_directories',
    type: 'gauge',
    help: 'Directories with changed owners, modes, times or links that only the journal has',
    labels: [],
    stability: 'young',
  },
  repairsPending: {
    name: 'alluxio_fuse_backlog_repairs',
    type: 'gauge',
    help: 'Renames, removals and failed uploads that are being finished or undone',
    labels: [],
    stability: 'young',
  },
  keptFiles: {
    name: 'alluxio_fuse_kept_files',
    type: 'gauge',
    help: 'Removed or replaced files that are kept because somebody has them open',
    labels: [],
    stability: 'young',
  },
  backlogAge: {
    name: 'alluxio_fuse_backlog_age_seconds',
    type: 'gauge',
    help: 'Age of the oldest change that only the journal has; 0 when there is none',
    labels: [],
    stability: 'young',
  },

  // Caches.
  cachedReadBytes: {
    name: 'alluxio_cached_data_read_bytes_total',
    type: 'counter',
    help: 'Bytes read by programs that a local cache held',
    labels: [],
    stability: 'alluxio',
  },
  missedReadBytes: {
    name: 'alluxio_missed_data_read_bytes_total',
    type: 'counter',
    help: 'Bytes read by programs that had to be fetched first',
    labels: [],
    stability: 'alluxio',
  },
  metadataCacheHits: {
    name: 'alluxio_metadata_cache_hit_calls_total',
    type: 'counter',
    help: 'Lookups and attribute calls answered from the local cache',
    labels: [],
    stability: 'alluxio',
  },
  metadataCacheMisses: {
    name: 'alluxio_metadata_cache_miss_calls_total',
    type: 'counter',
    help: 'Lookups and attribute calls that had to ask the cluster',
    labels: [],
    stability: 'alluxio',
  },
  pageHits: {
    name: 'alluxio_fuse_page_hits_total',
    type: 'counter',
    help: 'Pages found in the local cache',
    labels: [],
    stability: 'stable',
  },
  pageMisses: {
    name: 'alluxio_fuse_page_misses_total',
    type: 'counter',
    help: 'Pages that had to be fetched',
    labels: [],
    stability: 'stable',
  },
  evictedPages: {
    name: 'alluxio_fuse_evicted_pages_total',
    type: 'counter',
    help: 'Pages dropped from memory to make room',
    labels: [],
    stability: 'stable',
  },
  readAheadBytes: {
    name: 'alluxio_fuse_read_ahead_bytes_total',
    type: 'counter',
    help: 'Bytes fetched before anybody asked for them',
    labels: [],
    stability: 'stable',
  },
  readAheadUsedBytes: {
    name: 'alluxio_fuse_read_ahead_used_bytes_total',
    type: 'counter',
    help: 'Bytes fetched ahead that a program then read',
    labels: [],
    stability: 'stable',
  },
  wastedBytes: {
    name: 'alluxio_fuse_read_ahead_wasted_bytes_total',
    type: 'counter',
    help: 'Bytes fetched ahead and dropped unread',
    labels: [],
    stability: 'stable',
  },
  passthroughOpens: {
    name: 'alluxio_fuse_passthrough_opens_total',
    type: 'counter',
    help: 'Opens of files that the kernel reads by itself, from a complete copy in a cache directory',
    labels: [],
    stability: 'young',
  },
  passthroughFallbacks: {
    name: 'alluxio_fuse_passthrough_fallbacks_total',
    type: 'counter',
    help: 'Opens of files with a complete copy that went the usual way: open otherwise, or the copy was refused',
    labels: [],
    stability: 'young',
  },
  listingsAhead: {
    name: 'alluxio_fuse_listings_ahead_total',
    type: 'counter',
    help: 'Directories listed before the walk that comes to them',
    labels: [],
    stability: 'young',
  },
  listingsAheadUsed: {
    name: 'alluxio_fuse_listings_ahead_used_total',
    type: 'counter',
    help: 'Directories listed ahead that a program then opened',
    labels: [],
    stability: 'young',
  },
  slabSlots: {
    name: 'alluxio_fuse_slab_slots',
    type: 'gauge',
    help: 'Page slots of the memory cache by state',
    labels: ['state'],
    stability: 'stable',
  },

  ...DISK_METRICS,

  // The cluster.
  readBytes: {
    name: 'alluxio_fuse_read_bytes_total',
    type: 'counter',
    help: 'Bytes fetched by where they came from: page, s3, range (all workers) or under-store',
    labels: ['source'],
    stability: 'stable',
  },
  workerReceivedBytes: {
    name: 'alluxio_fuse_worker_received_bytes_total',
    type: 'counter',
    help: 'Bytes of file content that workers delivered, also those of calls that failed later',
    labels: ['method'],
    stability: 'young',
  },
  workerFailures: {
    name: 'alluxio_fuse_worker_failures_total',
    type: 'counter',
    help: 'Failed calls by worker; workers past the first 256 are counted as "other"',
    labels: ['worker'],
    stability: 'stable',
  },
  retries: {
    name: 'alluxio_fuse_retries_total',
    type: 'counter',
    help: 'Calls tried again at the same or another worker, by the code of the failure',
    labels: ['method', 'code'],
    stability: 'stable',
  },
  redirects: {
    name: 'alluxio_fuse_redirects_total',
    type: 'counter',
    help: 'Redirects of workers by what was done with them',
    labels: ['outcome'],
    stability: 'stable',
  },
  hedges: {
    name: 'alluxio_fuse_hedged_reads_total',
    type: 'counter',
    help: 'Second requests for reads that took long: sent, won (faster than the first), withheld',
    labels: ['outcome'],
    stability: 'stable',
  },
  breakerTransitions: {
    name: 'alluxio_fuse_breaker_transitions_total',
    type: 'counter',
    help: 'Breakers of workers that changed to a state',
    labels: ['state'],
    stability: 'stable',
  },
  breakers: {
    name: 'alluxio_fuse_breakers',
    type: 'gauge',
    help: 'Workers by the state of their breaker; not closed means that they are left out',
    labels: ['state'],
    stability: 'stable',
  },
  fallbacks: {
    name: 'alluxio_fuse_under_store_fallbacks_total',
    type: 'counter',
    help: 'Times the under store was asked instead of a worker, by reason',
    labels: ['reason'],
    stability: 'stable',
  },
  fallbacksLimited: {
    name: 'alluxio_fuse_under_store_fallbacks_limited_total',
    type: 'counter',
    help: 'Fallbacks that the rate limit held back or refused',
    labels: ['outcome'],
    stability: 'stable',
  },
  fallbackWaitMs: {
    name: 'alluxio_fuse_under_store_fallback_wait_ms_total',
    type: 'counter',
    help: 'Milliseconds that fallbacks waited for the rate limit',
    labels: [],
    stability: 'young',
  },
  inexpressibleNames: {
    name: 'alluxio_fuse_inexpressible_names_total',
    type: 'counter',
    help: 'Requests for names that no path to a worker can carry, by what is in the name',
    labels: ['reason'],
    stability: 'stable',
  },
  pageSizeMismatches: {
    name: 'alluxio_fuse_page_size_mismatches_total',
    type: 'counter',
    help: 'Times a worker was seen to use another page size than the mount; stays at 0 when configured right',
    labels: [],
    stability: 'stable',
  },
  ufsRootMismatches: {
    name: 'alluxio_fuse_ufs_root_mismatches_total',
    type: 'counter',
    help: 'Times a worker was seen to have another under store root than --ufs; stays at 0 when configured right',
    labels: [],
    stability: 'young',
  },
  membershipEvents: {
    name: 'alluxio_fuse_membership_events_total',
    type: 'counter',
    help: 'What happened to the membership source',
    labels: ['event'],
    stability: 'stable',
  },
  membershipRefreshes: {
    name: 'alluxio_worker_membership_refresh_count_total',
    type: 'counter',
    help: 'Good answers of the membership source',
    labels: [],
    stability: 'alluxio',
  },
  membershipAge: {
    name: 'alluxio_fuse_membership_age_seconds',
    type: 'gauge',
    help: 'Time since the membership source last answered; the view in use is that old',
    labels: [],
    stability: 'stable',
  },
  membershipGeneration: {
    name: 'alluxio_fuse_membership_generation',
    type: 'gauge',
    help: 'Rises with every change of the set of workers',
    labels: [],
    stability: 'stable',
  },
  membershipWorkers: {
    name: 'alluxio_fuse_membership_workers',
    type: 'gauge',
    help: 'Workers in the view in use',
    labels: [],
    stability: 'stable',
  },
  virtualNodes: {
    name: 'alluxio_fuse_ring_virtual_nodes',
    type: 'gauge',
    help: 'Virtual nodes per worker that the ring uses',
    labels: ['from'],
    stability: 'stable',
  },
  virtualNodeSwitches: {
    name: 'alluxio_fuse_ring_virtual_node_switches_total',
    type: 'counter',
    help: 'Times the virtual node count was changed to what redirects of workers showed',
    labels: [],
    stability: 'stable',
  },
  ringContradictions: {
    name: 'alluxio_fuse_ring_contradictions_total',
    type: 'counter',
    help: 'Answers of workers that the ring in use cannot explain; rising means a wrong --virtual-nodes',
    labels: [],
    stability: 'stable',
  },

  // The processes.
  daemonRestarts: {
    name: 'alluxio_fuse_daemon_restarts_total',
    type: 'counter',
    help: 'Daemons that the supervisor had to replace since the mount began',
    labels: [],
    stability: 'stable',
  },
  logLinesSuppressed: {
    name: 'alluxio_fuse_log_lines_suppressed_total',
    type: 'counter',
    help: 'Log lines left out because the same thing had just been said',
    labels: [],
    stability: 'stable',
  },
  versionInfo: {
    name: 'alluxio_version_info',
    type: 'gauge',
    help: 'Always 1; the version of the mount is in the label',
    labels: ['version'],
    stability: 'alluxio',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricKey = keyof typeof METRICS;

type KeyOfType<T extends MetricDefinition['type']> = {
  [K in MetricKey]: (typeof METRICS)[K]['type'] extends T ? K : never;
}[MetricKey];

export type CounterKey = KeyOfType<'counter'>;
export type GaugeKey = KeyOfType<'gauge'>;
export type HistogramKey = KeyOfType<'histogram'>;

/** The labels of a metric, all of them, no others. */
export type LabelsOf<K extends MetricKey> = Record<(typeof METRICS)[K]['labels'][number], string>;
