/**
 * One large file, many small ones by `cp -r`, by one process and by sixteen, each until it is closed
 * and, where the subject can, on the disk; and changes of names. Left out where a mount is read-only:
 * `--ours=--no-read-only`.
 */
import { access, constants, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, CurlSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import { megabytesPerSecond } from '../support/scenario.ts';
import type { Scenario } from '../support/scenario.ts';

const LARGE_MB = 1024;
const SMALL_BYTES = 4096;
/** For one writer: some subjects create ten a second. */
const SMALL_FILES = 400;
const WRITERS = 16;
const MANY_FILES = 5000;
const NAMES = 200;

const row = (id: string, title: string, unit: 'MB/s' | 'files/s' | 'changes/s', meaning: string) =>
  ({ id, title, unit, better: 'higher', meaning }) as const;

const copied = (count: number): string =>
  `cp -r of ${count} files of ${SMALL_BYTES} bytes into a new directory`;

interface Sources {
  /** A directory of small files. */
  readonly few: string;
  /** One with a directory of them for each writer. */
  readonly many: string;
  readonly files: readonly string[];
}

/** Small files beside the data set. */
async function sources(data: Bench['data']): Promise<Sources> {
  const few = join(data.root, 'to-copy', 'few');
  const many = join(data.root, 'to-copy', 'many');
  const fill = async (directory: string, names: readonly string[]): Promise<string[]> => {
    await mkdir(directory, { recursive: true });
    const paths = names.map((name) => join(directory, name));
    for (const [i, path] of paths.entries()) await writeFile(path, Buffer.alloc(SMALL_BYTES, i));
    return paths;
  };
  const numbers = Array.from({ length: MANY_FILES }, (_, i) => i);
  await fill(few, numbers.slice(0, SMALL_FILES).map(String));
  const files: string[] = [];
  for (let writer = 0; writer < WRITERS; writer += 1) {
    const own = numbers.filter((i) => i % WRITERS === writer);
    files.push(...(await fill(join(many, String(writer)), own.map(String))));
  }
  return { few, many, files };
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
    row('write-small', 'small files written, 1 writer', 'files/s', `${copied(SMALL_FILES)}.`),
    row(
      'write-small-16',
      'small files written, 16 writers',
      'files/s',
      `${copied(MANY_FILES)}, by ${WRITERS} processes; curl: as many PUTs over ${WRITERS} connections.`,
    ),
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
    const one = await workload.command('cp', '-r', source.few, join(target, 'one'));
    const many = join(target, 'many');
    await mkdir(many);
    const script = 'for i in "$1"/*; do cp -r "$i" "$2" & done; wait';
    const together = await workload.command('sh', '-c', script, 'sh', source.many, many);
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
      'write-small-16': MANY_FILES / together.seconds,
    };
  },

  async curl(subject: CurlSubject, { data }: Bench, round: number): Promise<Figures> {
    if (subject.dataPath !== 's3') return {};
    const file = join(data.root, 'to-send');
    await writeFile(file, Buffer.alloc(LARGE_MB * 1024 * 1024));
    const { files } = await sources(data);
    // Nobody has heard of these names: the worker is not asked to remove them.
    const target = `sent-${subject.id}-${round}`;
    const at = (name: string): string => subject.urls.object(`${target}/${name}`);
    const large = await subject.fetch([{ url: at('large'), upload: file }], 1);
    const puts = files.map((path, i) => ({ url: at(String(i)), upload: path }));
    const small = await subject.fetch(puts, WRITERS);
    await rm(file);
    await rm(join(data.folder, target), { recursive: true });
    return {
      'write-large': megabytesPerSecond(LARGE_MB * 1024 * 1024, large),
      'write-small-16': MANY_FILES / small,
    };
  },
};
