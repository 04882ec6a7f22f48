/** The under store that a configuration names: for the library, and for the daemon of a mount. */
import type { Logger } from '../base/logger.ts';
import { MountedUnderStore } from '../cluster/index.ts';
import type { MountPoint, MountTable, UnderStore } from '../cluster/index.ts';
import type { MountConfig } from '../config/index.ts';
import { createUnderStore, type S3Credentials } from '../ufs/index.ts';

/** Undefined where none may be asked, or none can be. */
export function underStoreOf(
  config: MountConfig,
  table: MountTable,
  logger: Logger,
  credentials?: S3Credentials,
): UnderStore | undefined {
  if (config.underStoreFallback === 'off') return undefined;
  const { s3Endpoint, s3Region, s3PathStyle, s3Anonymous, s3Profile } = config;
  const s3 = {
    endpoint: s3Endpoint,
    region: s3Region,
    pathStyle: s3PathStyle === 'auto' ? undefined : s3PathStyle === 'on',
    anonymous: s3Anonymous,
    profile: s3Profile,
    credentials,
  };
  const create = ({ root }: MountPoint): UnderStore | undefined =>
    createUnderStore(root, { s3 }, logger);
  const [first] = table.mounts;
  if (config.mountsFrom === 'cluster' || table.mounts.length > 1 || first?.path !== '/') {
    const mounted = new MountedUnderStore(table, create);
    return config.mountsFrom === 'cluster' || mounted.hasStores ? mounted : undefined;
  }
  return create(first);
}
