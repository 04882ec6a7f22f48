/**
 * The client of an Alluxio cluster: who is in it, who owns what, single workers, and all of it behind
 * `ClusterClient`. Knows nothing of FUSE, inodes or pages in memory.
 */
export type {
  ClusterClient,
  ClusterStatus,
  PathLocation,
  ReadRequest,
  ReadResult,
  WorkerStatus,
} from './cluster-client.ts';
export type { ClusterEvents } from './cluster-events.ts';
export { EtcdMembership, StaticMembership } from './membership/index.ts';
export type { Membership } from './membership/index.ts';
export { RoutedClient } from './routed-client.ts';
export type { RoutedClientOptions } from './routed-client.ts';
export * from './types.ts';
export { UfsRootCheck } from './ufs-root-check.ts';
export { MountedUnderStore } from './mapping/mounted-under-store.ts';
export { MountTable, type MountPoint } from './mapping/mount-table.ts';
export { parseUfsRoot } from './ufs-path.ts';
export type { UfsRoot } from './ufs-path.ts';
export type { UnderStore } from './under-store.ts';
export { DEFAULT_FALLBACK_LIMITS } from './under-store-gate.ts';
export { createWorkerClient } from './worker/index.ts';
export type { Personality } from './worker-client.ts';
export { UploadUnfinished } from './write/cluster-writer.ts';
export type {
  ClusterWriter,
  UploadContext,
  UploadedContent,
  UploadSource,
  UploadStrategy,
  WriteContext,
  WrittenFile,
} from './write/cluster-writer.ts';
