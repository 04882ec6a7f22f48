/**
 * What the commands need of the daemon and of the devcluster. Both are loaded only when a command
 * runs that uses them, so that `--help` and `--version` stay quick.
 */
import type { MountConfig } from '../config/index.ts';

export type Outcome =
  | {
      readonly ok: true;
      /** What whoever asked should know although it worked. */
      readonly notes?: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

export interface UnmountOptions {
  readonly lazy: boolean;
  readonly force: boolean;
  readonly dropUnsaved: boolean;
  /** How long to wait while nothing gets on. */
  readonly timeoutMs: number;
  readonly stateDir: string;
  /** Ends the waiting; a mount that is not gone yet stays. */
  readonly signal: AbortSignal;
  readonly onProgress: (writes: StatusWrites) => void;
}

export type MountOutcome =
  | {
      readonly ok: true;
      readonly pid: number;
      readonly driver: string;
      /** What whoever mounts should know although it worked. */
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

export interface StatusWorker {
  readonly id: string;
  readonly host: string;
  readonly httpPort: number;
  readonly s3Port: number;
  readonly personality: string | undefined;
  readonly breaker: string;
  readonly lastError: string | undefined;
}

export interface StatusCluster {
  readonly source: string;
  readonly view: { readonly generation: number; readonly workers: readonly unknown[] };
  readonly viewAgeMs: number;
  readonly virtualNodes: number;
  readonly virtualNodesFrom: string;
  readonly pageSizeBytes: number;
  readonly pageSizeMismatch: string | undefined;
  readonly ufsRootMismatch: string | undefined;
  readonly underStoreFallback: string;
  /** Why it is unreachable, where the store says. */
  readonly underStoreProblem?: string | undefined;
  readonly workers: readonly StatusWorker[];
}

export interface StatusError {
  readonly atIso: string;
  readonly code: string;
  readonly path: string | undefined;
  readonly reason: string;
  readonly count: number;
}

/** What a writable mount has not brought to the cluster yet. */
export interface StatusWrites {
  readonly writeMode: 'through' | 'back';
  /** Changed by programs; neither the cluster nor the journal has the changes. */
  readonly unsavedFiles: number;
  readonly unsavedBytes: number;
  /** In the journal, and not in the cluster yet. */
  readonly uploadsPending: number;
  readonly uploadBytesPending: number;
  /** Directories of which only the journal has changed owners, modes, times or links. */
  readonly attributesPending: number;
  /** Renames, removals and failed uploads that are being finished or undone. */
  readonly repairsPending: number;
  /** Removed or replaced files that somebody has open. */
  readonly keptFiles: number;
  /** Of what the journal has; 0 when that is nothing. */
  readonly oldestAgeMs: number;
  readonly lastError?: string | undefined;
  readonly retryInMs?: number | undefined;
  readonly renames: readonly {
    readonly from: string;
    readonly to: string;
    readonly phase: string;
    readonly filesCopied: number;
  }[];
  readonly uploads: {
    readonly active: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly sentBytes: number;
  };
  readonly staging: {
    readonly directory: string;
    readonly usedBytes: number;
    readonly limitBytes: number;
  };
}

/** Files of the cache directories that the kernel reads by itself. */
export interface StatusPassthrough {
  readonly state: 'on' | 'off';
  readonly reason?: string;
  readonly opens: number;
  readonly fallbacks: number;
}

/** The part of a status report that is shown to people; `--json` prints all that there is. */
export interface StatusReport {
  readonly mountpoint: string;
  readonly supervisorPid: number;
  readonly daemonPid: number | undefined;
  readonly uptimeMs: number;
  readonly driver: string;
  readonly state: string;
  readonly restarts: number;
  readonly cluster: StatusCluster | undefined;
  /** Absent where the mount is read-only, or nobody answers. */
  readonly writes?: StatusWrites;
  /** Absent where there is no cache directory, or nobody answers. */
  readonly diskCache?: StatusDiskCache;
  readonly cache: {
    readonly memoryLimitBytes: number;
    readonly slotBytes: number;
    readonly slotsTotal: number;
    readonly slotsUsed: number;
    readonly hits: number;
    readonly misses: number;
    readonly readAheadBytes: number;
    readonly wastedBytes: number;
  };
  readonly inodes: { readonly known: number; readonly openHandles: number };
  readonly fuse: {
    /** `7.N`; 'libfuse 2' where that negotiates; '' while nobody knows. */
    readonly protocol: string;
    /** 0 where it is not known, here and below. */
    readonly maxWriteBytes: number;
    readonly readAheadKb: number;
    readonly requestsTotal: number;
  };
  /** Absent where nobody answers. */
  readonly passthrough?: StatusPassthrough;
  readonly lastErrors: readonly StatusError[];
}

export interface CacheCommand {
  /** `missing`: of what was warmed, where it said that something was lost. */
  readonly verb: 'ls' | 'stat' | 'verify' | 'drop' | 'warm' | 'missing';
  /** A mount point, or a cache directory. */
  readonly target: string;
  /** Below the mount point, or of the name space; of none: all. */
  readonly paths: readonly string[];
  /** Files at a time. */
  readonly parallel?: number;
}

/** What a cache answers, line by line; `kind` tells which fields there are. */
export interface CacheLine {
  readonly kind: string;
  readonly path?: string;
  readonly reason?: string;
  readonly directory?: string;
  readonly lengthBytes?: number;
  readonly cachedBytes?: number;
  readonly fetchedBytes?: number;
  readonly isComplete?: boolean;
  readonly lastUseS?: number;
  readonly files?: number;
  readonly failed?: number;
  readonly bytes?: number;
  readonly inUse?: number;
  readonly checked?: number;
  readonly corrupt?: number;
  /** Of `warmed`: more than 0 where what was fetched may not have stayed. */
  readonly losses?: number;
  readonly missingFiles?: number;
  readonly directories?: StatusDiskCache['directories'];
  readonly meant?: {
    readonly files: number;
    readonly completeFiles: number;
    readonly cachedBytes: number;
  };
}

/** The cache directories of a mount. */
export interface StatusDiskCache {
  readonly directories: readonly {
    readonly directory: string;
    readonly state: string;
    readonly reason?: string;
    readonly usedBytes: number;
    readonly limitBytes: number;
    readonly files: number;
    readonly pages: number;
  }[];
  readonly queuedBytes: number;
  readonly figures: {
    readonly readBytes: number;
    readonly hitPages: number;
    readonly missedPages: number;
    readonly writtenBytes: number;
    readonly evictedBytes: number;
    readonly corruptFiles: number;
    /** By reason. */
    readonly notKeptPages: Readonly<Record<string, number>>;
  };
}

export interface DaemonApi {
  /** Rejects with the reason. */
  cacheCommand(
    command: CacheCommand,
    options: {
      readonly stateDir: string;
      readonly onLine: (line: CacheLine) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<void>;
  /** For many paths: the mount point that each lies below, and its path there; undefined for none of ours. */
  mountFinder(options: {
    readonly stateDir: string;
  }): (path: string) => { readonly mountpoint: string; readonly path: string } | undefined;
  /** Returns once the mount answers; in the foreground, after it is unmounted. */
  mountDaemon(
    config: MountConfig,
    options: { readonly foreground: boolean },
  ): Promise<MountOutcome>;
  unmountDaemon(mountpoint: string, options: UnmountOptions): Promise<Outcome>;
  /** Where a name space, as `describeNameSpace` tells it, is mounted on this machine. */
  mountpointsOf(nameSpace: string, options: { readonly stateDir: string }): readonly string[];
  /** All mounts of the state directory, or the one asked for (none where it is not ours). */
  daemonStatus(
    mountpoint: string | undefined,
    options: { readonly stateDir: string },
  ): Promise<readonly StatusReport[]>;
}

export interface DevclusterOptions {
  readonly workers: number;
  readonly dataDir?: string;
  readonly pageSizeBytes: number;
  readonly personality: 'oss' | 'enterprise';
  readonly etcdHosts?: string;
  readonly clusterName?: string;
  readonly virtualNodes?: number;
  /** Told when etcd or a worker ends by itself. */
  readonly onLoss?: (what: string) => void;
}

export interface DevclusterApi {
  startDevcluster(
    options: DevclusterOptions,
  ): Promise<{ readonly info: object; stop(): Promise<void> }>;
}
