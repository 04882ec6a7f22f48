/**
 * The seam to one worker: single calls, no retry, no placement. `UndiciWorkerClient` is the real
 * one; `RoutedClient` (cluster-client.ts) puts placement, retries, breaker and fallback around it.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { WorkerExtras } from './worker-extras.ts';
import type { WorkerWrites } from './worker-writes.ts';
import type {
  ByteSink,
  CallContext,
  ClusterError,
  FileStatus,
  FileVersion,
  Worker,
} from './types.ts';

export type Personality = 'oss' | 'enterprise';

/** Outcome of asking a worker for one page through the page endpoint. */
export type PageOutcome =
  | { readonly kind: 'page'; readonly lengthBytes: number }
  /** The worker does not hold the page (open source: closed connection). */
  | { readonly kind: 'miss' };

/** Outcome of a range read through the S3 port. */
export type S3Outcome =
  | {
      readonly kind: 'data';
      readonly lengthBytes: number;
      /** Length of the whole file, from Content-Range or Content-Length. */
      readonly fileLengthBytes: number;
      /** From an ETag of the form `(len:L, modtime:MS)`, else undefined. */
      readonly mtimeMs: number | undefined;
    }
  /** 307: another worker owns the file. Only the host is believed (the key in Location is broken). */
  | { readonly kind: 'redirect'; readonly host: string; readonly port: number }
  | { readonly kind: 'not-found' };

export interface PageRequest {
  /** Normalised UFS path as bytes; its SHA-256 is the file id. */
  readonly ufsPath: ByteString;
  readonly pageIndex: number;
  /** Within the page; both given or neither. */
  readonly offsetInPage?: number;
  readonly lengthBytes?: number;
  /** The file ends with these bytes: a page that has more is of another version, and nothing of it is read. */
  readonly isEnd?: boolean;
}

/** One page from its beginning; `lengthBytes` is what of it there must be. */
export interface WholePageRequest {
  readonly ufsPath: ByteString;
  readonly pageIndex: number;
  readonly lengthBytes: number;
  /** As in `PageRequest`. */
  readonly isEnd: boolean;
}

/**
 * How a page read that waits for nothing ended: with all bytes, with the word that the page is not
 * held, with an error as of any call, or `unclear`: it has to be asked in the general way.
 */
export type PageNowOutcome = 'page' | 'miss' | 'unclear' | ClusterError;

export interface RangeRequest {
  /** Alluxio path, '/bucket/key'. */
  readonly path: ByteString;
  readonly ufsPath: ByteString;
  readonly offset: number;
  readonly lengthBytes: number;
  /** When given, an answer that shows another length or mtime is a `version-changed` error. */
  readonly version?: FileVersion;
}

export interface WorkerClient {
  /** Probed once per worker and remembered. */
  personality(worker: Worker, context: CallContext): Promise<Personality>;
  /** Resolves when the worker says that it is active. */
  health(worker: Worker, context: CallContext): Promise<void>;
  /**
   * Status of one path, by whichever port can express the name. Throws `not-found` only when the
   * worker said so; a closed connection alone is not enough on open source.
   */
  stat(worker: Worker, path: ByteString, context: CallContext): Promise<FileStatus>;
  /** Batches as they arrive. Throws `not-found` for a missing directory. */
  list(worker: Worker, path: ByteString, context: CallContext): AsyncIterable<FileStatus[]>;
  /** Whole page or part of it; the sink is called only with bytes of a 200 answer. */
  readPage(
    worker: Worker,
    request: PageRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<PageOutcome>;
  /**
   * As `readPage`, where nothing has to be found out or waited for first; undefined where something
   * has. `onEnd` is called once, later; what is returned ends the call early. Missing in clients that
   * have no such way.
   */
  readPageNow?(
    worker: Worker,
    request: WholePageRequest,
    sink: ByteSink,
    deadlineMs: number,
    onEnd: (outcome: PageNowOutcome) => void,
  ): (() => void) | undefined;
  /** S3 GET with Range: reads through to the under store. One connection, used once. */
  readS3(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<S3Outcome>;
  /** Enterprise range endpoint (`/v1/range`): reads through. */
  readRange(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<number>;
  /** Missing where this client only reads. */
  readonly writes?: WorkerWrites;
  /** Missing where only what a mount needs is there. */
  readonly extras?: WorkerExtras;
  close(): Promise<void>;
}
