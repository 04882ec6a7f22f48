/** Code of ours in a process of its own: what it costs without a kernel and without a server. */
import { runCommand } from '../support/children.ts';
import type { Figures } from '../support/figures.ts';
import type { ProgramSubject } from './subject.ts';

const PROGRAM_MS = 120_000;

export function programSubject(): ProgramSubject {
  return {
    kind: 'program',
    id: 'program',
    title: 'ours, no mount',
    detail: 'the code alone, a new process for each run',
    run: async (name) => {
      const file = new URL(`../programs/${name}.js`, import.meta.url).pathname;
      const out = await runCommand(process.execPath, [file], { timeoutMs: PROGRAM_MS });
      return JSON.parse(out) as Figures;
    },
    stop: async () => {},
  };
}
