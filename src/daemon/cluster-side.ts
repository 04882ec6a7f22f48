/** Builds the cluster layer from the configuration: membership, worker client, routing, fallback. */
import { readFileSync } from 'node:fs';
import type { ByteString } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { underStoreOf } from '../client/under-store.ts';
import {
  ClusterError,
  createWorkerClient,
  DEFAULT_FALLBACK_LIMITS,
  EtcdMembership,
  parseUfsRoot,
  RoutedClient,
  StaticMembership,
  UfsRootCheck,
} from '../cluster/index.ts';
import type { ClusterClient, ClusterEvents, Membership, Worker } from '../cluster/index.ts';
import type { MountConfig } from '../config/index.ts';

/**
 * How long a start waits for the first answer of etcd. A mount that comes up without knowing a
 * single worker would only answer errors; the one who mounts can do something about it now.
 */
const FIRST_VIEW_TIMEOUT_MS = 20_000;

/**
 * How long a start waits for a worker to tell its root. It takes a well worker milliseconds, and any
 * later answer tells it, too.
 */
const ROOT_TIMEOUT_MS = 2_000;

export interface ClusterSideParts {
  readonly config: MountConfig;
  readonly logger: Logger;
  readonly events: ClusterEvents;
  /** As last known to an earlier life of the daemon. */
  readonly knownWorkers: readonly Worker[];
  readonly onWorkers: (workers: readonly Worker[]) => void;
  readonly learnedVirtualNodes: number | undefined;
  readonly onVirtualNodes: (learned: number) => void;
}

/** The client owns what it was built from: closing it closes all. */
export async function startClusterSide(parts: ClusterSideParts): Promise<RoutedClient> {
  const { config, logger } = parts;
  const events: ClusterEvents = {
    ...parts.events,
    virtualNodesSwitched(from, to) {
      parts.events.virtualNodesSwitched(from, to);
      parts.onVirtualNodes(to);
    },
  };
  const membership = await startMembership(parts);
  const tell = (): void => {
    const { workers } = membership.view();
    // Nobody at all is nothing to begin with.
    if (workers.length > 0) parts.onWorkers(workers);
  };
  tell();
  membership.onChange(tell);
  const ufsRoot = parseUfsRoot(config.ufs);
  const ufsRootCheck = new UfsRootCheck({ root: ufsRoot, logger, events });
  const workerClient = createWorkerClient({
    onUfsPath: (worker, path, ufsPath) => ufsRootCheck.note(worker, path, ufsPath),
    pageSizeBytes: config.pageSizeBytes,
    timeouts: { connectMs: config.connectTimeoutMs },
    logger,
    events,
  });
  const underStore = underStoreOf(config, ufsRoot, logger);
  const client = new RoutedClient({
    client: workerClient,
    membership,
    underStore,
    fallbackLimits: {
      ...DEFAULT_FALLBACK_LIMITS,
      operationsPerSecond: config.underStoreFallbackRate,
    },
    ufsRoot,
    ufsRootCheck,
    uploadStrategy: config.uploadStrategy,
    pageSizeBytes: config.pageSizeBytes,
    virtualNodes: config.virtualNodes,
    learnedVirtualNodes: parts.learnedVirtualNodes,
    clock: systemClock,
    logger,
    events,
  });
  // Later lives are waited for by programs, and the check was made in the first.
  if (parts.knownWorkers.length === 0) await askForRoot(client);
  return client;
}

async function askForRoot(client: ClusterClient): Promise<void> {
  const context = {
    signal: new AbortController().signal,
    deadlineMs: performance.now() + ROOT_TIMEOUT_MS,
  };
  // No answer is no contradiction; the mount may well come before its workers.
  await client.stat('/' as ByteString, context).catch(() => undefined);
}

async function startMembership(parts: ClusterSideParts): Promise<Membership> {
  const { config, logger, events, knownWorkers } = parts;
  if (config.membershipSource === 'static') {
    return new StaticMembership({
      hosts: config.workerHosts,
      httpPort: config.workerHttpPort,
      s3Port: config.workerS3Port,
      clock: systemClock,
    });
  }
  const { etcdUsername, etcdPassword, etcdCaFile, etcdCertFile, etcdKeyFile } = config;
  const membership = new EtcdMembership({
    endpoints: config.etcdHosts,
    clusterName: config.clusterName,
    s3Port: config.workerS3Port,
    refreshMs: config.membershipRefreshMs,
    clock: systemClock,
    logger,
    events,
    knownWorkers,
    ...(etcdUsername === undefined || etcdPassword === undefined
      ? {}
      : { auth: { username: etcdUsername, password: etcdPassword } }),
    ...(etcdCaFile === undefined
      ? {}
      : {
          tls: {
            ca: readFileSync(etcdCaFile),
            ...(etcdCertFile === undefined ? {} : { certificate: readFileSync(etcdCertFile) }),
            ...(etcdKeyFile === undefined ? {} : { key: readFileSync(etcdKeyFile) }),
          },
        }),
  });
  // Programs wait for this life of the daemon: old knowledge now is better than news later.
  if (knownWorkers.length > 0) return membership;
  try {
    await membership.ready({
      signal: new AbortController().signal,
      deadlineMs: performance.now() + FIRST_VIEW_TIMEOUT_MS,
    });
  } catch (error) {
    const last = membership.lastError();
    await membership.close();
    if (error instanceof ClusterError && error.code === 'permission') throw error;
    throw new Error(
      `No answer from ${membership.source} within ${FIRST_VIEW_TIMEOUT_MS / 1000} s` +
        `${last === undefined ? '' : `: ${last}`}; check --etcd-hosts and --cluster-name`,
      { cause: error },
    );
  }
  return membership;
}
