/** Attributes of 3,000 files, one after the other. */
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { dropEntries } from '../support/kernel.ts';
import { rate } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const SECONDS_MAX = 20;

export const stat: Scenario = {
  name: 'stat',
  rows: [
    {
      id: 'stat-first',
      title: 'stat of 3,000 files, first',
      unit: 'stats/s',
      better: 'higher',
      meaning: 'The mount is new and has listed nothing.',
    },
    {
      id: 'stat-cached',
      title: 'stat of 3,000 files, attributes known',
      unit: 'stats/s',
      better: 'higher',
      meaning:
        "After `ls -l`; the kernel's entries and inodes of the files are dropped, so every stat reaches the mount.",
    },
  ],

  async mount(subject: MountSubject, { data, workload }: Bench): Promise<Figures> {
    const paths = data.small.map((path) => join(subject.folder, path));
    await subject.restart();
    if (subject.kind === 'local') dropEntries();
    const first = await workload.stat(paths, SECONDS_MAX);
    await workload.command('ls', '-l', join(subject.folder, 'small'));
    // Held open, the directory itself stays known to the kernel, and only what is in it goes.
    const directory = await opendir(join(subject.folder, 'small'));
    try {
      dropEntries();
      const cached = await workload.stat(paths, SECONDS_MAX);
      return { 'stat-first': rate(first), 'stat-cached': rate(cached) };
    } finally {
      await directory.close();
    }
  },

  async curl(subject: CurlSubject, { data }: Bench): Promise<Figures> {
    if (subject.dataPath === 's3') return {};
    const requests = data.small.map((path) => ({ url: subject.urls.info(path) }));
    return { 'stat-first': requests.length / (await subject.fetch(requests, 1)) };
  },
};
