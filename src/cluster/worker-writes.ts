/**
 * The writing half of the seam to one worker: single calls, no retry. What the worker answers is
 * not what it did (`DELETE` says 204 to everything): callers look afterwards.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { CallContext, FileStatus, Worker } from './types.ts';

export interface UploadBody {
  readonly lengthBytes: number;
  /** Pulled as the connection takes it. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** For the worker to finish the file after the last byte. */
  readonly answerTimeoutMs: number;
}

/** Both ways to say where: the S3 port takes the one, Enterprise's own endpoints the other. */
export interface WritePath {
  readonly path: ByteString;
  readonly ufsPath: ByteString;
}

/** An MD5 in hex, where the worker tells one. */
export interface WriteAnswer {
  readonly md5: string | undefined;
}

export interface WorkerWrites {
  /**
   * What the worker says of the path now: with one request where that is possible, by the port that
   * the changes go through. Undefined where there is nothing.
   */
  look(worker: Worker, path: WritePath, context: CallContext): Promise<FileStatus | undefined>;
  /** Makes missing parents. Cut, it leaves a beginning under the name. */
  put(
    worker: Worker,
    path: WritePath,
    body: UploadBody,
    context: CallContext,
  ): Promise<WriteAnswer>;
  /** Of a file, within the cluster. Goes on at the worker when the caller goes away. */
  copy(worker: Worker, from: WritePath, to: WritePath, context: CallContext): Promise<WriteAnswer>;
  /** Makes missing parents. Success does not say that there was none. */
  makeDirectory(worker: Worker, path: WritePath, context: CallContext): Promise<void>;
  /** A file, or a directory without entries; success does not say that it is gone. */
  remove(worker: Worker, path: WritePath, context: CallContext): Promise<void>;
  /** Enterprise; `unsupported` on open source. */
  move(worker: Worker, from: WritePath, to: WritePath, context: CallContext): Promise<void>;
  /**
   * Makes the workers look at a file again that was changed in the under store: open source only.
   * (Making a directory of its name fails behind a 200, and drops what is cached about it. Of a
   * name that is missing it makes a directory.)
   */
  refresh(worker: Worker, path: WritePath, context: CallContext): Promise<void>;
}
