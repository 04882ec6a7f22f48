/** What our mount costs while nobody uses it. */
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import type { Bench, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { cpuSeconds } from '../support/kernel.ts';
import type { Scenario } from '../support/scenario.ts';

const MINUTE_MS = 60_000;
/**
 * What was read ahead, and a heap that is tidied up, belong to the work before: V8 begins with that 8 s after
 * it, and does it several times.
 */
const CALM_MS = 30_000;

export const idle: Scenario = {
  name: 'idle',
  rows: [
    {
      id: 'idle-cpu',
      title: 'processor time of a minute without use',
      unit: 's/min',
      better: 'lower',
      meaning:
        'User and system seconds of all processes of the mount in a minute, half a minute after a directory was listed and a file read.',
    },
  ],

  async mount(subject: MountSubject, { data, workload, ours }: Bench): Promise<Figures> {
    if (subject.id !== ours) return {};
    await subject.restart();
    await workload.command('ls', '-l', join(subject.folder, 'small'));
    await workload.sequential(join(subject.folder, data.first));
    await pause(CALM_MS);
    const before = cpuSeconds(subject.pids());
    await pause(MINUTE_MS);
    return { 'idle-cpu': cpuSeconds(subject.pids()) - before };
  },
};
