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
import type {
  CallContext,
  ClusterClient,
  ClusterEvents,
  Membership,
  UfsRoot,
  Worker,
} from '../cluster/index.ts';
import { parsePathRules, type PathRules } from '../cluster/mapping/path-rules.ts';
import { VirtualPaths } from '../cluster/mapping/virtual-paths.ts';
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
async function withMounts(
  setting: ClusterSetting,
  membership: Membership,
  context: CallContext,
): Promise<MountConfig> {
  const { config } = setting;
  if (config.mounts.length > 0) return config;
  const client = createWorkerClient(workerOptionsOf(setting));
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
  const root = /^[^/]*\/\/[^/]*:[^/]*@/.test(ufs) ? undefined : usableRoot(ufs);
  if (root === undefined) {
    const message = 'The worker tells a mount whose URI cannot be used';
    throw new ClusterError('protocol', message, { path });
  }
  return {
    path: textOfByteString(normaliseAlluxioPath(byteStringOfText(path))) ?? path,
    ufs: textOfByteString(root.uri) ?? ufs,
  };
}

function usableRoot(uri: string): UfsRoot | undefined {
  try {
    return parseUfsRoot(uri);
  } catch {
    return undefined;
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

type More = Pick<RoutedClientOptions, 'learnedVirtualNodes'>;

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
  const mounts = mountTableOf(config);
  const rules = pathRulesOf(config);
  const ufsRootCheck = new UfsRootCheck({ mounts, logger, events });
  const worker = createWorkerClient({
    ...workerOptionsOf(setting),
    onUfsPath: (from, path, ufsPath) => ufsRootCheck.note(from, path, ufsPath),
  });
  const routed = new RoutedClient({
    ...more,
    uploadStrategy: config.uploadStrategy,
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
    routing: config.routing,
    commonPorts: { httpPort: config.workerHttpPort, s3Port: config.workerS3Port },
    clock: systemClock,
    logger,
    events,
  });
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
