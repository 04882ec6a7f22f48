/** The cache directory of a mount that is not there, for commands that look at it. */
import { BackingFiles } from './backing-files.ts';
import { DiskTier } from './disk-tier.ts';
import { pageSizeOfLog } from './index-log.ts';
import type { DiskEvents } from './types.ts';

/** Undefined where there is no cache; rejects with a `DirectoryInUseError` while a daemon has it. */
export async function openStopped(
  directory: string,
  events: DiskEvents,
): Promise<DiskTier | undefined> {
  const pageSizeBytes = await pageSizeOfLog(new BackingFiles(directory).indexPath);
  if (pageSizeBytes === undefined) return undefined;
  const tier = await DiskTier.open({
    directories: [directory],
    // Its bounds are the next mount's to keep.
    limitBytes: Number.MAX_SAFE_INTEGER,
    freeSpace: { bytes: 0 },
    pageSizeBytes,
    place: '',
    holder: { pid: process.pid },
    isForgiving: false,
    events,
  });
  await tier.loaded();
  return tier;
}
