/** A plain model of a POSIX tree, and what a core is asked and answers beside it. */
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Attributes, FsErrorCode, HandleId, InodeId, RequestId } from '../../src/vfs/index.ts';

export interface ModelFile {
  kind: 'file';
  bytes: Buffer;
  mode: number;
  isUnlinked: boolean;
}
interface ModelDirectory {
  kind: 'directory';
  mode: number;
  /** As set by a program, until an entry comes or goes. */
  setMtimeMs?: number | undefined;
}
interface ModelLink {
  kind: 'symlink';
  target: ByteString;
}
export type ModelNode = ModelFile | ModelDirectory | ModelLink;

export interface Open {
  readonly handle: HandleId;
  readonly file: ModelFile;
  readonly canWrite: boolean;
}

/** A request that goes on beside the changes. */
export interface Other {
  readonly request: RequestId;
  readonly what: string;
  /** What the kernel keeps as long as it waits. */
  readonly ino?: InodeId;
  readonly handle?: HandleId;
  readonly file: ModelFile;
  /** What the file was since it was asked. */
  readonly versions: Buffer[];
  readonly done: (answer: Answer, versions: readonly Buffer[]) => void;
}

export type Answer =
  | { readonly kind: 'error'; readonly code: FsErrorCode }
  | { readonly kind: 'entry'; readonly attributes: Attributes }
  | { readonly kind: 'absent' }
  | { readonly kind: 'attributes'; readonly attributes: Attributes }
  | { readonly kind: 'opened'; readonly handle: HandleId }
  | { readonly kind: 'created'; readonly attributes: Attributes; readonly handle: HandleId }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'names'; readonly names: ByteString[] }
  | { readonly kind: 'ok' };
