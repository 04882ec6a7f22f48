/** What a scenario has to know of a mount that keeps what it reads on a disk. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '../../test/support/wait.ts';

const BLOCK_BYTES = 512;
const SETTLE_MS = 60_000;
/** Nothing was written for so long; a mount asks again whether a file is complete after a second. */
const QUIET_MS = 1500;
const SAMPLE_MS = 200;

/** What the files below really take: those of a cache have holes. */
async function bytesOnDisk(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  let bytes = 0;
  for (const entry of entries.filter((one) => one.isFile())) {
    const status = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += (status?.blocks ?? 0) * BLOCK_BYTES;
  }
  return bytes;
}

export async function settle(directory: string, bytes: number): Promise<boolean> {
  let last = -1;
  let changedMs = performance.now();
  let sampledMs = 0;
  await waitFor(
    'the disk tier to be written',
    async () => {
      if (performance.now() - sampledMs < SAMPLE_MS) return false;
      sampledMs = performance.now();
      const now = await bytesOnDisk(directory);
      if (now !== last) changedMs = performance.now();
      last = now;
      return performance.now() - changedMs >= QUIET_MS;
    },
    SETTLE_MS,
  );
  return last >= bytes;
}

export async function emptyDiskTier(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
