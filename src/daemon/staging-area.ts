/** Where this mount keeps what the cluster does not have yet. */
import { join } from 'node:path';
import { NO_STAGING, StagingDirectory } from '../cache/index.ts';
import type { StagingArea } from '../cache/index.ts';
import type { MountConfig } from '../config/index.ts';
import type { Counters } from '../vfs/index.ts';
import { mountDirectory } from './state-dir.ts';

/** The journal and the staging files of one mount; they outlive it. */
export function journalDirectory(config: MountConfig): string {
  return mountDirectory(config.stagingDir, config.mountpoint);
}

export function stagingDirectory(config: MountConfig): string {
  return join(journalDirectory(config), 'staging');
}

export function stagingOf(
  config: MountConfig,
  incarnation: number,
  counters: Counters,
  onError: (error: unknown) => void,
): StagingArea {
  if (config.readOnly) return NO_STAGING;
  return new StagingDirectory({
    directory: stagingDirectory(config),
    limitBytes: config.stagingLimitBytes,
    // Lives of one mount, and mounts one after the other, never share a name.
    prefix: `${Date.now().toString(36)}-${incarnation}`,
    onError,
    onUsage(heldBytes, handedOverBytes) {
      counters.set('stagingBytes', heldBytes);
      counters.set('unsavedBytes', heldBytes - handedOverBytes);
    },
  });
}
