/** The index of a cache directory after a restart. */
import type { ProgramSubject } from '../subjects/subject.ts';
import type { Scenario } from '../support/scenario.ts';

const row = (id: string, title: string, meaning: string) =>
  ({ id, title, unit: 'ms', better: 'lower', meaning }) as const;

export const diskIndex: Scenario = {
  name: 'disk-index',
  rows: [
    row('index-open', 'cache directory opened', 'A million files; from then on it serves.'),
    row('index-loaded', 'whole index read', 'Until then, files not read yet are fetched.'),
    row('index-turn', 'longest turn meanwhile', 'The longest that others wait for the thread.'),
  ],
  program: (subject: ProgramSubject) => subject.run('disk-index'),
};
