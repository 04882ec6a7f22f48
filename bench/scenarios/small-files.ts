/** Open, read and close of 3,000 files of 110 kB, by one thread and by eight. */
import { join } from 'node:path';
import type { Bench, CurlSubject, LoadSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { rate } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

/** Some peers read fifty a second. */
const SECONDS_MAX = 12;

const row = (id: string, title: string, meaning: string) =>
  ({ id, title, unit: 'files/s', better: 'higher', meaning }) as const;

const COLD = 'Neither the server nor the mount has seen these files (300 of them).';
const WARM =
  'The mount is new and knows no attributes; the server has the files in its cache. wrk: 16 connections.';
const AGAIN = 'The same files once more, nothing dropped.';

export const smallFiles: Scenario = {
  name: 'small-files',
  rows: [
    row('small-server-cold', 'small files, server and mount cold, 1 reader', COLD),
    row('small-server-cold-8', 'small files, server and mount cold, 8 readers', COLD),
    row('small-cold', 'small files, mount cold, 1 reader', WARM),
    row('small-cold-8', 'small files, mount cold, 8 readers', WARM),
    row('small-again', 'small files again, 1 reader', AGAIN),
    row('small-again-8', 'small files again, 8 readers', AGAIN),
  ],

  async mount(subject: MountSubject, { data, workload }: Bench): Promise<Figures> {
    const figures: Record<string, number> = {};
    const paths = data.small.map((path) => join(subject.folder, path));
    for (const [threads, suffix] of [
      [1, ''],
      [8, '-8'],
    ] as const) {
      if (subject.hasServerCache) {
        const fresh = await data.fresh();
        await subject.restart();
        const unseen = fresh.map((path) => join(subject.folder, path));
        const cold = await workload.files(unseen, threads, SECONDS_MAX);
        figures[`small-server-cold${suffix}`] = rate(cold);
      }
      await subject.restart();
      if (subject.kind === 'local') await workload.evict(paths);
      figures[`small-cold${suffix}`] = rate(await workload.files(paths, threads, SECONDS_MAX));
      figures[`small-again${suffix}`] = rate(await workload.files(paths, threads, SECONDS_MAX));
    }
    await data.removeFresh();
    return figures;
  },

  // By as many connections as it likes: eight readers of a mount may use more than eight, too.
  load: async (subject: LoadSubject, { data }: Bench): Promise<Figures> => ({
    'small-cold-8': await subject.rate(data.small),
  }),

  async curl(subject: CurlSubject, { data }: Bench): Promise<Figures> {
    const figures: Record<string, number> = {};
    const { urls, dataPath } = subject;
    for (const [atOnce, suffix] of [
      [1, ''],
      [8, '-8'],
    ] as const) {
      const known = data.small.map((path) => ({
        url: dataPath === 'page' ? urls.page(path, 0) : urls.object(path),
      }));
      figures[`small-cold${suffix}`] = known.length / (await subject.fetch(known, atOnce));
      if (dataPath === 'page') continue;
      const fresh = (await data.fresh()).map((path) => ({ url: urls.object(path) }));
      figures[`small-server-cold${suffix}`] = fresh.length / (await subject.fetch(fresh, atOnce));
    }
    await data.removeFresh();
    return figures;
  },
};
