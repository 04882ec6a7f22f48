/** A directory of 100,000 entries: when its first one comes, and how long all of them take. */
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { BREAKS_ON_EMPTY } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const SHOWN = '100,000';
/** A stat for each entry takes these minutes, which says nothing that 10,000 do not. */
const SLOW = new Set(['alluxio-fuse', 'rclone', 's3fs']);

const row = (id: string, title: string, meaning: string) =>
  ({ id, title, unit: 'ms', better: 'lower', meaning }) as const;

export const listing: Scenario = {
  name: 'listing',
  rows: [
    row(
      'first-entry',
      `first entry of ${SHOWN}`,
      "opendir and readdir until the first name; the mount is new, the server knows the listing. curl: the answer's first byte.",
    ),
    row('ls-f-100000', `ls -f of ${SHOWN}`, 'The mount is new once more. curl: the whole answer.'),
    row('ls-l-100000', `ls -l of ${SHOWN}`, 'The mount is new once more.'),
    row(
      'stat-beside-100000',
      `slowest stat beside ls -f of ${SHOWN}`,
      'Of another file whose attributes are known, asked a thousand times a second past what the kernel knows, while a new mount lists.',
    ),
  ],

  async mount(subject: MountSubject, { data, workload }: Bench, round: number): Promise<Figures> {
    if (subject.id === BREAKS_ON_EMPTY) return {};
    const directory = join(subject.folder, await data.huge(workload));
    if (round === 0 || subject.kind === 'local') {
      await subject.restart();
      await workload.command('ls', '-f', directory);
    }
    await subject.restart();
    const first = await workload.firstEntry(directory);
    await subject.restart();
    const names = await workload.command('ls', '-f', directory);
    await subject.restart();
    const file = join(subject.folder, data.first);
    await workload.stat([file], 1);
    const { slowestSeconds } = await workload.commandBeside(file, 'ls', '-f', directory);
    const figures = {
      'first-entry': first.seconds * 1000,
      'ls-f-100000': names.seconds * 1000,
      'stat-beside-100000': slowestSeconds * 1000,
    };
    if (SLOW.has(subject.id)) return figures;
    await subject.restart();
    const all = await workload.command('ls', '-l', directory);
    return { ...figures, 'ls-l-100000': all.seconds * 1000 };
  },

  async curl(subject: CurlSubject, { data, workload }: Bench): Promise<Figures> {
    if (subject.dataPath === 's3') return {};
    const request = { url: subject.urls.list(await data.huge(workload)) };
    return {
      'first-entry': (await subject.firstByte([request])) * 1000,
      'ls-f-100000': (await subject.fetch([request], 1)) * 1000,
    };
  },
};
