/**
 * The file system itself, without a kernel and without a cluster: inodes, handles, names, content.
 * The kernel side translates requests into calls of `Core`, the cluster side runs its jobs.
 */
export { Core } from './core.ts';
export type { CoreParts } from './core.ts';
export type { AttributesWanted } from './attribute-changes.ts';
export type { Creation } from './name-changes.ts';
export type { OpenMode } from './opening.ts';
export { COUNTERS, Counters, LATENCY_BUCKETS_MS, OPERATIONS } from './counters.ts';
export type { EntriesKept } from './kernel-listings.ts';
export type { CounterName, OperationFigures, OperationName } from './counters.ts';
export type { BackingFiles } from './passthrough.ts';
export type { SeekWhence } from './reader.ts';
export { batchOf, entriesOf } from './list-batch.ts';
export { isSameVersion } from './inode-table.ts';
export { LISTING_ENTRIES_MAX } from './listings.ts';
export { NOT_SAVED } from './writer.ts';
export { NO_HANDLE, ROOT_INODE } from './types.ts';
export type * from './types.ts';
