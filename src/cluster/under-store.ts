/**
 * The seam to the store under Alluxio (a local `file://` root, S3), asked only where no worker can
 * answer: names that no worker path can express, files of a dead owner, a cluster that is down.
 * Implementations live in src/ufs. Paths are Alluxio paths (`/bucket/key`); the implementation puts
 * its root in front and must not follow a path out of it.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { ByteSink, CallContext, FileStatus, FileVersion } from './types.ts';

export interface UnderStoreRead {
  readonly path: ByteString;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Bytes for a file, in order, `lengthBytes` of them. */
export interface UnderStoreUpload {
  readonly path: ByteString;
  /** Where the bytes go first; its directory is made if it is missing. */
  readonly temporary: ByteString;
  readonly lengthBytes: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Each system call gets so long, as `deadlineMs` of the context bounds no upload. */
  readonly stallMs: number;
  /** Waited for before they get the name of an old file, where that is a step of its own. */
  readonly beforeReplacing?: () => Promise<void>;
}

/** A file that is whole under its name. */
export interface StoredFile {
  readonly status: FileStatus;
  /** Nothing was there before. */
  readonly isNew: boolean;
  /** The name is on disk, too: only then is the change done. Its failure need not be caught. */
  readonly synced: Promise<void>;
}

/**
 * Changes, each of them atomic (see `isRenameAtomic`), and on disk when it resolves. Errors as those of `UnderStore`, and
 * `exists`, `not-empty`, `is-a-directory`, `no-space`; `unsupported` where two paths lie on different
 * file systems.
 */
export interface UnderStoreWrites {
  /** Else `renameFile` is a copy and a removal: the target is whole before the source goes. */
  readonly isRenameAtomic: boolean;
  /** Creates or replaces; a file that is replaced keeps its mode and owner. */
  putFile(upload: UnderStoreUpload, context: CallContext): Promise<StoredFile>;
  makeDirectory(path: ByteString, context: CallContext): Promise<void>;
  removeDirectory(path: ByteString, context: CallContext): Promise<void>;
  deleteFile(path: ByteString, context: CallContext): Promise<void>;
  /** Of a file, over a file if there is one. */
  renameFile(from: ByteString, to: ByteString, context: CallContext): Promise<void>;
}

export interface UnderStore {
  /**
   * Whether the root answers right now (mounted, reachable). Never throws; false is "off for the
   * moment", and the caller asks again later.
   */
  isReachable(context: CallContext): Promise<boolean>;

  /** Whether the path can be asked for at all; every one where this is missing. */
  covers?(path: ByteString): boolean;

  /** Why it was not, the last time: for people. */
  readonly problem?: string | undefined;

  /**
   * Throws `not-found`, `not-a-directory`, `permission` or `unavailable`. `mtimeMs` has Alluxio's
   * meaning: whole milliseconds, rounded down, as Java's `File.lastModified` tells them.
   */
  stat(path: ByteString, context: CallContext): Promise<FileStatus>;

  /** Entries with their status, in batches. Throws `not-found` for a missing directory. */
  list(path: ByteString, context: CallContext): AsyncIterable<FileStatus[]>;

  /**
   * Names only, in batches, without a stat each: cheap enough to run beside every worker listing,
   * and missing where it is not. Throws as `list` does.
   */
  readonly names?:
    ((path: ByteString, context: CallContext) => AsyncIterable<ByteString[]>) | undefined;

  /**
   * Delivers bytes of the range in order; resolves with what was delivered (fewer at the end of the
   * file) and the version of the very file they came from, taken before and after the bytes on the
   * same open file. A file that changed in between is a `version-changed` error.
   */
  read(
    request: UnderStoreRead,
    sink: ByteSink,
    context: CallContext,
  ): Promise<{ readonly lengthBytes: number; readonly version: FileVersion }>;

  /** Missing where this store is only read. */
  readonly writes?: UnderStoreWrites;

  close(): Promise<void>;
}
