/**
 * One large file, many small ones by `cp -r`, one and eight at a time, each until it is closed and,
 * where the subject can, on the disk; and changes of names. Left out where a mount is read-only:
 * `--ours=--no-read-only`.
 */
import { access, constants, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { megabytesPerSecond } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

/** Large enough for the rate to count; some subjects take 10 MB a second. */
const LARGE_MB = 256;
const SMALL_FILES = 400;
const SMALL_BYTES = 4096;
const WRITERS = 8;
const NAMES = 200;

const row = (id: string, title: string, unit: 'MB/s' | 'files/s' | 'changes/s', meaning: string) =>
  ({ id, title, unit, better: 'higher', meaning }) as const;

const COPIED = `cp -r of ${SMALL_FILES} files of ${SMALL_BYTES} bytes into a new directory.`;

/** Directories of small files, one for each writer, beside the data set. */
async function sources(data: Bench['data']): Promise<string> {
  const source = join(data.root, 'to-copy');
  for (let i = 0; i < WRITERS; i += 1) {
    const directory = join(source, String(i));
    await mkdir(directory, { recursive: true });
    for (let k = 0; k < SMALL_FILES / WRITERS; k += 1) {
      await writeFile(join(directory, String(k)), Buffer.alloc(SMALL_BYTES, k));
    }
  }
  return source;
}

async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

export const writing: Scenario = {
  name: 'writing',
  rows: [
    row('write-large', 'one large file written', 'MB/s', `${LARGE_MB} MB, fsync and close.`),
    row('write-small', 'small files written, 1 writer', 'files/s', COPIED),
    row('write-small-8', 'small files written, 8 writers', 'files/s', COPIED),
    row('mkdir', 'directories made', 'changes/s', `${NAMES} of them, one after the other.`),
    row('rename', 'files renamed', 'changes/s', `${NAMES} empty ones, within a directory.`),
    row('unlink', 'files removed', 'changes/s', `${NAMES} empty ones.`),
  ],

  async mount(subject: MountSubject, { data, workload }: Bench): Promise<Figures> {
    await subject.restart();
    if (!(await isWritable(subject.folder))) return {};
    const source = await sources(data);
    const target = join(subject.folder, `written-${subject.id}`);
    await mkdir(target);
    const large = [`of=${join(target, 'large')}`, 'bs=1M', `count=${LARGE_MB}`, 'conv=fsync'];
    const { seconds } = await workload.command('dd', 'if=/dev/zero', ...large, 'status=none');
    const one = await workload.command('cp', '-r', source, join(target, 'one'));
    await mkdir(join(target, 'eight'));
    const script = 'for i in "$1"/*; do cp -r "$i" "$2" & done; wait';
    const eight = await workload.command('sh', '-c', script, 'sh', source, join(target, 'eight'));
    const changed = async (what: string): Promise<number> => {
      const loop = `import os, sys\nfor i in range(${NAMES}): ${what.replaceAll('AT', `sys.argv[1] + "/" + str(i)`)}`;
      const { seconds: took } = await workload.command(
        'python3',
        '-c',
        loop,
        join(target, 'names'),
      );
      return NAMES / took;
    };
    await mkdir(join(target, 'names'));
    const made = await changed('os.mkdir(AT + "d")');
    await changed('open(AT, "w").close()');
    const renamed = await changed('os.rename(AT, AT + "r")');
    const removed = await changed('os.unlink(AT + "r")');
    await rm(target, { recursive: true });
    return {
      mkdir: made,
      rename: renamed,
      unlink: removed,
      'write-large': megabytesPerSecond(LARGE_MB * 1024 * 1024, seconds),
      'write-small': SMALL_FILES / one.seconds,
      'write-small-8': SMALL_FILES / eight.seconds,
    };
  },

  async curl(subject: CurlSubject, { data, workload }: Bench): Promise<Figures> {
    if (subject.dataPath !== 's3') return {};
    const file = join(data.root, 'to-send');
    await writeFile(file, Buffer.alloc(LARGE_MB * 1024 * 1024));
    const name = 'written-large';
    const url = subject.urls.object(name);
    const { seconds } = await workload.command('curl', '-qsS', '--fail', '-T', file, url);
    await workload.command('curl', '-qsS', '--fail', '-X', 'DELETE', url);
    await rm(file);
    return {
      'write-large': megabytesPerSecond(LARGE_MB * 1024 * 1024, seconds),
    };
  },
};
