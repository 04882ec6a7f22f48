/** The under store that a configuration names: for the library, and for the daemon of a mount. */
import type { Logger } from '../base/logger.ts';
import type { UfsRoot, UnderStore } from '../cluster/index.ts';
import type { MountConfig } from '../config/index.ts';
import { createUnderStore } from '../ufs/index.ts';

/** Undefined where none may be asked, or none can be. */
export function underStoreOf(
  config: MountConfig,
  root: UfsRoot,
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
  return createUnderStore(root, { s3 }, logger);
}
