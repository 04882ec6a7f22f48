/** Reads of 4 KiB at random places of a file of 500 MB. */
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import { BIG_BYTES } from '../support/data-set.ts';
import type { Figures } from '../support/figures.ts';
import { evictFor, fillDiskTier, rate } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const COLD_READS = 500;
const WARM_READS = 30_000;
const CURL_READS = 300;
/** Peers that cache nothing answer some hundred a second. */
const SECONDS_MAX = 4;

export const random: Scenario = {
  name: 'random',
  rows: [
    {
      id: 'random-cold',
      title: 'random 4 KiB, mount cold',
      unit: 'reads/s',
      better: 'higher',
      meaning: `The first ${COLD_READS} reads of a file that the mount has not seen; 1 thread.`,
    },
    {
      id: 'random-warm',
      title: 'random 4 KiB, 1 thread, kernel cold',
      unit: 'reads/s',
      better: 'higher',
      meaning: "After the whole file was read and the kernel's pages were dropped.",
    },
    {
      id: 'random-warm-8',
      title: 'random 4 KiB, 8 threads, kernel cold',
      unit: 'reads/s',
      better: 'higher',
      meaning: 'The same by 8 threads of one program.',
    },
    {
      id: 'random-kernel',
      title: 'random 4 KiB, 1 thread, nothing dropped',
      unit: 'reads/s',
      better: 'higher',
      meaning: 'After the whole file was read once more.',
    },
  ],

  async mount(subject: MountSubject, { data, workload }: Bench, round: number): Promise<Figures> {
    const file = join(subject.folder, data.big);
    const options = { count: WARM_READS, threads: 1, seconds: SECONDS_MAX, seed: 2 * round };
    await subject.restart();
    if (subject.kind === 'local') await workload.evict([file]);
    const cold = await workload.random(file, { ...options, count: COLD_READS });
    await workload.sequential(file);
    await fillDiskTier(subject, workload, [file], BIG_BYTES);
    const warm = async (threads: number): Promise<number> => {
      // The limit of a local file is the kernel's cache: its disk is no figure of a cache.
      if (subject.kind === 'local') await workload.sequential(file);
      else await evictFor(subject, workload, file);
      return rate(await workload.random(file, { ...options, threads, seed: 2 * round + 1 }));
    };
    const one = await warm(1);
    const eight = await warm(8);
    await workload.sequential(file);
    const kernel = await workload.random(file, { ...options, seed: 2 * round + 1 });
    return {
      'random-cold': rate(cold),
      'random-warm': one,
      'random-warm-8': eight,
      'random-kernel': rate(kernel),
    };
  },

  async curl(subject: CurlSubject, { data }: Bench, round: number): Promise<Figures> {
    // The page endpoint of open source gives whole pages only.
    if (subject.dataPath === 'page') return {};
    const requests = Array.from({ length: CURL_READS }, (_, i) => {
      const offset = ((((i + 1) * 7919 + round) * 4096 * 13) % (BIG_BYTES - 4096)) & ~4095;
      return { url: subject.urls.object(data.big), range: `${offset}-${offset + 4095}` };
    });
    return { 'random-cold': CURL_READS / (await subject.fetch(requests, 1)) };
  },
};
