/**
 * Figures of the core and of the kernel driver, in shared memory: written by the kernel thread
 * without a message, read by the cluster thread whenever it is asked for metrics.
 */

/** Order is the layout: append only. */
export const COUNTERS = [
  'pageHits',
  'pageMisses',
  'hitBytes',
  'missBytes',
  'readAheadBytes',
  'readAheadUsedBytes',
  'wastedBytes',
  'evictedPages',
  'slotsFilling',
  'slotsReady',
  'inodes',
  'openFiles',
  'openDirectories',
  'requestsPending',
  'jobsRunning',
  'lookupsFromCache',
  'lookupsFromCluster',
  'staleHandles',
  'interrupts',
  'timeouts',
  'internalErrors',
  'notifications',
  'listingEntries',
  'heartbeats',
  'writtenBytes',
  'stagedFiles',
  'stagingBytes',
  'unsavedBytes',
  'passthroughOpens',
  'passthroughFallbacks',
  'listingsAhead',
  'listingsAheadUsed',
] as const;

export type CounterName = (typeof COUNTERS)[number];

/** Operations timed by the driver. Order is the layout: append only. */
export const OPERATIONS = [
  'Lookup',
  'Getattr',
  'Open',
  'Read',
  'Release',
  'Opendir',
  'Readdir',
  'Releasedir',
  'Statfs',
  'Getxattr',
  'Listxattr',
  'Access',
  'Lseek',
  'Forget',
  'Interrupt',
  'Init',
  'Destroy',
  'Other',
  'Create',
  'Write',
  'Setattr',
  'Readlink',
  'Mkdir',
  'Mknod',
  'Symlink',
  'Link',
  'Unlink',
  'Rmdir',
  'Rename',
  'Flush',
  'Fsync',
  'Fsyncdir',
  'Fallocate',
  'Setxattr',
  'Removexattr',
] as const;

export type OperationName = (typeof OPERATIONS)[number];

/** Upper bounds of the latency buckets in milliseconds; one more takes the rest. */
export const LATENCY_BUCKETS_MS = [0.1, 1, 10, 40, 160, 640, 5000] as const;

/** Count, sum of milliseconds, then the buckets: once for successes, once for failures. */
const BLOCK = 2 + LATENCY_BUCKETS_MS.length + 1;
const OPERATION_STRIDE = 2 * BLOCK;
const OPERATIONS_START = COUNTERS.length;
const TOTAL = OPERATIONS_START + OPERATIONS.length * OPERATION_STRIDE;

const indexOfCounter = new Map<CounterName, number>(COUNTERS.map((name, index) => [name, index]));
const indexOfOperation = new Map<OperationName, number>(
  OPERATIONS.map((name, index) => [name, OPERATIONS_START + index * OPERATION_STRIDE]),
);

export interface OperationFigures {
  readonly count: number;
  readonly sumMs: number;
  /** Not cumulative; one more than `LATENCY_BUCKETS_MS`. */
  readonly buckets: readonly number[];
}

export class Counters {
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(TOTAL * Float64Array.BYTES_PER_ELEMENT);
    this.#values = new Float64Array(this.buffer);
  }

  add(name: CounterName, amount = 1): void {
    const index = indexOfCounter.get(name) as number;
    this.#values[index] = (this.#values[index] as number) + amount;
  }

  set(name: CounterName, value: number): void {
    this.#values[indexOfCounter.get(name) as number] = value;
  }

  get(name: CounterName): number {
    return this.#values[indexOfCounter.get(name) as number] as number;
  }

  observe(operation: OperationName, latencyMs: number, isError: boolean): void {
    const values = this.#values;
    const base = (indexOfOperation.get(operation) as number) + (isError ? BLOCK : 0);
    values[base] = (values[base] as number) + 1;
    values[base + 1] = (values[base + 1] as number) + latencyMs;
    let bucket = 0;
    while (
      bucket < LATENCY_BUCKETS_MS.length &&
      latencyMs > (LATENCY_BUCKETS_MS[bucket] as number)
    ) {
      bucket++;
    }
    const at = base + 2 + bucket;
    values[at] = (values[at] as number) + 1;
  }

  /** Successes and failures apart: a quick ENOENT must not flatter the latency of reads. */
  operation(name: OperationName, outcome: 'success' | 'failure'): OperationFigures {
    const base = (indexOfOperation.get(name) as number) + (outcome === 'failure' ? BLOCK : 0);
    const figures = this.#values.subarray(base, base + BLOCK);
    return {
      count: figures[0] as number,
      sumMs: figures[1] as number,
      buckets: [...figures.subarray(2)],
    };
  }
}
