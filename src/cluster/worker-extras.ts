/**
 * The rarer calls to one worker, which no mount needs: pages put into its cache, removals with
 * options, load jobs. Single calls, no retry.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { WritePath } from './worker-writes.ts';
import type { CallContext, Worker } from './types.ts';

/** As Alluxio's own clients name them. */
export interface RemoveOptions {
  readonly recursive: boolean;
  readonly removeAlluxioOnly: boolean;
  readonly deleteMountPoint: boolean;
  readonly syncParentNextTime: boolean;
  readonly removeUncheckedOption: boolean;
}

export type LoadOperation = 'submit' | 'progress' | 'stop';

/** As Alluxio's own endpoint names them; what is left out is left to the cluster. */
export interface LoadQuery {
  readonly partialListing?: boolean | undefined;
  readonly verify?: boolean | undefined;
  readonly loadMetadataOnly?: boolean | undefined;
  readonly skipIfExists?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  /** Bytes a second of each worker. */
  readonly bandwidth?: number | undefined;
  readonly fileFilterRegx?: string | undefined;
  readonly progressFormat?: 'TEXT' | 'JSON' | undefined;
}

/**
 * The fields of all three answers; which of them come depends on the operation and the version. The
 * state is `RUNNING`, `VERIFYING`, `STOPPED`, `SUCCEEDED` or `FAILED`, of progress only.
 */
export interface LoadAnswer {
  readonly success: boolean | undefined;
  readonly jobId: string | undefined;
  readonly jobState: string | undefined;
  readonly message: string;
}

/** A mount of the cluster, in the worker's words. */
export interface ToldMount {
  readonly path: string;
  readonly ufs: string;
}

/** Where an owner is, as a worker tells it. */
export interface ToldOwner {
  readonly host: string;
  readonly httpPort: number;
}

export interface WorkerExtras {
  /** Whose file this is: Enterprise; `unsupported` on open source. */
  ownerOf(worker: Worker, ufsPath: ByteString, context: CallContext): Promise<ToldOwner>;
  /** Which under store lies where: Enterprise; `unsupported` on open source, which has one root. */
  mounts(worker: Worker, context: CallContext): Promise<ToldMount[]>;
  /** Into the worker's cache only, not into the under store. */
  writePage(
    worker: Worker,
    page: { readonly ufsPath: ByteString; readonly pageIndex: number; readonly bytes: Uint8Array },
    context: CallContext,
  ): Promise<void>;
  /** A whole file through the chunk endpoint: Enterprise; `unsupported` on open source. */
  writeChunk(worker: Worker, at: WritePath, bytes: Uint8Array, context: CallContext): Promise<void>;
  /** Enterprise; `unsupported` on open source. */
  removeWith(
    worker: Worker,
    at: WritePath,
    options: RemoveOptions,
    context: CallContext,
  ): Promise<void>;
  /** `unsupported` where nobody in the cluster runs load jobs. */
  load(
    worker: Worker,
    at: WritePath,
    operation: LoadOperation,
    query: LoadQuery,
    context: CallContext,
  ): Promise<LoadAnswer>;
}
