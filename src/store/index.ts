/** The writable name space over the cluster: what the mount's jobs do. */
export { openReadView, openStore } from './open.ts';
export type { ReadViewOptions, StoreOptions, StoreTuning } from './options.ts';
export type { RenameProgress } from './renames.ts';
export type { ClusterStore } from './store.ts';
export type {
  AttributeChange,
  KeptFile,
  NodeKind,
  NodeStatus,
  PosixAttributes,
  Renamed,
  RenameOptions,
  StoreBacklog,
  Upload,
  UploadSegment,
  WritableStore,
} from './types.ts';
export type { FileContent } from './cluster-parts.ts';
export type { NameSpaceView } from './view.ts';
