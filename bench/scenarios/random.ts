/** Reads of 4 KiB at random places of a file of 500 MB. */
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import { BIG_BYTES } from '../support/data-set.ts';
import type { Figures } from '../support/figures.ts';
import { rate } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const COLD_READS = 500;
const WARM_READS = 30_000;
const CURL_READS = 300;
/** Peers that cache nothing answer some hundred a second. */
const SECONDS_MAX = 8;

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
  ],

  async mount(subject: MountSubject, { data, workload }: Bench, round: number): Promise<Figures> {
    const file = join(subject.folder, data.big);
    const options = { count: WARM_READS, threads: 1, seconds: SECONDS_MAX, seed: 2 * round };
    await subject.restart();
    if (subject.kind === 'local') await workload.evict([file]);
    const cold = await workload.random(file, { ...options, count: COLD_READS });
    await workload.sequential(file);
    await workload.evict([file]);
    // The limit of a local file is the kernel's cache: its disk is no figure of a cache.
    if (subject.kind === 'local') await workload.sequential(file);
    const warm = await workload.random(file, { ...options, seed: 2 * round + 1 });
    await workload.evict([file]);
    if (subject.kind === 'local') await workload.sequential(file);
    const warm8 = await workload.random(file, { ...options, threads: 8, seed: 2 * round + 1 });
    return { 'random-cold': rate(cold), 'random-warm': rate(warm), 'random-warm-8': rate(warm8) };
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
