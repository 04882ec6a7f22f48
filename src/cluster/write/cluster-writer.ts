/**
 * The seam for everything that changes the name space of the cluster. Used by the mount (which
 * stages and journals) and by the client library. What `close` of a program means is said there;
 * here every call either did what it says, or throws.
 */
import type { ByteString } from '../../base/byte-string.ts';
import type { ClusterErrorCode, ClusterErrorDetails, FileStatus, FileVersion } from '../types.ts';
import { ClusterError } from '../types.ts';

/** Bytes to upload, read anew from the start for each attempt. */
export interface UploadSource {
  readonly lengthBytes: number;
  /** Exactly `lengthBytes` bytes; chunks of 64 KiB to 1 MiB move best. They are not kept. */
  open(): AsyncIterable<Uint8Array>;
}

/**
 * How a file gets its content under its final name.
 *
 * - `auto`: `rename` where it can be, else `temporary-and-copy`.
 * - `rename`: written beside the workers into an under store that this machine reaches itself, and
 *   moved there. Atomic, and the only strategy that is on a `file://` under store. Not for Enterprise.
 * - `temporary-and-copy`: uploaded under a hidden name, checked, copied by the worker. An upload that
 *   is cut leaves the final name alone. The copy is not atomic: while it runs, workers of open source
 *   say that the file does not exist, and one that fails leaves a beginning behind; `UploadUnfinished`
 *   then says so.
 * - `single-put`: for under stores whose own PUT is atomic (S3), never `file://`.
 */
export type UploadStrategy = 'auto' | 'rename' | 'temporary-and-copy' | 'single-put';

/** No fixed time limit: a call ends when nothing moves any more, or when it is cancelled. */
export interface WriteContext {
  readonly signal: AbortSignal;
}

export interface RenameContext extends WriteContext {
  /** Where it cannot be atomic any more it fails, instead of copying. */
  readonly isAtomic?: boolean;
}

export interface TellContext extends WriteContext {
  /** The version that a rename took away from the path. */
  readonly moved?: FileVersion | undefined;
}

export interface UploadContext extends WriteContext {
  /** Names the temporary file; letters, digits, `-` and `_`. One that was journaled before, or a new one. */
  readonly token?: string;
  /** Before a copy to the final name begins, where there is one: from here on that may be half done. */
  readonly onUploaded?: (content: UploadedContent) => Promise<void>;
}

/** What was written, as the cluster tells of it now. */
export interface WrittenFile extends FileStatus {
  /** Hex, of the bytes sent; undefined where the worker copied and told none. */
  readonly md5: string | undefined;
  readonly strategy: Exclude<UploadStrategy, 'auto'>;
  /** The file is whole, but the temporary one could not be removed: it is to be swept by its name. */
  readonly isTemporaryLeft?: boolean;
}

/** What a complete upload under a temporary name holds. */
export interface UploadedContent {
  readonly lengthBytes: number;
  readonly md5: string;
}

/**
 * The upload is complete under its temporary name, but the copy to the final name failed: the final
 * name may hold a beginning, or nothing. `finishUpload` with the same token repairs it. The code is
 * that of the failure, such as `unavailable` or `cancelled`.
 */
export class UploadUnfinished extends ClusterError {
  readonly token: string;
  readonly content: UploadedContent;

  constructor(
    code: ClusterErrorCode,
    message: string,
    parts: ClusterErrorDetails & { readonly token: string; readonly content: UploadedContent },
  ) {
    super(code, message, { ...parts, retryable: true });
    this.token = parts.token;
    this.content = parts.content;
  }
}

/** Errors are `ClusterError`s: `not-found`, `exists`, `not-empty`, `inexpressible`, … */
export interface ClusterWriter {
  /** Where `putFile` of this path and token puts the bytes first: to be journaled before. */
  temporaryPathFor(path: ByteString, token: string): ByteString;
  /**
   * Creates or replaces a file. Idempotent. A failure removes the temporary file, but a worker may be
   * about to make it still: sweep by token, later, what did not succeed.
   */
  putFile(path: ByteString, source: UploadSource, context: UploadContext): Promise<WrittenFile>;
  /** From the temporary name on: after an `UploadUnfinished`, or from a journal. Idempotent. */
  finishUpload(
    path: ByteString,
    content: UploadedContent,
    context: UploadContext & { readonly token: string },
  ): Promise<WrittenFile>;
  /** Removes what an upload left under a path of `temporaryPathFor`. Missing is fine. */
  removeTemporary(temporary: ByteString, context: WriteContext): Promise<void>;
  /** Throws `not-found`, and `is-a-directory`. */
  deleteFile(path: ByteString, context: WriteContext): Promise<void>;
  /** Throws `exists`. */
  makeDirectory(path: ByteString, context: WriteContext): Promise<FileStatus>;
  /** Throws `not-empty` for certain, `not-found`, and `not-a-directory`. */
  removeDirectory(path: ByteString, context: WriteContext): Promise<void>;
  /**
   * Of a file, over an existing file if there is one. Atomic only where `canRename` says so; else
   * the target is whole before the source goes.
   */
  renameFile(from: ByteString, to: ByteString, context: RenameContext): Promise<WrittenFile>;
  /** Of a file, over an existing file if there is one. */
  copyFile(from: ByteString, to: ByteString, context: WriteContext): Promise<WrittenFile>;
  /**
   * As the under store holds it, where changes are made there past the workers; elsewhere as they tell.
   * Undefined where nothing is. Throws `unavailable` while that store cannot be reached.
   */
  statStored(path: ByteString, context: WriteContext): Promise<FileStatus | undefined>;
  /**
   * After a change that was cut short, perhaps between the under store and the workers: makes them tell
   * of the path the file that the store holds. Where it holds none, nothing is done, but for `moved`:
   * the version that a rename took away from here, if that is the one they tell of.
   */
  tellWorkers(path: ByteString, context: TellContext): Promise<void>;
  /**
   * When the oldest change was made in the directory that its workers have not been told of, as
   * performance.now() tells; undefined: there is none.
   */
  listingOldSinceMs(directory: ByteString): number | undefined;
  /** Begins to tell the workers that names in there changed, as this writer does after its changes. */
  renewListing(directory: ByteString): void;
  /** Whether writes, and renames of this path, are atomic right now (`rename`). */
  canRename(path: ByteString): Promise<boolean>;
}
