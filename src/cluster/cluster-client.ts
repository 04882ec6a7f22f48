/**
 * The seam to the cluster as a whole: paths in, statuses and bytes out, wherever they live. Used by
 * the daemon's cluster thread and by the client library.
 */
import type { ByteString } from '../base/byte-string.ts';
import type {
  ByteSink,
  CallContext,
  DataSource,
  FileStatus,
  FileVersion,
  MembershipView,
  Worker,
} from './types.ts';

export interface ReadRequest {
  readonly path: ByteString;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly version: FileVersion;
}

export interface ReadResult {
  readonly source: DataSource;
  /** Worker id, undefined for the under store. */
  readonly worker: string | undefined;
  /** Whoever gave the bytes told with them that they are of the version asked for. */
  readonly isVersionTold?: true;
}

export interface PathLocation {
  /** '' for a directory that holds mount points and nothing else: nobody owns it. */
  readonly ufsPath: ByteString;
  /** The owner first, then ring order; at most as many as were asked for. */
  readonly workers: readonly Worker[];
}

export interface ClusterStatus {
  readonly source: string;
  readonly view: MembershipView;
  /** Since the source last answered. */
  readonly viewAgeMs: number;
  /** Virtual nodes per worker now in use, and whether learned or pinned. */
  readonly virtualNodes: number;
  readonly virtualNodesFrom: 'pinned' | 'default' | 'learned';
  readonly pageSizeBytes: number;
  /** Set when a worker's pages were seen to have another size; the page endpoint is then off. */
  readonly pageSizeMismatch: string | undefined;
  /** Set when a worker was seen to have another under store root; the under store is then off. */
  readonly ufsRootMismatch: string | undefined;
  readonly underStoreFallback: 'available' | 'off' | 'unreachable';
  /** Why it is unreachable, where the store says. */
  readonly underStoreProblem?: string | undefined;
  readonly workers: readonly WorkerStatus[];
}

export interface WorkerStatus {
  readonly id: string;
  readonly host: string;
  readonly httpPort: number;
  readonly s3Port: number;
  readonly personality: 'oss' | 'enterprise' | undefined;
  readonly breaker: 'closed' | 'open' | 'half-open';
  readonly lastError: string | undefined;
}

export interface ClusterClient {
  stat(path: ByteString, context: CallContext): Promise<FileStatus>;
  list(path: ByteString, context: CallContext): AsyncIterable<FileStatus[]>;
  /**
   * Delivers exactly `lengthBytes` bytes to the sink or throws. After a failure part of the way
   * the range may be delivered again from its start by another worker: the sink overwrites.
   */
  read(request: ReadRequest, sink: ByteSink, context: CallContext): Promise<ReadResult>;
  locate(path: ByteString, count: number, context: CallContext): Promise<PathLocation>;
  status(): ClusterStatus;
  close(): Promise<void>;
}
