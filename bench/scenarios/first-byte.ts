/** How long a program waits for the first bytes of a file of 110 kB; the server is idle meanwhile. */
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import { FRESH_FILES } from '../support/data-set.ts';
import type { Figures } from '../support/figures.ts';
import type { Scenario } from '../support/scenario.ts';

const FILES = 200;
/** Read before, so that a new process is not measured with its start. */
const WARM_UP_FILES = 100;

const row = (id: string, title: string, meaning: string) =>
  ({ id, title, unit: 'ms', better: 'lower', meaning }) as const;

export const firstByte: Scenario = {
  name: 'first-byte',
  rows: [
    row(
      'first-byte',
      'first byte, mount cold',
      `open and read of 4 KiB; the mount has not seen the file, the server has it in its cache. The median of ${FILES} files, one after the other.`,
    ),
    row(
      'first-byte-server-cold',
      'first byte, server and mount cold',
      `The same where the server has not seen the files either (${FRESH_FILES} of them).`,
    ),
  ],

  async mount(subject: MountSubject, { data, workload }: Bench): Promise<Figures> {
    const of = (paths: readonly string[]): string[] =>
      paths.map((path) => join(subject.folder, path));
    const figures: Record<string, number> = {};
    await subject.restart();
    // From the end of the list: what is read ahead of them is not what is measured.
    await workload.beginnings(of(data.small.slice(-WARM_UP_FILES)));
    const warm = await workload.beginnings(of(data.small.slice(0, FILES)));
    figures['first-byte'] = warm.medianSeconds * 1000;
    if (!subject.hasServerCache) return figures;
    const fresh = await workload.beginnings(of(await data.fresh()));
    await data.removeFresh();
    return { ...figures, 'first-byte-server-cold': fresh.medianSeconds * 1000 };
  },

  async curl(subject: CurlSubject, { data }: Bench): Promise<Figures> {
    const { urls, dataPath } = subject;
    const known = data.small.slice(0, FILES);
    if (dataPath === 'page') {
      const seconds = await subject.firstByte(known.map((path) => ({ url: urls.page(path, 0) })));
      return { 'first-byte': seconds * 1000 };
    }
    const objects = (paths: readonly string[]) => paths.map((path) => ({ url: urls.object(path) }));
    const warm = await subject.firstByte(objects(known));
    const fresh = await subject.firstByte(objects(await data.fresh()));
    await data.removeFresh();
    return { 'first-byte': warm * 1000, 'first-byte-server-cold': fresh * 1000 };
  },
};
