/** Listings of directories of 3,000 and 10,000 entries by ls. */
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures, Row } from '../support/figures.ts';
import { BREAKS_ON_EMPTY } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const DIRECTORIES = [
  { size: '3000', shown: '3,000', path: 'small' },
  { size: '10000', shown: '10,000', path: 'many' },
] as const;
const COMMANDS = ['-f', '-l'] as const;

const rows: Row[] = DIRECTORIES.flatMap(({ size, shown }) =>
  COMMANDS.flatMap((option) => [
    {
      id: `ls${option}-${size}`,
      title: `ls ${option} of ${shown}, first`,
      unit: 'ms',
      better: 'lower' as const,
      meaning: `\`ls ${option}\` of a directory of ${shown} files, the mount is new.`,
    },
    {
      id: `ls${option}-${size}-again`,
      title: `ls ${option} of ${shown}, again`,
      unit: 'ms',
      better: 'lower' as const,
      meaning: 'The same at once after it.',
    },
  ]),
);

const find: Row = {
  id: 'find',
  title: 'find over 1,000 directories',
  unit: 'ms',
  better: 'lower',
  meaning:
    '`find` of a tree of 1,000 directories of 20 files each; the mount is new, the server knows it.',
};

export const readdir: Scenario = {
  name: 'readdir',
  rows: [...rows, find],

  async mount(subject: MountSubject, { data, workload }: Bench, round: number): Promise<Figures> {
    const figures: Record<string, number> = {};
    if (subject.id !== BREAKS_ON_EMPTY) {
      const tree = join(subject.folder, await data.tree(workload));
      if (round === 0) {
        await subject.restart();
        await workload.command('find', tree);
      }
      await subject.restart();
      figures['find'] = (await workload.command('find', tree)).seconds * 1000;
    }
    for (const option of COMMANDS) {
      await subject.restart();
      for (const { size, path } of DIRECTORIES) {
        const directory = join(subject.folder, path);
        const first = await workload.command('ls', option, directory);
        const again = await workload.command('ls', option, directory);
        figures[`ls${option}-${size}`] = first.seconds * 1000;
        figures[`ls${option}-${size}-again`] = again.seconds * 1000;
      }
    }
    return figures;
  },

  async curl(subject: CurlSubject): Promise<Figures> {
    if (subject.dataPath === 's3') return {};
    const figures: Record<string, number> = {};
    for (const { size, path } of DIRECTORIES) {
      const seconds = await subject.fetch([{ url: subject.urls.list(path) }], 1);
      figures[`ls-f-${size}`] = seconds * 1000;
    }
    return figures;
  },
};
