/** A client of all workers of a devcluster, as nobody's daemon. */
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { ignoredEvents } from '../../src/cluster/cluster-events.ts';
import { createWorkerClient, MountTable, RoutedClient } from '../../src/cluster/index.ts';
import { ViewHolder } from '../../src/cluster/membership/membership.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { TEST_PAGE_SIZE_BYTES } from './devcluster.ts';
import { heldMembership } from './held-membership.ts';

export function routedClientOf(
  cluster: Devcluster,
  options: Partial<ConstructorParameters<typeof RoutedClient>[0]> = {},
): RoutedClient {
  const holder = new ViewHolder();
  holder.replace(cluster.workers.map(({ config }) => ({ ...config, version: 1 })));
  return new RoutedClient({
    client: createWorkerClient({ pageSizeBytes: TEST_PAGE_SIZE_BYTES }),
    membership: heldMembership(holder),
    mounts: MountTable.ofRoot(cluster.info.ufs),
    pageSizeBytes: TEST_PAGE_SIZE_BYTES,
    virtualNodes: 5,
    clock: systemClock,
    logger: silentLogger,
    events: ignoredEvents,
    ...options,
  });
}
