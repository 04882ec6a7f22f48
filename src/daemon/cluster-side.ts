/** Builds the cluster layer from the configuration: membership, worker client, routing, fallback. */
import type { Logger } from '../base/logger.ts';
import { clusterOf, membershipOf } from '../client/configured-cluster.ts';
import type { MountsChange } from '../client/told-mounts.ts';
import { ClusterError, EtcdMembership } from '../cluster/index.ts';
import type {
  ClusterClient,
  ClusterEvents,
  ClusterWriter,
  Membership,
  MountTable,
  RoutedClient,
  Worker,
} from '../cluster/index.ts';
import type { ConfiguredMount, MountConfig } from '../config/index.ts';

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

/** As long as a worker that is slow to answer; there are others to ask. */
const MOUNTS_TIMEOUT_MS = 20_000;

export interface ClusterSideParts {
  readonly config: MountConfig;
  readonly logger: Logger;
  readonly events: ClusterEvents;
  /** As last known to an earlier life of the daemon. */
  readonly knownWorkers: readonly Worker[];
  readonly onWorkers: (workers: readonly Worker[]) => void;
  readonly learnedVirtualNodes: number | undefined;
  /** Where the configuration leaves the mounts to the cluster: those that are gone by. */
  readonly onMounts: (mounts: readonly ConfiguredMount[]) => void;
  /** The cluster has others. Returns whether to go by them at once. */
  readonly onOtherMounts: (change: MountsChange) => boolean;
  readonly onVirtualNodes: (learned: number) => void;
}

export interface ClusterSide {
  /** Owns what it was built from: closing it closes all. */
  readonly cluster: ClusterClient;
  readonly writer: ClusterWriter;
  readonly mounts: MountTable;
}

export async function startClusterSide(parts: ClusterSideParts): Promise<ClusterSide> {
  const { logger } = parts;
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
  const deadlineMs = performance.now() + MOUNTS_TIMEOUT_MS;
  const context = { signal: new AbortController().signal, deadlineMs };
  const { routed, cluster, config } = await clusterOf(
    { config: parts.config, logger, events },
    membership,
    context,
    { learnedVirtualNodes: parts.learnedVirtualNodes, onMounts: parts.onOtherMounts },
  );
  if (parts.config.mounts.length === 0) parts.onMounts(config.mounts);
  // Later lives are waited for by programs, and the check was made in the first.
  if (parts.knownWorkers.length === 0) await askForRoots(routed);
  return { cluster, writer: routed.writer, mounts: routed.mounts };
}

/** Of each mount: any entry tells where it lies. */
async function askForRoots(client: RoutedClient): Promise<void> {
  const context = {
    signal: new AbortController().signal,
    deadlineMs: performance.now() + ROOT_TIMEOUT_MS,
  };
  // No answer is no contradiction; the mount may well come before its workers.
  const asked = client.mounts.mounts.map(({ path }) => client.stat(path, context));
  await Promise.allSettled(asked);
}

async function startMembership(parts: ClusterSideParts): Promise<Membership> {
  const { knownWorkers } = parts;
  const membership = membershipOf(parts, knownWorkers);
  if (!(membership instanceof EtcdMembership)) return membership;
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
        `${last === undefined ? '' : `: ${last.replace(/\.? Resolution note: $/, '')}`}; check --etcd-hosts and --cluster-name`,
      { cause: error },
    );
  }
  return membership;
}
