/** The cluster layer that a configuration describes: for the library, and for the daemon of a mount. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import {
  ClusterError,
  createWorkerClient,
  DEFAULT_FALLBACK_LIMITS,
  EtcdMembership,
  MountTable,
  RoutedClient,
  StaticMembership,
  UfsRootCheck,
} from '../cluster/index.ts';
import type {
  CallContext,
  ClusterClient,
  ClusterEvents,
  Membership,
  Worker,
} from '../cluster/index.ts';
import { parsePathRules, type PathRules } from '../cluster/mapping/path-rules.ts';
import { VirtualPaths } from '../cluster/mapping/virtual-paths.ts';
import type { RoutedClientOptions } from '../cluster/routed-client.ts';
import type { WorkerClient } from '../cluster/worker-client.ts';
import type { MountConfig } from '../config/index.ts';
import type { S3Credentials } from '../ufs/index.ts';
import { askForMounts, MountFollower, mountPointOf, type MountsChange } from './told-mounts.ts';
import { underStoreOf } from './under-store.ts';

export interface ClusterSetting {
  readonly config: MountConfig;
  readonly logger: Logger;
  readonly events: ClusterEvents;
  /** For under stores that are spoken to as S3, in place of those that AWS programs find. */
  readonly credentials?: S3Credentials | undefined;
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

/** The configuration with its mounts: where it leaves them to the cluster, as a worker tells them. */
async function withMounts(
  setting: ClusterSetting,
  membership: Membership,
  context: CallContext,
): Promise<MountConfig> {
  const { config } = setting;
  if (config.mounts.length > 0) return config;
  const client = createWorkerClient(workerOptionsOf(setting));
  try {
    const mounts = await askForMounts(client, membership.view().workers, context);
    return { ...config, mounts };
  } finally {
    await client.close();
  }
}

export interface ClusterParts {
  readonly routed: RoutedClient;
  /** As its names are seen: through path rules, where there are any. Closes all. */
  readonly cluster: ClusterClient;
  /** Owned by `routed`, which closes them. */
  readonly worker: WorkerClient;
  readonly membership: Membership;
  /** With its mounts. */
  readonly config: MountConfig;
}

interface More extends Pick<RoutedClientOptions, 'learnedVirtualNodes'> {
  /** In place of going by the new table at once. Returns whether to. */
  readonly onMounts?: ((change: MountsChange) => boolean) | undefined;
}

/** Takes over the membership, also where it fails. `context`: for asking the cluster for its mounts. */
export async function clusterOf(
  setting: ClusterSetting,
  membership: Membership,
  context: CallContext,
  more: More = {},
): Promise<ClusterParts> {
  try {
    const config = await withMounts(setting, membership, context);
    return clusterWithMounts({ ...setting, config }, membership, more);
  } catch (error) {
    await membership.close();
    throw error;
  }
}

function workerOptionsOf({ config, logger, events }: ClusterSetting) {
  const { pageSizeBytes, connectTimeoutMs: connectMs } = config;
  return { pageSizeBytes, timeouts: { connectMs }, logger, events };
}

function clusterWithMounts(
  setting: ClusterSetting,
  membership: Membership,
  more: More,
): ClusterParts {
  const { config, logger, events } = setting;
  const { onMounts, ...others } = more;
  const mounts = new MountTable(config.mounts.map(mountPointOf));
  const rules = pathRulesOf(config);
  let follower: MountFollower | undefined;
  const ufsRootCheck = new UfsRootCheck({
    mounts,
    logger,
    events: {
      ufsRootMismatch(mismatch) {
        events.ufsRootMismatch(mismatch);
        follower?.hurry();
      },
    },
  });
  const worker = createWorkerClient({
    ...workerOptionsOf(setting),
    onUfsPath: (from, path, ufsPath) => ufsRootCheck.note(from, path, ufsPath),
  });
  const routed = new RoutedClient({
    ...others,
    uploadStrategy: config.uploadStrategy,
    client: worker,
    membership,
    underStore: underStoreOf(config, mounts, logger, setting.credentials),
    fallbackLimits: {
      ...DEFAULT_FALLBACK_LIMITS,
      operationsPerSecond: config.underStoreFallbackRate,
    },
    mounts,
    ufsRootCheck,
    pageSizeBytes: config.pageSizeBytes,
    virtualNodes: config.virtualNodes,
    routing: config.routing,
    commonPorts: { httpPort: config.workerHttpPort, s3Port: config.workerS3Port },
    clock: systemClock,
    logger,
    events,
  });
  if (config.mountsFrom === 'cluster') {
    follower = new MountFollower({
      mounts: config.mounts,
      refreshMs: config.mapRefreshMs,
      ask: (context) => askForMounts(worker, membership.view().workers, context),
      logger,
      onChange(change) {
        if (onMounts?.(change) === false) return;
        mounts.replace(change.mounts.map(mountPointOf));
        ufsRootCheck.forget();
      },
    });
    routed.closesFirst(follower);
  }
  const cluster = rules === undefined ? routed : new VirtualPaths(routed, rules);
  return { routed, cluster, worker, membership, config };
}

function pathRulesOf({ pathRules }: MountConfig): PathRules | undefined {
  if (pathRules === undefined) return undefined;
  try {
    return parsePathRules(pathRules);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClusterError('invalid', `--path-rules: ${reason}`, { cause: error });
  }
}
