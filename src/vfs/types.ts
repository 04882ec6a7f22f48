/** What crosses the border of the core: ids, errors, requests' answers, jobs and their results. */
import type { ByteString } from '../base/byte-string.ts';
import type { EntriesKept } from './kernel-listings.ts';
import type { ListBatch } from './list-batch.ts';
import type { BackingMessage } from '../cache/index.ts';
import type { AttributeChange, NodeKind, PosixAttributes, UploadSegment } from '../store/index.ts';

declare const idBrand: unique symbol;
type Id<Name extends string> = number & { readonly [idBrand]: Name };

/** Names a file or directory to the kernel; 1 is the root. */
export type InodeId = Id<'inode'>;
/** Names one open file or directory to the kernel. */
export type HandleId = Id<'handle'>;
/** Names one unanswered kernel request. */
export type RequestId = Id<'request'>;
/** Names one job given to the cluster thread. */
export type JobId = Id<'job'>;

export const ROOT_INODE = 1 as InodeId;
/** In place of a handle: the kernel did not open the file. */
export const NO_HANDLE = 0 as HandleId;

/** Numbers of inodes, and of handles, of one life of the daemon; within the 2^53 of a number. */
export const INCARNATION_STRIDE = 2 ** 32;

/** Every way a request can fail. The daemon maps each to one errno. */
export type FsErrorCode =
  | 'not-found'
  /** The inode is of an earlier life of the daemon, or the file changed under an open handle. */
  | 'stale'
  | 'bad-handle'
  | 'not-a-directory'
  | 'is-a-directory'
  | 'read-only'
  | 'permission'
  /** Nobody may: the mount cannot hold such a thing. */
  | 'not-permitted'
  | 'exists'
  | 'not-empty'
  /** The staging area, or the disk under it, is full. */
  | 'no-space'
  | 'too-large'
  | 'invalid'
  | 'name-too-long'
  /** Seek past the end. */
  | 'no-data'
  /** No such extended attribute. */
  | 'no-attribute'
  /** The buffer for an extended attribute is too small. */
  | 'range'
  /** A table of ours is at its bound. */
  | 'limit'
  | 'interrupted'
  | 'timeout'
  /** No worker and no under store could serve. */
  | 'unavailable'
  /** No data path can carry the name or file. */
  | 'inexpressible'
  | 'unsupported'
  | 'shutting-down'
  /** Everything else: answers that do not add up, broken invariants. */
  | 'io';

export type FileKind = NodeKind;

export interface Attributes {
  readonly ino: InodeId;
  readonly kind: FileKind;
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  /** Permission bits, where the cluster tells them. */
  readonly mode: number | undefined;
  readonly posix: PosixAttributes | undefined;
  /** Wall time of the last change made through this mount that the cluster has no time for. */
  readonly touchedMs: number;
  /** It has no name any more. */
  readonly isUnlinked: boolean;
}

/** Takes directory entries until the kernel's buffer is full. */
export interface EntrySink {
  /** False when the entry does not fit; it was not added. */
  add(name: ByteString, ino: InodeId, kind: FileKind, nextOffset: number): boolean;
  /** As `add`, with attributes: a true answer is one more lookup of the inode. */
  addPlus(
    name: ByteString,
    attributes: Attributes,
    attrTtlMs: number,
    entryTtlMs: number,
    nextOffset: number,
  ): boolean;
}

/**
 * Where the core sends its answers. Exactly one call for each request; every call takes effect
 * before it returns (a data reply's segments may be used again afterwards).
 */
export interface CoreReplies {
  error(request: RequestId, code: FsErrorCode): void;
  /** The kernel may believe attributes and name for so long from now. One more lookup of the inode. */
  entry(request: RequestId, attributes: Attributes, attrTtlMs: number, entryTtlMs: number): void;
  /** The name does not exist, and will not for `ttlMs`. */
  negativeEntry(request: RequestId, ttlMs: number): void;
  attributes(request: RequestId, attributes: Attributes, ttlMs: number): void;
  /**
   * `keepCache`: what the kernel holds of this file is still right. With a backing id it reads the file
   * that this stands for, by itself.
   */
  opened(
    request: RequestId,
    handle: HandleId,
    keepCache: boolean,
    backingId: number | undefined,
  ): void;
  /** Of a new file, or one that CREATE found: `entry` and `opened` in one. */
  created(
    request: RequestId,
    attributes: Attributes,
    ttls: { readonly attrMs: number; readonly entryMs: number },
    handle: HandleId,
  ): void;
  /** So many bytes were taken. */
  written(request: RequestId, lengthBytes: number): void;
  openedDirectory(request: RequestId, handle: HandleId, kept: EntriesKept): void;
  data(request: RequestId, segments: readonly Uint8Array[], lengthBytes: number): void;
  /** The core calls `fill` once, at once, with a sink over a buffer of the size asked for. */
  entries(request: RequestId, sizeBytes: number, fill: (sink: EntrySink) => void): void;
  /** Value or list of extended attributes; `sizeBytes` 0 asks only for the length. */
  attributeValue(request: RequestId, value: Uint8Array, sizeBytes: number): void;
  offset(request: RequestId, offset: number): void;
  ok(request: RequestId): void;
}

/** What the core wants done besides answers. */
export interface CoreEffects {
  /** Results come later, never before this returns. */
  submit(job: Job): void;
  /** The kernel must drop what it holds of the inode's content and attributes. */
  invalidateInode(ino: InodeId): void;
  /** The kernel must drop the name. */
  invalidateEntry(parent: InodeId, name: ByteString): void;
  /** For the log: a request failed for a reason that the errno alone does not tell. */
  report(failure: FailureReport): void;
}

export interface FailureReport {
  readonly code: FsErrorCode;
  readonly path: ByteString;
  readonly reason: string;
}

export interface VersionMessage {
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly contentHash: string | undefined;
}

export type SpecialKind = Exclude<NodeKind, 'file' | 'directory'>;

/** Plain data: it is posted to another thread. */
export type Job =
  | { readonly kind: 'stat'; readonly id: JobId; readonly path: ByteString }
  | { readonly kind: 'list'; readonly id: JobId; readonly path: ByteString }
  | {
      readonly kind: 'fetch';
      readonly id: JobId;
      readonly path: ByteString;
      readonly version: VersionMessage;
      readonly firstPage: number;
      /** Slots of each page, in page order. */
      readonly pages: readonly {
        readonly lengthBytes: number;
        readonly slots: readonly number[];
      }[];
      /** Nobody waits for it yet. */
      readonly isAhead: boolean;
      /** That it comes is taken for the word that the file is there in this version: a copy is not enough. */
      readonly mustAsk: boolean;
    }
  | { readonly kind: 'locate'; readonly id: JobId; readonly path: ByteString }
  /** Whether this version of the file lies whole on a disk of this machine. */
  | {
      readonly kind: 'find-backing';
      readonly id: JobId;
      readonly path: ByteString;
      readonly version: VersionMessage;
    }
  | {
      readonly kind: 'make-directory';
      readonly id: JobId;
      readonly path: ByteString;
      readonly attributes: AttributeChange;
    }
  | {
      readonly kind: 'make-node';
      readonly id: JobId;
      readonly path: ByteString;
      readonly nodeKind: SpecialKind;
      readonly attributes: PosixAttributes;
    }
  | {
      readonly kind: 'set-attributes';
      readonly id: JobId;
      readonly path: ByteString;
      readonly change: AttributeChange;
    }
  | {
      readonly kind: 'upload';
      readonly id: JobId;
      readonly path: ByteString;
      readonly stagingName: string;
      readonly segments: readonly UploadSegment[];
      readonly base: { readonly path: ByteString; readonly version: VersionMessage } | undefined;
      readonly attributes: AttributeChange;
      readonly isHandedOver: boolean;
    }
  | {
      readonly kind: 'remove-file';
      readonly id: JobId;
      readonly path: ByteString;
      /** It is open: its content must stay readable, at the path that the result tells. */
      readonly mustKeep: boolean;
    }
  /** Nobody has the unlinked file open any more. */
  | { readonly kind: 'remove-kept'; readonly id: JobId; readonly path: ByteString }
  | { readonly kind: 'remove-directory'; readonly id: JobId; readonly path: ByteString }
  /** An entry has come or gone that the cluster does not know: a time set before is over. */
  | { readonly kind: 'touch-directory'; readonly id: JobId; readonly path: ByteString }
  | {
      readonly kind: 'rename';
      readonly id: JobId;
      readonly path: ByteString;
      readonly to: ByteString;
      readonly isExclusive: boolean;
      /** As in `RenameOptions`. */
      readonly watched: readonly ByteString[];
      /** The file at the target is open: as `mustKeep` of its removal. */
      readonly keepsTarget: boolean;
    }
  /** Of the uploads in the directory, only that of `file` where there is one. */
  | {
      readonly kind: 'sync-directory';
      readonly id: JobId;
      readonly path: ByteString;
      readonly file: ByteString | undefined;
    }
  /** The job's result is not wanted any more; its final result still comes. */
  | { readonly kind: 'cancel'; readonly id: JobId };

export interface StatusMessage {
  readonly kind: FileKind;
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly mode: number | undefined;
  readonly contentHash: string | undefined;
  /** Absent where there is nothing beside the cluster's own. */
  readonly posix?: PosixAttributes | undefined;
}

/** Where the bytes of an open file without a name lie. */
export interface KeptMessage {
  readonly path: ByteString;
  readonly version: VersionMessage;
}

/** Every job ends with exactly one final result: `failed`, or the one its kind ends with. */
export type JobResult =
  | { readonly kind: 'status'; readonly id: JobId; readonly status: StatusMessage }
  /**
   * `isLast` makes it final. `unheardMs`: when it was asked for, the workers may not have heard of what
   * this mount had changed in that time.
   */
  | {
      readonly kind: 'listed';
      readonly id: JobId;
      readonly batch: ListBatch;
      readonly isLast: boolean;
      readonly unheardMs: number;
    }
  /** The next page of the fetch is complete; final with its last page. */
  | { readonly kind: 'page'; readonly id: JobId; readonly pageIndex: number }
  | {
      readonly kind: 'located';
      readonly id: JobId;
      readonly ufsPath: ByteString;
      readonly workers: readonly string[];
    }
  /** Ends `find-backing`. */
  | {
      readonly kind: 'backing';
      readonly id: JobId;
      readonly backing: BackingMessage | undefined;
    }
  /** Ends `remove-file`; `kept` where it was asked for. */
  | {
      readonly kind: 'removed';
      readonly id: JobId;
      readonly kept: KeptMessage | undefined;
    }
  /** In the order of `watched`; undefined for what is not a file there. */
  | {
      readonly kind: 'renamed';
      readonly id: JobId;
      readonly statuses: readonly (StatusMessage | undefined)[];
      readonly kept: KeptMessage | undefined;
    }
  /** Ends every other job that has nothing to tell. */
  | { readonly kind: 'done'; readonly id: JobId }
  | {
      readonly kind: 'failed';
      readonly id: JobId;
      readonly code: FsErrorCode;
      readonly reason: string;
    };

export interface DefaultAttributes {
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly dirMode: number;
}

export interface CoreOptions {
  /** Life number of the daemon under one mount, from 1; keeps inode numbers of lives apart. */
  readonly incarnation: number;
  readonly isReadOnly: boolean;
  /**
   * Nobody changes the data: an inode keeps the version that it was found with, and files are read
   * without having been opened.
   */
  readonly isImmutable: boolean;
  /** Closed files are acknowledged once the store holds them, before the cluster does. */
  readonly isWriteBack: boolean;
  /** What a file or directory has that nobody has set anything of. */
  readonly defaults: DefaultAttributes;
  readonly attrTimeoutMs: number;
  readonly entryTimeoutMs: number;
  readonly negativeTimeoutMs: number;
  /** Longest wait of one request; a little above the cluster layer's own deadline. */
  readonly requestTimeoutMs: number;
  /** Most bytes fetched ahead of one handle. */
  readonly readAheadBytes: number;
  /** Shorter files are read through the slab, whatever lies on disk. */
  readonly passthroughBytesMin: number;
  readonly handlesMax: number;
  /** Past so many inodes the kernel is asked to forget some. */
  readonly inodesMax: number;
  /** Most directory entries kept for later look-ups, over all directories. */
  readonly listingEntriesMax: number;
  /** Longer ones cannot be made: not even the file that is local until it is closed. */
  readonly pathBytesMax: number;
  /** Whether a listing that lacks this name proves that it does not exist. */
  readonly provesAbsence: (name: ByteString) => boolean;
}
