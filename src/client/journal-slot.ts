/**
 * A directory with a journal for each process that changes the cluster at the same time. One that a
 * killed process left is taken first: its journal says what is to be finished or undone.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateDirectory } from '../base/private-directory.ts';
import { describeNameSpace } from '../config/index.ts';
import type { MountConfig } from '../config/index.ts';
import { AlluxioError, hasCode } from './errors.ts';

/** More processes than this at once should share one. */
const SLOTS_MAX = 256;

/** Clusters and roots have journals of their own: a path means something else in each. */
export function journalsDirectory(config: MountConfig): string {
  const id = createHash('sha256').update(describeNameSpace(config)).digest('hex').slice(0, 16);
  return join(config.stagingDir, `client-${id}`);
}

/** Of this process: the lock of a journal only keeps other ones out. */
const taken = new Set<string>();

/** For others once its journal is closed. */
export function releaseSlot(slot: string): void {
  taken.delete(slot);
}

/** `open` fails with `unavailable` where another process has the journal. */
export async function inFreeSlot<T>(
  directory: string,
  open: (slot: string) => Promise<T>,
): Promise<T> {
  try {
    makePrivateDirectory(directory);
  } catch (error) {
    const reason =
      `No directory for the journal of changes: ${(error as Error).message}; ` +
      'name another one (stagingDir, --staging-dir)';
    throw new AlluxioError('local', reason, { cause: error });
  }
  const slots = Array.from({ length: SLOTS_MAX }, (_, i) => join(directory, String(i)));
  const isLeft = (slot: string): boolean => existsSync(join(slot, 'journal.lock'));
  const ordered = [...slots.filter(isLeft), ...slots.filter((slot) => !isLeft(slot))];
  let last: unknown;
  for (const slot of ordered) {
    if (taken.has(slot)) continue;
    taken.add(slot);
    try {
      mkdirSync(slot, { recursive: true, mode: 0o700 });
      return await open(slot);
    } catch (error) {
      taken.delete(slot);
      if (!hasCode(error, 'unavailable')) throw error;
      last = error;
    }
  }
  const reason = `${SLOTS_MAX} processes change this cluster from here already`;
  throw new AlluxioError('unavailable', reason, { cause: last, retryable: true });
}
