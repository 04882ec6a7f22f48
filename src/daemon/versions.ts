/** Versions as the core and as the cluster layer write them. */
import type { FileVersion } from '../cluster/index.ts';
import type { VersionMessage } from '../vfs/index.ts';

export function versionOf({ lengthBytes, mtimeMs, contentHash }: VersionMessage): FileVersion {
  return { lengthBytes, mtimeMs, ...(contentHash === undefined ? {} : { contentHash }) };
}
