/** The writable name space over the cluster: what the mount's jobs do. */
export type {
  AttributeChange,
  NodeKind,
  NodeStatus,
  PosixAttributes,
  RenameOptions,
  StoreBacklog,
  Upload,
  UploadSegment,
  WritableStore,
} from './types.ts';
