/** The cluster layer that a configuration describes: for the library, and for the daemon of a mount. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import {
  createWorkerClient,
  DEFAULT_FALLBACK_LIMITS,
  EtcdMembership,
  parseUfsRoot,
  RoutedClient,
  StaticMembership,
  UfsRootCheck,
} from '../cluster/index.ts';
import type { ClusterEvents, Membership, UfsRoot, Worker } from '../cluster/index.ts';
import type { RoutedClientOptions } from '../cluster/routed-client.ts';
import type { WorkerClient } from '../cluster/worker-client.ts';
import type { MountConfig } from '../config/index.ts';
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

export interface ClusterParts {
  readonly routed: RoutedClient;
  /** Owned by `routed`, which closes them. */
  readonly worker: WorkerClient;
  readonly membership: Membership;
  readonly root: UfsRoot;
}

export function clusterOf(
  { config, logger, events }: ClusterSetting,
  membership: Membership,
  more: Pick<RoutedClientOptions, 'uploadStrategy' | 'learnedVirtualNodes'> = {},
): ClusterParts {
  const root = parseUfsRoot(config.ufs);
  const ufsRootCheck = new UfsRootCheck({ root, logger, events });
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
    underStore: underStoreOf(config, root, logger),
    fallbackLimits: {
      ...DEFAULT_FALLBACK_LIMITS,
      operationsPerSecond: config.underStoreFallbackRate,
    },
    ufsRoot: root,
    ufsRootCheck,
    pageSizeBytes: config.pageSizeBytes,
    virtualNodes: config.virtualNodes,
    clock: systemClock,
    logger,
    events,
  });
  return { routed, worker, membership, root };
}
