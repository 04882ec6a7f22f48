/** One program reads one file of 500 MB from start to end, 1 MiB a call, and what that costs. */
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import { BIG_BYTES, FIRST_BYTES } from '../support/data-set.ts';
import type { Figures } from '../support/figures.ts';
import { cpuSeconds } from '../support/kernel.ts';
import { evictFor, fillDiskTier, megabytesPerSecond } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const GIGABYTES = BIG_BYTES / 1e9;
/** What our mount asks for in one request on the S3 port. */
const S3_RANGE_BYTES = 4 * 1024 * 1024;

export const sequential: Scenario = {
  name: 'sequential',
  rows: [
    {
      id: 'seq-first',
      title: 'read 300 MB, first file of a new mount',
      unit: 'MB/s',
      better: 'higher',
      meaning: 'Nothing was read through the mount before: its program is not warm either.',
    },
    {
      id: 'seq-cold',
      title: 'read 500 MB, not cached by the mount',
      unit: 'MB/s',
      better: 'higher',
      meaning:
        'The next file, which the mount has never seen; the server has it in its cache. Local: from the disk.',
    },
    {
      id: 'seq-again',
      title: 'read 500 MB again, kernel cold',
      unit: 'MB/s',
      better: 'higher',
      meaning:
        "The kernel's pages of the file are dropped: what the mount itself holds answers. Local, and the disk tier where the kernel reads its files itself: from the kernel's cache.",
    },
    {
      id: 'seq-kernel',
      title: 'read 500 MB again',
      unit: 'MB/s',
      better: 'higher',
      meaning: 'Once more, nothing dropped: what a program sees that reads a file twice.',
    },
    {
      id: 'seq-restart',
      title: 'read 500 MB, mounted again',
      unit: 'MB/s',
      better: 'higher',
      meaning: 'Unmounted and mounted since the first read: what the disk tier has kept.',
    },
    {
      id: 'cpu-cold',
      title: 'processor time of the mount, cold',
      unit: 's/GB',
      better: 'lower',
      meaning: 'User and system seconds of all processes of the mount during the cold read.',
    },
    {
      id: 'cpu-again',
      title: 'processor time of the mount, kernel cold',
      unit: 's/GB',
      better: 'lower',
      meaning:
        "The same during the second read; of the disk tier the kernel's own reads (passthrough).",
    },
  ],

  async mount(subject: MountSubject, { data, workload }: Bench): Promise<Figures> {
    const file = join(subject.folder, data.big);
    await subject.restart();
    if (subject.kind === 'local') {
      await workload.evict([file]);
      const cold = await workload.sequential(file);
      const kernel = await workload.sequential(file);
      return {
        'seq-cold': megabytesPerSecond(BIG_BYTES, cold.seconds),
        'seq-again': megabytesPerSecond(BIG_BYTES, kernel.seconds),
        'seq-kernel': megabytesPerSecond(BIG_BYTES, kernel.seconds),
      };
    }
    const first = join(subject.folder, data.first);
    const program = checked(await workload.sequential(first), FIRST_BYTES);
    const before = cpuSeconds(subject.pids());
    const cold = checked(await workload.sequential(file));
    const between = cpuSeconds(subject.pids());
    await fillDiskTier(subject, workload, [first, file], BIG_BYTES + FIRST_BYTES);
    await evictFor(subject, workload, file);
    const afterEviction = cpuSeconds(subject.pids());
    const again = checked(await workload.sequential(file));
    const after = cpuSeconds(subject.pids());
    const kernel = checked(await workload.sequential(file));
    const restarted: Record<string, number> = {};
    if (subject.diskTier !== undefined) {
      await subject.diskTier.remount();
      const seconds = checked(await workload.sequential(file));
      restarted['seq-restart'] = megabytesPerSecond(BIG_BYTES, seconds);
    }
    return {
      ...restarted,
      'seq-first': megabytesPerSecond(FIRST_BYTES, program),
      'seq-cold': megabytesPerSecond(BIG_BYTES, cold),
      'seq-again': megabytesPerSecond(BIG_BYTES, again),
      'seq-kernel': megabytesPerSecond(BIG_BYTES, kernel),
      'cpu-cold': (between - before) / GIGABYTES,
      'cpu-again': (after - afterEviction) / GIGABYTES,
    };
  },

  async curl(subject: CurlSubject, { data }: Bench): Promise<Figures> {
    const { urls } = subject;
    const step = subject.dataPath === 'page' ? urls.pageSizeBytes : S3_RANGE_BYTES;
    const requests = Array.from({ length: Math.ceil(BIG_BYTES / step) }, (_, i) =>
      subject.dataPath === 'page'
        ? { url: urls.page(data.big, i) }
        : { url: urls.object(data.big), range: `${i * step}-${(i + 1) * step - 1}` },
    );
    return { 'seq-cold': megabytesPerSecond(BIG_BYTES, await subject.fetch(requests, 1)) };
  },
};

function checked(
  measured: { readonly seconds: number; readonly bytes: number },
  bytes = BIG_BYTES,
): number {
  if (measured.bytes !== bytes) throw new Error(`Read ${measured.bytes} of ${bytes} bytes`);
  return measured.seconds;
}
