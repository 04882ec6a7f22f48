/** The cluster layer for a library: what a mount's daemon builds, without what only a mount needs. */
import { ignoredEvents } from '../cluster/cluster-events.ts';
import { EtcdMembership } from '../cluster/index.ts';
import type { CallContext } from '../cluster/index.ts';
import { clusterOf, membershipOf } from './configured-cluster.ts';
import type { ClusterParts, ClusterSetting } from './configured-cluster.ts';
import { AlluxioError, hasCode } from './errors.ts';

/** Waits for the first view: without one, every call would fail for want of workers. */
export async function openCluster(
  parts: Omit<ClusterSetting, 'events'>,
  context: CallContext,
): Promise<ClusterParts> {
  const setting = { ...parts, events: ignoredEvents };
  const membership = membershipOf(setting);
  if (membership instanceof EtcdMembership) await isKnown(membership, context);
  return clusterOf(setting, membership, context);
}

async function isKnown(membership: EtcdMembership, context: CallContext): Promise<void> {
  try {
    await membership.ready(context);
  } catch (error) {
    const last = membership.lastError();
    await membership.close();
    if (hasCode(error, 'permission', 'cancelled')) throw error;
    const reason = `No answer from ${membership.source}${last === undefined ? '' : `: ${last}`}`;
    throw new AlluxioError('unavailable', reason, { retryable: true, cause: error });
  }
}
