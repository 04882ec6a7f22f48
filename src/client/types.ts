/** What callers of the library give and get. */
import type { Logger } from '../base/logger.ts';

/** A path as text, or as bytes where it is not UTF-8. An Alluxio path (`/a/b`) or the URI of the same file. */
export type PathLike = string | Uint8Array;

export type EntryType =
  'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';

/** One file or directory. */
export interface FileInfo {
  /** The Alluxio path; where `pathBytes` is set, only to be shown. */
  readonly path: string;
  /** The last part of it. */
  readonly name: string;
  /** Set where the path is not UTF-8: the path itself, to be given to other calls. */
  readonly pathBytes?: Uint8Array;
  readonly type: EntryType;
  /** In bytes; 0 for a directory. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly mtimeMs: number;
  /** What the rest of an entry is depends on who keeps it: Enterprise workers, or a writable mount. */
  readonly mode?: number;
  readonly owner?: string;
  readonly group?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly contentHash?: string;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** Of every call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * For the whole call. Left out: a call that asks one question has `requestTimeoutMs`; one that moves
   * files or walks trees has none as a whole, and every request within it has `requestTimeoutMs`.
   */
  readonly timeoutMs?: number | undefined;
}

/** Schemes of under stores, as Alluxio's Python client takes them. */
export type TargetProtocol =
  | 'file'
  | 's3'
  | 's3a'
  | 's3n'
  | 'minio'
  | 'oss'
  | 'cos'
  | 'cosn'
  | 'gs'
  | 'gcs'
  | 'hdfs'
  | 'webhdfs'
  | 'swebhdfs'
  | 'none';

/** Of under stores that are spoken to as S3. What is left out is looked for as every AWS program does. */
export interface TargetOptions {
  /** `https://host:port`. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** The bucket as first part of the path instead of the host name. */
  readonly pathStyle?: boolean | undefined;
  /** Unsigned requests. */
  readonly anonymous?: boolean | undefined;
  readonly profile?: string | undefined;
  /** In place of those of the environment, the profile or the machine's role. Never logged. */
  readonly credentials?:
    | {
        readonly accessKeyId: string;
        readonly secretAccessKey: string;
        readonly sessionToken?: string | undefined;
      }
    | undefined;
}

/** The names are those of Alluxio's Python client, in camelCase. */
export interface ClientOptions {
  /** `host`, `host:port` or URL; a list, or a text with commas. This or `workerHosts`. */
  readonly etcdHosts?: string | readonly string[] | undefined;
  readonly etcdPort?: number | undefined;
  readonly etcdUsername?: string | undefined;
  readonly etcdPassword?: string | undefined;
  readonly workerHosts?: string | readonly string[] | undefined;
  readonly workerHttpPort?: number | undefined;
  readonly workerS3Port?: number | undefined;
  readonly clusterName?: string | undefined;
  /** Root of the name space in the under store, as `alluxio.dora.client.ufs.root`. */
  readonly ufs?: string | undefined;
  /**
   * Of a cluster with several under stores: their URIs by path (`{'/s3': 's3://bucket/data'}`), or
   * `cluster`, as its workers tell it (Enterprise).
   */
  readonly mounts?: Readonly<Record<string, string>> | 'cluster' | undefined;
  /** A file with rules that turn names into paths of the cluster; the name space is then only read. */
  readonly pathRules?: string | undefined;
  /** `4MB`, or bytes. */
  readonly pageSize?: string | number | undefined;
  readonly virtualNodes?: number | 'auto' | undefined;
  /**
   * Who tells whose file a path is: the hash ring of the known workers, or the workers themselves
   * (Enterprise); then some of them in `workerHosts`, or a DNS name for any of them, are enough.
   */
  readonly routing?: 'ring' | 'node' | undefined;
  /** Alluxio property names and their values. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** A load job is submitted for it when the client is opened. */
  readonly preloadPath?: string | undefined;
  /**
   * Whether the under store may be asked where no worker can answer. `ufs` says which one it is, by its
   * scheme, and this must be of the same kind; `none` switches it off.
   */
  readonly targetProtocol?: TargetProtocol | undefined;
  readonly targetOptions?: TargetOptions | undefined;
  /** Requests at a time of one call that moves many files. */
  readonly concurrency?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
  /** Where changes are journaled, and files wait whose length is not known before. */
  readonly stagingDir?: string | undefined;
  readonly logger?: Logger | undefined;
  /** What is not given here is looked for in it, as a mount does; `process.env` when left out. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** What becomes of the bytes of a file that are given. */
export type Data = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
