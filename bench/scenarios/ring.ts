/** The consistent-hash ring of a large cluster. */
import type { ProgramSubject } from '../subjects/subject.ts';
import type { Scenario } from '../support/scenario.ts';

const row = (id: string, title: string, unit: string, meaning: string) =>
  ({ id, title, unit, better: 'lower', meaning }) as const;

export const ring: Scenario = {
  name: 'ring',
  rows: [
    row('ring-build', 'ring built', 'ms', '1,000 workers of 2,000 virtual nodes each.'),
    row('ring-look-up', 'path looked up', 'µs', 'The owner of a path in it; a million look-ups.'),
  ],
  program: (subject: ProgramSubject) => subject.run('ring'),
};
