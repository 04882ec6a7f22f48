/** The cluster layer for a library: what a mount's daemon builds, without what only a mount needs. */
import { ignoredEvents } from '../cluster/cluster-events.ts';
import { EtcdMembership } from '../cluster/index.ts';
import type { CallContext } from '../cluster/index.ts';
import { clusterOf, membershipOf } from './configured-cluster.ts';
import type { ClusterParts, ClusterSetting } from './configured-cluster.ts';
import { AlluxioError, hasCode } from './errors.ts';

/** An etcd that elects a leader is back by then; whoever types a command is still there. */
const FIRST_VIEW_MS = 10_000;

/**
 * Waits for the first view: without one, every call would fail for want of workers, unless there is an
 * under store that can be asked instead.
 */
export async function openCluster(
  parts: Omit<ClusterSetting, 'events'>,
  context: CallContext,
): Promise<ClusterParts> {
  const setting = { ...parts, events: ignoredEvents };
  const membership = membershipOf(setting);
  const problem =
    membership instanceof EtcdMembership ? await whyUnknown(membership, context) : undefined;
  const cluster = await clusterOf(setting, membership, context).catch((error: unknown) => {
    throw problem ?? error;
  });
  if (problem === undefined) {
    if (membership instanceof EtcdMembership) warnOfNobody(parts, membership);
    return cluster;
  }
  if (cluster.routed.status().underStoreFallback === 'off') {
    await cluster.cluster.close();
    throw problem;
  }
  const message = 'No worker is known: what the under store has is read from there';
  parts.logger.warn({ reason: problem.reason }, message);
  return cluster;
}

/** Else the under store is read without a word, or every call fails one by one. */
function warnOfNobody(
  { config, logger }: Omit<ClusterSetting, 'events'>,
  membership: EtcdMembership,
): void {
  if (membership.view().workers.length > 0) return;
  const { clusterName } = config;
  const message =
    `No worker of the cluster ${clusterName} is registered; check --cluster-name (clusterName), or ` +
    'start workers. What the under store has is read from there, where this machine reaches it';
  logger.warn({ clusterName, source: membership.source }, message);
}

/** Why there is no first view; throws where waiting for one makes no sense. */
async function whyUnknown(
  membership: EtcdMembership,
  { signal, deadlineMs }: CallContext,
): Promise<AlluxioError | undefined> {
  const firstViewMs = performance.now() + FIRST_VIEW_MS;
  try {
    await membership.ready({ signal, deadlineMs: Math.min(deadlineMs, firstViewMs) });
    return undefined;
  } catch (error) {
    if (hasCode(error, 'permission', 'cancelled')) {
      await membership.close();
      throw error;
    }
    const last = membership.lastError();
    const reason = `No answer from ${membership.source}${last === undefined ? '' : `: ${last}`}`;
    return new AlluxioError('unavailable', reason, { retryable: true, cause: error });
  }
}
