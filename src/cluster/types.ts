/**
 * What the cluster layer gives to its callers (daemon, client library): plain data, one error
 * class. Everything here may cross a thread boundary by structured clone.
 */
import type { ByteString } from '../base/byte-string.ts';

/** One worker, as membership tells it. */
export interface Worker {
  /** Identity as text, `worker-<uuid>`: the key for breakers, metrics and logs. */
  readonly id: string;
  /** Identity bytes as lower-case hex, hashed by the ring. */
  readonly identifier: string;
  /** Identity version (1 = UUID, 0 = long), hashed by the ring. */
  readonly version: number;
  readonly host: string;
  readonly httpPort: number;
  /** Not told by etcd: the configured one, the same on every host. */
  readonly s3Port: number;
}

/** One good answer of a membership source. */
export interface MembershipView {
  /** Sorted by id, distinct. Empty when the source said that no worker is alive. */
  readonly workers: readonly Worker[];
  /** Rises with every change of identity or address (not with every etcd revision). */
  readonly generation: number;
}

export type FileType = 'file' | 'directory';

/** One file or directory of the Alluxio name space. */
export interface FileStatus {
  /** Last path part; '' for the root. */
  readonly name: ByteString;
  readonly type: FileType;
  /** 0 for a directory. */
  readonly lengthBytes: number;
  /** Milliseconds since 1970. */
  readonly mtimeMs: number;
  /** Permission bits, where the worker tells them (Enterprise). */
  readonly mode?: number;
  readonly owner?: string;
  readonly group?: string;
  /** Content hash or ETag, where the worker tells one. */
  readonly contentHash?: string;
}

/** What makes two contents of one path different to us. */
export interface FileVersion {
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  /** How exact the time is where it is not told to the millisecond: then it is rounded down. */
  readonly mtimeResolutionMs?: number;
  readonly contentHash?: string;
}

export type ClusterErrorCode =
  /** The cluster says for certain that the path does not exist. */
  | 'not-found'
  | 'not-a-directory'
  | 'is-a-directory'
  | 'permission'
  /** The name is taken: by what may not be replaced. */
  | 'exists'
  /** A directory that still has entries cannot be removed. */
  | 'not-empty'
  /** The store under Alluxio has no room left. */
  | 'no-space'
  /** Nothing that can be done at all: a directory into itself. */
  | 'invalid'
  /** No data path of this cluster can carry this name or file, and no under store may be asked. */
  | 'inexpressible'
  /** The file is not the version that was opened. */
  | 'version-changed'
  /** No worker is known, or every one of them and the under store failed. */
  | 'unavailable'
  /** The deadline of the call ran out. */
  | 'timeout'
  | 'cancelled'
  /** Answers that do not add up (framing, JSON, XML, lengths). */
  | 'protocol'
  /** The cluster has no endpoint for this operation. */
  | 'unsupported';

export interface ClusterErrorDetails {
  readonly path?: string | undefined;
  readonly worker?: string | undefined;
  /** Whether the same call at another worker, or later, may succeed. */
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
}

/** Every failure of the cluster layer. `message` says what to do where there is something to do. */
export class ClusterError extends Error {
  readonly code: ClusterErrorCode;
  readonly path: string | undefined;
  readonly worker: string | undefined;
  readonly retryable: boolean;

  constructor(code: ClusterErrorCode, message: string, details: ClusterErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'ClusterError';
    this.code = code;
    this.path = details.path;
    this.worker = details.worker;
    this.retryable = details.retryable ?? false;
  }
}

/** Bounds every call: no call without a deadline. */
export interface CallContext {
  readonly signal: AbortSignal;
  /** Absolute, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
  /**
   * For one thing at a time, what a listener of `signal` would do at a multiple of the price; undefined
   * takes it back. False: the call is over already.
   */
  watch?(onAbort: (() => void) | undefined): boolean;
}

/** Takes bytes as they arrive; must copy them, the buffer is used again. */
export interface ByteSink {
  (chunk: Uint8Array, offsetInRange: number): void;
  /** Where the bytes have a place already, they may be received straight into it. */
  readonly direct?: DirectSink | undefined;
}

export interface DirectSink {
  /**
   * Memory for the bytes from this offset on, as far as it goes; undefined where they must be handed
   * over as a chunk. It is the caller's until `received`, or until the attempt ends.
   */
  memoryAt(offsetInRange: number): Uint8Array | undefined;
  /** So many bytes lie there now. */
  received(offsetInRange: number, lengthBytes: number): void;
}

/** Where the bytes of a range came from. */
export type DataSource = 'page' | 's3' | 'range' | 'under-store' | 'staging';
