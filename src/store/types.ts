/**
 * The writable name space, as the mount's jobs see it: what the cluster holds, what POSIX wants beside
 * it (owner, mode, times, links, extended attributes), and what is on its way. Lives on the cluster
 * thread. Every failure is a `ClusterError`.
 */
import type { ByteString } from '../base/byte-string.ts';
import type {
  ByteSink,
  CallContext,
  FileStatus,
  FileVersion,
  ReadRequest,
  ReadResult,
} from '../cluster/index.ts';

/** The cluster knows files and directories; the rest exists only as attributes. */
export type NodeKind =
  'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';

/** What the cluster cannot hold. Absent: what the mount's options say. */
export interface PosixAttributes {
  /** The twelve permission bits. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atimeMs?: number;
  /** As set by a program; holds only for the version of the file that it was set for. */
  readonly mtimeMs?: number;
  readonly ctimeMs?: number;
  /** Of device nodes, as the kernel encodes it. */
  readonly deviceNumber?: number;
  /** Of a symbolic link. */
  readonly target?: ByteString;
  readonly xattrs?: ReadonlyMap<ByteString, Uint8Array>;
}

/** A change; what is absent stays. An extended attribute of `undefined` is removed. */
export interface AttributeChange extends Omit<PosixAttributes, 'xattrs' | 'target'> {
  readonly xattrs?: ReadonlyMap<ByteString, Uint8Array | undefined>;
}

export interface NodeStatus extends Omit<FileStatus, 'type' | 'mode'> {
  readonly kind: NodeKind;
  readonly posix: PosixAttributes;
}

/** A stretch of a file's new content, in file order, without gaps. */
export interface UploadSegment {
  /** From the staging file at the same offset, from the base version at the same offset, or zeros. */
  readonly from: 'staging' | 'base' | 'zero';
  readonly lengthBytes: number;
}

export interface Upload {
  readonly path: ByteString;
  /** A name inside the staging directory. */
  readonly stagingName: string;
  readonly segments: readonly UploadSegment[];
  /** Where bytes that were not written come from: the file as it was opened. */
  readonly base: { readonly path: ByteString; readonly version: FileVersion } | undefined;
  /** For a file that did not exist, or whose attributes changed while it was open. */
  readonly attributes: AttributeChange;
  /**
   * Nobody writes to the staging file any more, and once the upload is answered without an error it is
   * the store's: only then may it be acknowledged before the cluster has it.
   */
  readonly isHandedOver: boolean;
}

export interface RenameOptions {
  /** The target must not exist. */
  readonly isExclusive: boolean;
  /** Files below `from` (relative names, '' for itself) whose new versions are wanted. */
  readonly watched: readonly ByteString[];
  /** Somebody has the file at the target open: its bytes stay readable, at the place that is told. */
  readonly keepsTarget: boolean;
}

/** A file that has lost its name: `removeKept` removes it, or the next start. */
export interface KeptFile {
  readonly path: ByteString;
  readonly version: FileVersion;
}

export interface Renamed {
  /** In the order of `watched`; undefined for what is not there. */
  readonly statuses: readonly (NodeStatus | undefined)[];
  readonly kept: KeptFile | undefined;
}

export interface StoreBacklog {
  /** Acknowledged files that the cluster does not have yet. */
  readonly uploadsPending: number;
  readonly uploadBytesPending: number;
  /** Directories whose attributes are in the journal only. */
  readonly attributesPending: number;
  /** Renames, removals and failed uploads that are being finished or undone. */
  readonly repairsPending: number;
  /** Files without a name that somebody has open. */
  readonly keptFiles: number;
  /** Of what is pending; 0 when nothing is. */
  readonly oldestAgeMs: number;
  readonly lastError: string | undefined;
  /** Until what has failed is tried again; undefined when nothing waits for that. */
  readonly retryInMs: number | undefined;
}

export interface WritableStore {
  stat(path: ByteString, context: CallContext): Promise<NodeStatus>;
  /** Hidden names (temporary files, attribute files) never show. */
  list(path: ByteString, context: CallContext): AsyncIterable<readonly NodeStatus[]>;
  /** How long there have been changes in the directory that its workers may not have heard of, in ms. */
  unheardMs(directory: ByteString): number;
  /** As `ClusterClient.read`, also of versions that only the journal holds yet. */
  read(request: ReadRequest, sink: ByteSink, context: CallContext): Promise<ReadResult>;

  makeDirectory(
    path: ByteString,
    attributes: AttributeChange,
    context: CallContext,
  ): Promise<NodeStatus>;
  /** Anything but a file or directory. */
  makeNode(
    path: ByteString,
    kind: Exclude<NodeKind, 'file' | 'directory'>,
    attributes: PosixAttributes,
    context: CallContext,
  ): Promise<NodeStatus>;
  /**
   * Resolves when the cluster has the bytes (write-back: when the journal on disk has them). A new file
   * does not change the times of its directory: it may have been there for programs before.
   */
  upload(upload: Upload, context: CallContext): Promise<NodeStatus>;
  /** Resolves when the journal has it; it reaches the cluster within a second or with `sync`. */
  setAttributes(
    path: ByteString,
    change: AttributeChange,
    context: CallContext,
  ): Promise<NodeStatus>;
  /**
   * `mustKeep`: somebody has it open: it moves to a hidden name, which is told.
   */
  removeFile(
    path: ByteString,
    mustKeep: boolean,
    context: CallContext,
  ): Promise<{ readonly kept: KeptFile | undefined }>;
  removeKept(path: ByteString, context: CallContext): Promise<void>;
  /** Fails with 'not-empty' where anything visible is in it. */
  removeDirectory(path: ByteString, context: CallContext): Promise<void>;
  /** Its entries have changed: times that a program set for it hold no longer. */
  touchDirectory(path: ByteString, context: CallContext): Promise<void>;
  /** Replaces a file or an empty directory at `to`. */
  rename(
    from: ByteString,
    to: ByteString,
    options: RenameOptions,
    context: CallContext,
  ): Promise<Renamed>;
  /** Everything acknowledged about this directory's entries is in the cluster. */
  sync(directory: ByteString, context: CallContext, file?: ByteString): Promise<void>;

  backlog(): StoreBacklog;
  /** What has failed and waits is tried again at once. */
  hurry(): void;
  /** Brings everything acknowledged to the cluster, as far as the context allows; then closes files. */
  close(context: CallContext): Promise<void>;
}
