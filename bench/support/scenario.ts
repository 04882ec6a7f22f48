import { setTimeout as pause } from 'node:timers/promises';
import type {
  Bench,
  CopierSubject,
  CurlSubject,
  LoadSubject,
  MountSubject,
  ProgramSubject,
} from '../subjects/subject.ts';
import type { Workload } from './workload.ts';
import type { Figures, Row } from './figures.ts';

/** Takes what the S3 server answers about empty files for broken: see s3-server.ts. */
export const BREAKS_ON_EMPTY = 'mountpoint';

export interface Scenario {
  readonly name: string;
  readonly rows: readonly Row[];
  /** One round each; a subject of whose kind there is no function takes no part. */
  mount?(subject: MountSubject, bench: Bench, round: number): Promise<Figures>;
  curl?(subject: CurlSubject, bench: Bench, round: number): Promise<Figures>;
  load?(subject: LoadSubject, bench: Bench, round: number): Promise<Figures>;
  program?(subject: ProgramSubject, bench: Bench, round: number): Promise<Figures>;
  copier?(subject: CopierSubject, bench: Bench, round: number): Promise<Figures>;
}

/** So many of something a second. */
export function rate(measured: { readonly seconds: number; readonly count: number }): number {
  return measured.count / measured.seconds;
}

export function megabytesPerSecond(bytes: number, seconds: number): number {
  return bytes / 1e6 / seconds;
}

/** A disk tier leaves out what comes faster than its disk takes it, until it is read once more. */
const FILLS_MAX = 4;
/** Some 5 GB/s are compared. */
const CHECK_MS = 2000;

/** Until the disk tier of the mount, if it has one, holds these files that were just read. */
export async function fillDiskTier(
  { diskTier, title }: MountSubject,
  workload: Workload,
  paths: readonly string[],
  bytes: number,
): Promise<void> {
  if (diskTier === undefined) return;
  for (let fill = 0; fill < FILLS_MAX; fill += 1) {
    if (await diskTier.settle(bytes)) {
      // Opening has them compared with their checksums, after which the kernel may read them by itself.
      await workload.drop(paths);
      await pause(CHECK_MS);
      return;
    }
    await diskTier.remount();
    for (const path of paths) await workload.sequential(path);
  }
  throw new Error(`${title}: after ${FILLS_MAX} reads the disk tier has not all of ${bytes} bytes`);
}

/**
 * Drops the kernel's pages of a file of a mount. Where the kernel reads a mount's file on the disk
 * itself (passthrough), the pages are those of that file, as they are for a local one, and stay.
 */
export async function evictFor(
  subject: MountSubject,
  workload: Workload,
  path: string,
): Promise<void> {
  if (subject.diskTier === undefined) await workload.evict([path]);
  else await workload.drop([path]);
}
