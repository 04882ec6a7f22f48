/** The under store that a configuration names: for the library, and for the daemon of a mount. */
import type { Logger } from '../base/logger.ts';
import { MountedUnderStore } from '../cluster/index.ts';
import type { MountTable, UnderStore } from '../cluster/index.ts';
import type { MountConfig } from '../config/index.ts';
import { createUnderStore } from '../ufs/index.ts';

/** Undefined where none may be asked, or none can be. */
export function underStoreOf(
  config: MountConfig,
  table: MountTable,
  logger: Logger,
): UnderStore | undefined {
  if (config.underStoreFallback === 'off') return undefined;
  const { s3Endpoint, s3Region, s3PathStyle, s3Anonymous, s3Profile } = config;
  const s3 = {
    endpoint: s3Endpoint,
    region: s3Region,
    pathStyle: s3PathStyle === 'auto' ? undefined : s3PathStyle === 'on',
    anonymous: s3Anonymous,
    profile: s3Profile,
  };
  const { mounts } = table;
  const [first] = mounts;
  if (mounts.length === 1 && first?.path === '/')
    return createUnderStore(first.root, { s3 }, logger);
  const stores = new Map<(typeof mounts)[number], UnderStore>();
  for (const mount of mounts) {
    const store = createUnderStore(mount.root, { s3 }, logger);
    if (store !== undefined) stores.set(mount, store);
  }
  return stores.size === 0 ? undefined : new MountedUnderStore(table, stores);
}
