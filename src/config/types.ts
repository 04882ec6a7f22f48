/**
 * What the rest of the program knows of the configuration: plain data that passes between
 * processes and threads as JSON. A value that may be absent is left out, never null, so that a
 * round trip through JSON gives an equal object.
 */

export type Driver = 'device' | 'fuse-native';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** One worker of a static list. */
export interface StaticWorker {
  readonly host: string;
  readonly httpPort: number;
  readonly s3Port: number;
}

/** A mount of the cluster: a path of the name space, and what lies below it. */
export interface ConfiguredMount {
  /** `/` for the root; without a slash at its end else. */
  readonly path: string;
  /** Without a trailing slash (but `file:///`). */
  readonly ufs: string;
}

export type FreeSpace = { readonly bytes: number } | { readonly percent: number };

/** Every option with its final value. `src/config/options.ts` has one row for each. */
export interface OptionValues {
  // Cluster.
  /** `http://host:port` or `https://host:port`; empty when the worker list is static. */
  readonly etcdHosts: readonly string[];
  /** For the hosts above that name none; already part of them here. */
  readonly etcdPort: number;
  readonly etcdUsername?: string;
  /** Secret: see `redactConfig`. */
  readonly etcdPassword?: string;
  readonly etcdCaFile?: string;
  readonly etcdCertFile?: string;
  readonly etcdKeyFile?: string;
  readonly clusterName: string;
  /** Empty when membership comes from etcd. */
  readonly workerHosts: readonly StaticWorker[];
  readonly workerHttpPort: number;
  readonly workerS3Port: number;
  readonly pageSizeBytes: number;
  readonly virtualNodes: number | 'auto';
  /** Who tells whose file a path is. */
  readonly routing: 'ring' | 'node';
  /** Which under store lies below which path, no path twice. Empty: as the cluster tells it. */
  readonly mounts: readonly ConfiguredMount[];
  /** `cluster`: its workers tell them, and are asked again every `mapRefreshMs`. */
  readonly mountsFrom: 'configuration' | 'cluster';
  readonly mapRefreshMs: number;
  /** The text of the rule file. */
  readonly pathRules?: string;
  readonly membershipRefreshMs: number;
  readonly requestTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly underStoreFallback: 'auto' | 'off';
  /** Reads a second. */
  readonly underStoreFallbackRate: number;

  // Under stores that speak S3, whatever their scheme. Credentials come from the environment.
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
  readonly s3PathStyle: 'auto' | 'on' | 'off';
  readonly s3Anonymous: boolean;
  readonly s3Profile?: string;

  // Memory and metadata.
  readonly memoryLimitBytes: number;
  /** On local disks; empty: none. */
  readonly cacheDirs: readonly string[];
  /** Of each of them. */
  readonly cacheLimitBytes: number;
  /** What stays free of the file system of each of them. */
  readonly cacheFreeSpace: FreeSpace;
  readonly maxReadAheadBytes: number;
  readonly attrTimeoutMs: number;
  readonly entryTimeoutMs: number;
  readonly negativeTimeoutMs: number;
  /** Whether a name that a fresh listing lacks needs no question of its own. */
  readonly trustListings: boolean;
  readonly maxInodes: number;
  /** Nobody changes the data as long as it is mounted. */
  readonly immutable: boolean;

  // The mount.
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly dirMode: number;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  readonly readOnly: boolean;
  /** `through`: close(2) waits for the cluster; `back`: for the journal on this machine's disk. */
  readonly writeMode: 'through' | 'back';
  /** How a file gets its content under its final name; see `cluster/write`. */
  readonly uploadStrategy: 'auto' | 'rename' | 'temporary-and-copy' | 'single-put';
  /** Where bytes wait that the cluster does not have yet; survives a reboot only on a real disk. */
  readonly stagingDir: string;
  readonly stagingLimitBytes: number;
  /** Whether owner, mode, times and links that programs set are kept beside the data. */
  readonly posixAttributes: 'auto' | 'on' | 'off';
  readonly driver: Driver;
  /** Whether the kernel reads files that lie whole in a cache directory by itself. */
  readonly passthrough: 'auto' | 'off';
  readonly maxBackground: number;
  /** What `df` and /proc/mounts show as the source. */
  readonly fsName: string;

  // Running it.
  readonly stateDir: string;
  readonly logLevel: LogLevel;
  /** Absent: standard error in the foreground, a file in the state directory otherwise. */
  readonly logFile?: string;
  readonly metricsHost: string;
  /** 0: no metrics server. */
  readonly metricsPort: number;
}

/** Everything that a daemon needs to serve one mount. All paths are absolute. */
export interface MountConfig extends OptionValues {
  readonly mountpoint: string;
  readonly membershipSource: 'etcd' | 'static';
  /** Generic flags for mount(8), in its own words: `nosuid`, `nodev`, `noatime`, … */
  readonly mountFlags: readonly string[];
}

/** Where a value may come from, strongest first. */
export type SourceKind =
  | 'flag'
  | 'mount-option'
  | 'property-flag'
  | 'environment'
  | 'yaml'
  | 'site-properties'
  | 'default';

export interface Provenance {
  readonly source: SourceKind;
  /** For people: `--page-size`, `ALLUXIO_FUSE_PAGE_SIZE`, `/etc/x.yaml:12 page-size`, … */
  readonly where: string;
}

/** What is wrong with one value; a `ConfigError` carries all of them. */
export interface ConfigProblem {
  /** Key of the option (`page-size`), or the unknown name as it was given. */
  readonly option: string;
  readonly where: string;
  /** As given; redacted for secrets; undefined where nothing was given. */
  readonly value: string | undefined;
  /** What is wrong and what is allowed. */
  readonly reason: string;
}
