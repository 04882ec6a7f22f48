/** A directory of many files to the store and back, by a command, with what the command costs. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Bench, CopierSubject } from '../subjects/subject.ts';
import { runCommand } from '../support/children.ts';
import type { Figures } from '../support/figures.ts';
import { megabytesPerSecond } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const FILES = 20_000;
const FILE_BYTES = 100_000;
const DIRECTORIES = 20;
const BYTES = FILES * FILE_BYTES;
const SYNC_MS = 300_000;

const WHAT = `${FILES} files of ${FILE_BYTES} bytes in ${DIRECTORIES} directories`;
const speed = (id: string, title: string, meaning: string) =>
  ({ id, title, unit: 'MB/s', better: 'higher', meaning }) as const;
const cost = (id: string, title: string) =>
  ({
    id,
    title,
    unit: 'CPU s',
    better: 'lower',
    meaning: 'Of the command; not of the servers.',
  }) as const;

async function source({ root }: Bench['data']): Promise<string> {
  const directory = join(root, 'to-transfer');
  const marker = join(root, 'to-transfer-complete');
  if (existsSync(marker)) return directory;
  for (let i = 0; i < FILES; i += 1) {
    const parent = join(directory, String(i % DIRECTORIES));
    if (i < DIRECTORIES) await mkdir(parent, { recursive: true });
    await writeFile(join(parent, `f${i}`), randomBytes(FILE_BYTES));
  }
  await writeFile(marker, '');
  await runCommand('sync', ['-f', root], { timeoutMs: SYNC_MS });
  return directory;
}

export const transfer: Scenario = {
  name: 'transfer',
  rows: [
    speed('upload', 'directory uploaded', `${WHAT}.`),
    cost('upload-cpu', 'CPU of the upload'),
    speed(
      'download',
      'directory downloaded',
      'The same back to the disk, a server that has read none of it.',
    ),
    cost('download-cpu', 'CPU of the download'),
  ],

  async copier(subject: CopierSubject, { data }: Bench, round: number): Promise<Figures> {
    const from = await source(data);
    // Nobody has heard of the name: what was there before is not in a server's cache.
    const name = `transfer-${subject.id}-${round}`;
    const to = join(data.root, `${name}-back`);
    try {
      const up = await subject.upload(from, name);
      const down = await subject.download(name, to);
      await runCommand('diff', ['-r', from, to], { timeoutMs: SYNC_MS });
      return {
        upload: megabytesPerSecond(BYTES, up.seconds),
        'upload-cpu': up.cpuSeconds,
        download: megabytesPerSecond(BYTES, down.seconds),
        'download-cpu': down.cpuSeconds,
      };
    } finally {
      await rm(to, { recursive: true, force: true });
      await rm(join(data.folder, name), { recursive: true, force: true });
      // The disk is as idle for the next one.
      await runCommand('sync', ['-f', data.root], { timeoutMs: SYNC_MS });
    }
  },
};
