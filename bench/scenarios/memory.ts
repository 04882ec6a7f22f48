/** What our mount takes of memory: for names that it knows, and while four programs read. */
import { mkdir, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { optionList } from '../../src/config/index.ts';
import type { Bench, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { residentBytes } from '../support/kernel.ts';
import type { Scenario } from '../support/scenario.ts';

const DIRECTORIES = 100;
const NAMES_EACH = 10_000;
const NAMES = DIRECTORIES * NAMES_EACH;
const READERS = 4;
const READ_SECONDS_MAX = 120;
const SAMPLE_MS = 100;
/** A heap gives back what a burst took only some time later. */
const CALM_MS = 5000;
/** A default may depend on who mounts. */
const ROOT = { uid: 0, gid: 0, env: {} };

export const memory: Scenario = {
  name: 'memory',
  rows: [
    {
      id: 'memory-names',
      title: 'memory for a million names',
      unit: 'MB',
      better: 'lower',
      meaning: `Resident set of all processes of the mount, the program itself counted once, after \`ls -lR\` of ${DIRECTORIES} directories of ${NAMES_EACH} files, less that after the first directory, for a million. One run only: it takes minutes.`,
    },
    {
      id: 'memory-streams',
      title: 'memory beyond the limit, 4 readers',
      unit: 'MB',
      better: 'lower',
      meaning:
        'The most that the resident set of all processes of the mount, the program itself counted once, exceeds --memory-limit by while 4 programs read a file of 500 MB each.',
    },
  ],

  async mount(subject: MountSubject, bench: Bench, round: number): Promise<Figures> {
    const figures: Record<string, number> = {};
    if (subject.id.startsWith('ours')) {
      figures['memory-streams'] = (await whileStreaming(subject, bench)) / 1e6;
    }
    if (round === 0 && subject.id === 'ours-dev') {
      figures['memory-names'] = (await forNames(subject, bench)) / 1e6;
    }
    return figures;
  },
};

async function whileStreaming(subject: MountSubject, { data, workload }: Bench): Promise<number> {
  const files = (await data.streams(READERS)).map((path) => join(subject.folder, path));
  await subject.restart();
  const pids = subject.pids();
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(pids));
  }, SAMPLE_MS);
  try {
    await workload.files(files, READERS, READ_SECONDS_MAX);
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, residentBytes(pids)) - limitBytes(subject);
}

function limitBytes({ detail }: MountSubject): number {
  if (detail.includes('--memory-limit')) throw new Error('The default of --memory-limit is meant');
  return optionList.find(({ row }) => row.key === 'memory-limit')?.row.fallback(ROOT) as number;
}

async function forNames(subject: MountSubject, { data, workload }: Bench): Promise<number> {
  const tree = join(data.folder, 'names');
  try {
    for (let i = 0; i < DIRECTORIES; i += 1) {
      const directory = join(tree, String(i));
      await mkdir(directory, { recursive: true });
      await workload.make(directory, NAMES_EACH);
    }
    await subject.restart();
    await workload.command('ls', '-lU', join(subject.folder, 'names', '0'));
    await pause(CALM_MS);
    const before = residentBytes(subject.pids());
    await workload.command('ls', '-lUR', join(subject.folder, 'names'));
    await pause(CALM_MS);
    const after = residentBytes(subject.pids());
    return ((after - before) / (NAMES - NAMES_EACH)) * NAMES;
  } finally {
    await subject.stop();
    await rm(tree, { recursive: true, force: true });
  }
}
