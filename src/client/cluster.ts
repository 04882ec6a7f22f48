/** The cluster layer for a library: what a mount's daemon builds, without what only a mount needs. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { ignoredEvents } from '../cluster/cluster-events.ts';
import {
  createWorkerClient,
  DEFAULT_FALLBACK_LIMITS,
  EtcdMembership,
  parseUfsRoot,
  RoutedClient,
  StaticMembership,
  UfsRootCheck,
} from '../cluster/index.ts';
import type { CallContext, Membership, UfsRoot } from '../cluster/index.ts';
import type { WorkerClient } from '../cluster/worker-client.ts';
import type { MountConfig } from '../config/index.ts';
import { AlluxioError, hasCode } from './errors.ts';
import { underStoreOf } from './under-store.ts';

export interface ClusterParts {
  readonly routed: RoutedClient;
  /** Owned by `routed`, which closes them. */
  readonly worker: WorkerClient;
  readonly membership: Membership;
  readonly root: UfsRoot;
}

/** Waits for the first view: without one, every call would fail for want of workers. */
export async function openCluster(
  config: MountConfig,
  logger: Logger,
  context: CallContext,
): Promise<ClusterParts> {
  const membership = await openMembership(config, logger, context);
  const root = parseUfsRoot(config.ufs);
  const ufsRootCheck = new UfsRootCheck({ root, logger, events: ignoredEvents });
  const worker = createWorkerClient({
    onUfsPath: (from, path, ufsPath) => ufsRootCheck.note(from, path, ufsPath),
    pageSizeBytes: config.pageSizeBytes,
    timeouts: { connectMs: config.connectTimeoutMs },
    logger,
  });
  const routed = new RoutedClient({
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
    events: ignoredEvents,
  });
  return { routed, worker, membership, root };
}

async function openMembership(
  config: MountConfig,
  logger: Logger,
  context: CallContext,
): Promise<Membership> {
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
  const membership = new EtcdMembership({
    endpoints: config.etcdHosts,
    clusterName: config.clusterName,
    s3Port: config.workerS3Port,
    refreshMs: config.membershipRefreshMs,
    clock: systemClock,
    logger,
    events: ignoredEvents,
    ...(username === undefined || password === undefined ? {} : { auth: { username, password } }),
    ...(tls === undefined ? {} : { tls }),
  });
  try {
    await membership.ready(context);
    return membership;
  } catch (error) {
    const last = membership.lastError();
    await membership.close();
    if (hasCode(error, 'permission', 'cancelled')) throw error;
    const reason = `No answer from ${membership.source}${last === undefined ? '' : `: ${last}`}`;
    throw new AlluxioError('unavailable', reason, { retryable: true, cause: error });
  }
}

function tlsOf({ etcdCaFile, etcdCertFile, etcdKeyFile }: MountConfig) {
  if (etcdCaFile === undefined) return undefined;
  return {
    ca: readFileSync(etcdCaFile),
    ...(etcdCertFile === undefined ? {} : { certificate: readFileSync(etcdCertFile) }),
    ...(etcdKeyFile === undefined ? {} : { key: readFileSync(etcdKeyFile) }),
  };
}
