/** The cluster layer that a configuration describes: for the library, and for the daemon of a mount. */
import { readFileSync } from 'node:fs';
import { byteStringOfText, textOfByteString } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import {
  ClusterError,
  createWorkerClient,
  DEFAULT_FALLBACK_LIMITS,
  EtcdMembership,
  MountTable,
  parseUfsRoot,
  RoutedClient,
  StaticMembership,
  UfsRootCheck,
} from '../cluster/index.ts';
import { normaliseAlluxioPath } from '../cluster/ufs-path.ts';
import type { CallContext, ClusterEvents, Membership, Worker } from '../cluster/index.ts';
import type { RoutedClientOptions } from '../cluster/routed-client.ts';
import type { WorkerClient } from '../cluster/worker-client.ts';
import type { ToldMount } from '../cluster/worker-extras.ts';
import type { ConfiguredMount, MountConfig } from '../config/index.ts';
import { underStoreOf } from './under-store.ts';

export interface ClusterSetting {
  readonly config: MountConfig;
  readonly logger: Logger;
  readonly events: ClusterEvents;
}

/** An `EtcdMembership` knows nobody before it is ready, but `knownWorkers`. */
export function membershipOf(
  { config, logger, events }: ClusterSetting,
  knownWorkers: readonly Worker[] = [],
): StaticMembership | EtcdMembership {
  if (config.membershipSource === 'static') {
    return new StaticMembership({
      hosts: config.workerHosts,
      httpPort: config.workerHttpPort,
      s3Port: config.workerS3Port,
      clock: systemClock,
    });
  }
  const { etcdUsername: username, etcdPassword: password } = config;
  const tls = tlsOf(config);
  return new EtcdMembership({
    endpoints: config.etcdHosts,
    clusterName: config.clusterName,
    s3Port: config.workerS3Port,
    refreshMs: config.membershipRefreshMs,
    clock: systemClock,
    logger,
    events,
    knownWorkers,
    ...(username === undefined || password === undefined ? {} : { auth: { username, password } }),
    ...(tls === undefined ? {} : { tls }),
  });
}

function tlsOf({ etcdCaFile, etcdCertFile, etcdKeyFile }: MountConfig) {
  if (etcdCaFile === undefined) return undefined;
  return {
    ca: readFileSync(etcdCaFile),
    ...(etcdCertFile === undefined ? {} : { certificate: readFileSync(etcdCertFile) }),
    ...(etcdKeyFile === undefined ? {} : { key: readFileSync(etcdKeyFile) }),
  };
}

function mountTableOf(config: MountConfig): MountTable {
  return new MountTable(
    config.mounts.map(({ path, ufs }) => ({
      path: byteStringOfText(path),
      root: parseUfsRoot(ufs),
    })),
  );
}

/** A well worker answers at once; there are others to ask. */
const MOUNTS_OF_ONE_MS = 5_000;

/**
 * The configuration with its mounts: where it leaves them to the cluster, the first worker that tells
 * them. Throws with the reason where none does.
 */
export async function withMounts(
  { config, logger, events }: ClusterSetting,
  membership: Membership,
  context: CallContext,
): Promise<MountConfig> {
  if (config.mounts.length > 0) return config;
  const client = createWorkerClient({
    pageSizeBytes: config.pageSizeBytes,
    timeouts: { connectMs: config.connectTimeoutMs },
    logger,
    events,
  });
  try {
    let last: unknown;
    for (const worker of membership.view().workers) {
      try {
        const deadlineMs = Math.min(context.deadlineMs, performance.now() + MOUNTS_OF_ONE_MS);
        const told = (await client.extras?.mounts(worker, { ...context, deadlineMs })) ?? [];
        return { ...config, mounts: told.map(normalisedMount) };
      } catch (error) {
        last = error;
        // What one worker is, all are.
        if (error instanceof ClusterError && error.code === 'unsupported') break;
      }
    }
    const reason = last instanceof Error ? last.message : 'no worker is known';
    throw new ClusterError(
      'unavailable',
      `The cluster does not tell its mounts (--map cluster): ${reason}. Give --ufs, or --map for each`,
      { cause: last },
    );
  } finally {
    await client.close();
  }
}

/** Told URIs may be odd, or hold a key: no message repeats one. */
function normalisedMount({ path, ufs }: ToldMount): ConfiguredMount {
  if (/^[^/]*\/\/[^/]*:[^/]*@/.test(ufs) || !isUfsRoot(ufs)) {
    const message = 'The worker tells a mount whose URI cannot be used';
    throw new ClusterError('protocol', message, { path });
  }
  const mount = { path: byteStringOfText(path), root: parseUfsRoot(ufs) };
  return {
    path: textOfByteString(normaliseAlluxioPath(mount.path)) ?? path,
    ufs: textOfByteString(mount.root.uri) ?? ufs,
  };
}

function isUfsRoot(uri: string): boolean {
  try {
    parseUfsRoot(uri);
    return true;
  } catch {
    return false;
  }
}

export interface ClusterParts {
  readonly routed: RoutedClient;
  /** Owned by `routed`, which closes them. */
  readonly worker: WorkerClient;
  readonly membership: Membership;
  readonly mounts: MountTable;
  /** With its mounts. */
  readonly config: MountConfig;
}

export function clusterOf(
  { config, logger, events }: ClusterSetting,
  membership: Membership,
  more: Pick<RoutedClientOptions, 'uploadStrategy' | 'learnedVirtualNodes'> = {},
): ClusterParts {
  const mounts = mountTableOf(config);
  const ufsRootCheck = new UfsRootCheck({ mounts, logger, events });
  const worker = createWorkerClient({
    onUfsPath: (from, path, ufsPath) => ufsRootCheck.note(from, path, ufsPath),
    pageSizeBytes: config.pageSizeBytes,
    timeouts: { connectMs: config.connectTimeoutMs },
    logger,
    events,
  });
  const routed = new RoutedClient({
    ...more,
    client: worker,
    membership,
    underStore: underStoreOf(config, mounts, logger),
    fallbackLimits: {
      ...DEFAULT_FALLBACK_LIMITS,
      operationsPerSecond: config.underStoreFallbackRate,
    },
    mounts,
    ufsRootCheck,
    pageSizeBytes: config.pageSizeBytes,
    virtualNodes: config.virtualNodes,
    clock: systemClock,
    logger,
    events,
  });
  return { routed, worker, membership, mounts, config };
}
