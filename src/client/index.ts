/**
 * The library: an Alluxio cluster from TypeScript, without a mount. `AlluxioFileSystem` is the name
 * space by path, `AlluxioClient` the cluster as its workers tell it; both over one connection, with
 * the same membership, ring, fallback and configuration as the mount.
 */
export type { LogFields, Logger } from '../base/logger.ts';
export type { LoadAnswer } from '../cluster/worker-extras.ts';
export { AlluxioClient } from './client.ts';
export type { LoadOptions, PathLocations, PathMount, WorkerHealth } from './client.ts';
export type { MkdirOptions, RmOptions } from './changes.ts';
export type { CopyOptions } from './copy.ts';
export type { TransferOptions } from './download.ts';
export { AlluxioError } from './errors.ts';
export type { AlluxioErrorCode } from './errors.ts';
export { AlluxioFileSystem } from './file-system.ts';
export type { DiskUsage, FindOptions, OpenOptions, ReadOptions, WalkStep } from './file-system.ts';
export type { AlluxioReadFile, AlluxioWriteFile, StreamOptions } from './file.ts';
export type { ClientLoadFailure, ClientLoadOptions, ClientLoadProgress } from './load.ts';
export { pathOf } from './paths.ts';
export type {
  CallOptions,
  ClientOptions,
  Data,
  EntryType,
  FileInfo,
  PathLike,
  TargetOptions,
  TargetProtocol,
} from './types.ts';
