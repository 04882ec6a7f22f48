/**
 * Every operation of the library, each with a small proof that it did what it says. `run` throws a
 * failed assertion, or the error of the library that says which feature the cluster lacks.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AlluxioClient, AlluxioFileSystem, FileInfo } from '../../src/client/index.ts';
import { sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

export interface World {
  readonly fs: AlluxioFileSystem;
  readonly client: AlluxioClient;
  /** Alluxio path of a directory of this operation alone; exists. */
  readonly dir: string;
  /** A local directory, alike. */
  readonly local: string;
  readonly takesLoads: boolean;
  /** Whether listings have the names that workers leave out: of a bucket they do not. */
  readonly listsAll: boolean;
}

export interface Operation {
  readonly name: string;
  readonly face: 'file system' | 'client';
  run(world: World): Promise<void>;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const names = (infos: readonly FileInfo[]): string[] => infos.map(({ name }) => name);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: unknown) => (error as { code: string }).code,
  );
}

/** Loads start some 40 s after the master, on a quiet machine. */
const MASTER_MS = 180_000;
/** Three pages and a bit of the test cluster. */
const LARGE = sampleBytes(200_000, 7);

async function tree({ fs, dir }: World): Promise<void> {
  await fs.write(`${dir}/a.txt`, 'a');
  await fs.write(`${dir}/sub/b.txt`, 'bb');
  await fs.write(`${dir}/sub/deep/c.bin`, 'ccc');
}

export const OPERATIONS: readonly Operation[] = [
  fsOperation('ls', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    assert.deepEqual(names(await fs.ls(dir)), ['a.txt', 'sub']);
    assert.deepEqual(await fs.ls(dir, { detail: false }), [`${dir}/a.txt`, `${dir}/sub`]);
    assert.deepEqual(names(await fs.ls(`${dir}/a.txt`)), ['a.txt']);
    for (const detail of [true, false] as boolean[]) {
      const found: FileInfo[] | string[] = await fs.ls(dir, { detail });
      assert.equal(found.length, 2);
    }
    assert.equal(await codeOf(fs.ls(`${dir}/none`)), 'not-found');
  }),
  fsOperation('info', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, 'hello');
    const info = await fs.info(`${dir}/f`);
    assert.deepEqual([info.path, info.name, info.type, info.size], [`${dir}/f`, 'f', 'file', 5]);
    assert.ok(Math.abs(info.mtimeMs - Date.now()) < 120_000);
    assert.equal((await fs.info(dir)).type, 'directory');
    assert.equal(await codeOf(fs.info(`${dir}/none`)), 'not-found');
  }),
  fsOperation('isdir, isfile, exists', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, '');
    const all = async (path: string): Promise<boolean[]> => [
      await fs.isdir(path),
      await fs.isfile(path),
      await fs.exists(path),
    ];
    assert.deepEqual(await all(dir), [true, false, true]);
    assert.deepEqual(await all(`${dir}/f`), [false, true, true]);
    assert.deepEqual(await all(`${dir}/none/below`), [false, false, false]);
  }),
  fsOperation('open to read', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, LARGE);
    const file = await fs.open(`${dir}/f`, { blockSize: 1000 });
    assert.equal(file.size, LARGE.length);
    assert.deepEqual(await file.read(10), LARGE.subarray(0, 10));
    assert.equal(file.tell(), 10);
    assert.equal(file.seek(-5, 2), LARGE.length - 5);
    assert.deepEqual(await file.read(), LARGE.subarray(-5));
    assert.equal((await file.read(1)).length, 0);
    file.seek(LARGE.length + 10);
    assert.equal((await file.read()).length, 0);
    assert.equal((await file.read(5)).length, 0);
    assert.deepEqual(await collect(file.stream()), []);
    for (const [offset, length] of [
      [2, -3],
      [-2, 3],
      [0, 1.5],
    ] as const) {
      assert.equal(await codeOf(file.readRange(offset, length)), 'invalid', `${offset}+${length}`);
    }
    file.seek(65_530);
    assert.deepEqual(await file.read(20), LARGE.subarray(65_530, 65_550));
    file.seek(100);
    assert.deepEqual(Buffer.concat(await collect(file.stream())), LARGE.subarray(100));
    const part = await collect(file.stream({ length: 100_000 }));
    assert.deepEqual(Buffer.concat(part), LARGE.subarray(100, 100_100));
    await file.close();
    assert.equal(await codeOf(file.read(1)), 'invalid');
  }),
  fsOperation('open to write', async ({ fs, dir }) => {
    const file = await fs.open(`${dir}/new/f`, { mode: 'wb' });
    await file.write('one ');
    await file.write(Buffer.from('two'));
    assert.equal(file.tell(), 7);
    assert.equal(await fs.exists(`${dir}/new/f`), false);
    await file.close();
    for (const mode of ['r', 'w'] as ('r' | 'w')[]) {
      const either = await fs.open(`${dir}/new/f`, { mode });
      if ('abort' in either) await either.abort();
      else await either.close();
    }
    assert.equal(text(await fs.read(`${dir}/new/f`)), 'one two');
    const more = await fs.open(`${dir}/new/f`, { mode: 'ab' });
    await more.write(' three');
    await more.close();
    assert.equal(text(await fs.read(`${dir}/new/f`)), 'one two three');
    assert.equal(await codeOf(fs.open(`${dir}/new/f`, { mode: 'xb' })), 'exists');
    const given = await fs.open(`${dir}/never`, { mode: 'wb' });
    await given.write('x');
    await given.abort();
    assert.equal(await fs.exists(`${dir}/never`), false);
  }),
  fsOperation('catFile', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, '0123456789');
    assert.equal(text(await fs.catFile(`${dir}/f`)), '0123456789');
    assert.equal(text(await fs.catFile(`${dir}/f`, { start: 2, end: -3 })), '23456');
  }),
  fsOperation('read', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, LARGE);
    assert.deepEqual(await fs.read(`${dir}/f`), LARGE);
    assert.equal(await codeOf(fs.read(dir)), 'is-a-directory');
    const part = (offset: number, length?: number) => fs.read(`${dir}/f`, { offset, length });
    assert.deepEqual(await part(-3, 3), LARGE.subarray(-3));
    assert.deepEqual(await part(-3), LARGE.subarray(-3));
    assert.deepEqual(await part(10, -1), LARGE.subarray(10));
    assert.equal(await codeOf(part(2, -5)), 'invalid');
    assert.equal(await codeOf(part(NaN)), 'invalid');
  }),
  fsOperation('readRange', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, LARGE);
    assert.deepEqual(await fs.readRange(`${dir}/f`, 65_000, 2000), LARGE.subarray(65_000, 67_000));
    assert.equal((await fs.readRange(`${dir}/f`, LARGE.length, 10)).length, 0);
    assert.equal(await codeOf(fs.readRange(`${dir}/f`, 2, -5)), 'invalid');
    assert.equal(await codeOf(fs.readRange(`${dir}/f`, -2, 5)), 'invalid');
  }),
  fsOperation('readStream', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, LARGE);
    const stream = await fs.readStream(`${dir}/f`);
    assert.deepEqual(Buffer.concat(await collect(stream)), LARGE);
    const end = await fs.readStream(`${dir}/f`, { offset: -100_000, length: 99_999 });
    assert.deepEqual(Buffer.concat(await collect(end)), LARGE.subarray(-100_000, -1));
  }),
  fsOperation('head, tail', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, LARGE);
    assert.deepEqual(await fs.head(`${dir}/f`), LARGE.subarray(0, 1024));
    assert.deepEqual(await fs.tail(`${dir}/f`, { numOfBytes: 7 }), LARGE.subarray(-7));
    for (const numOfBytes of [-3, NaN, 1.5]) {
      assert.equal(await codeOf(fs.tail(`${dir}/f`, { numOfBytes })), 'invalid');
      assert.equal(await codeOf(fs.head(`${dir}/f`, { numOfBytes })), 'invalid');
    }
    assert.equal((await fs.tail(`${dir}/f`, { numOfBytes: 0 })).length, 0);
    assert.equal((await fs.head(`${dir}/f`, { numOfBytes: 0 })).length, 0);
  }),
  fsOperation('walk', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    const steps = await collect(fs.walk(dir));
    assert.deepEqual(
      steps.map(({ path, directories, files }) => [path, names(directories), names(files)]),
      [
        [dir, ['sub'], ['a.txt']],
        [`${dir}/sub`, ['deep'], ['b.txt']],
        [`${dir}/sub/deep`, [], ['c.bin']],
      ],
    );
  }),
  fsOperation('find', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    const found = async (options: Parameters<typeof fs.find>[1]): Promise<string[]> =>
      names(await collect(fs.find(dir, options))).sort((a, b) => (a < b ? -1 : 1));
    assert.deepEqual(await found({ type: 'file' }), ['a.txt', 'b.txt', 'c.bin']);
    assert.deepEqual(await found({ name: '*.txt', minSize: 2 }), ['b.txt']);
    assert.deepEqual(await found({ maxDepth: 1 }), ['a.txt', 'sub']);
  }),
  fsOperation('glob', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    const found = async (pattern: string): Promise<string[]> =>
      names(await collect(fs.glob(`${dir}/${pattern}`))).sort((a, b) => (a < b ? -1 : 1));
    assert.deepEqual(await found('*'), ['a.txt', 'sub']);
    assert.deepEqual(await found('**/*.{txt,bin}'), ['a.txt', 'b.txt', 'c.bin']);
    assert.deepEqual(await found('s?b/[!x].txt'), ['b.txt']);
    assert.deepEqual(await found('a.txt'), ['a.txt']);
    assert.deepEqual(await found('none*'), []);
  }),
  fsOperation('du', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    assert.deepEqual(await fs.du(dir), { path: dir, size: 6, files: 3, directories: 2 });
  }),
  fsOperation('mkdir', async ({ fs, dir }) => {
    await fs.mkdir(`${dir}/x/y`);
    assert.ok(await fs.isdir(`${dir}/x/y`));
    await fs.mkdir(`${dir}/x/y`);
    assert.equal(await codeOf(fs.mkdir(`${dir}/x`, { parents: false })), 'exists');
    assert.equal(await codeOf(fs.mkdir(`${dir}/n/o`, { parents: false })), 'not-found');
  }),
  fsOperation('rm', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    await fs.rm(`${dir}/a.txt`);
    assert.equal(await fs.exists(`${dir}/a.txt`), false);
    assert.equal(await codeOf(fs.rm(`${dir}/a.txt`)), 'not-found');
    assert.equal(await codeOf(fs.rm(`${dir}/sub`)), 'not-empty');
  }),
  fsOperation('rm recursive', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    await fs.rm(`${dir}/sub`, { recursive: true });
    assert.equal(await fs.exists(`${dir}/sub`), false);
    assert.ok(await fs.exists(`${dir}/a.txt`));
  }),
  fsOperation('rm removeAlluxioOnly', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, 'kept');
    await fs.rm(`${dir}/f`, { removeAlluxioOnly: true });
    assert.equal(text(await fs.read(`${dir}/f`)), 'kept');
  }),
  fsOperation('touch', async ({ fs, dir }) => {
    await fs.touch(`${dir}/f`);
    assert.equal((await fs.info(`${dir}/f`)).size, 0);
    await fs.write(`${dir}/f`, 'abc');
    await fs.touch(`${dir}/f`);
    assert.equal((await fs.info(`${dir}/f`)).size, 3);
    await fs.touch(`${dir}/f`, { truncate: true });
    assert.equal((await fs.info(`${dir}/f`)).size, 0);
  }),
  fsOperation('mv, rename of a file', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, 'abc');
    await fs.write(`${dir}/old`, 'old');
    await fs.mv(`${dir}/f`, `${dir}/g`);
    await fs.rename(`${dir}/g`, `${dir}/old`);
    assert.deepEqual(await fs.ls(dir, { detail: false }), [`${dir}/old`]);
    assert.equal(text(await fs.read(`${dir}/old`)), 'abc');
  }),
  fsOperation('mv of a directory', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    await fs.mv(`${dir}/sub`, `${dir}/moved`);
    assert.deepEqual(names(await collect(fs.find(`${dir}/moved`, { type: 'file' }))), [
      'b.txt',
      'c.bin',
    ]);
    assert.equal(await fs.exists(`${dir}/sub`), false);
    assert.equal(await codeOf(fs.mv(`${dir}/moved`, `${dir}/moved/x`)), 'invalid');
  }),
  fsOperation('copy, cpFile', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, LARGE);
    await fs.cpFile(`${dir}/f`, `${dir}/g`);
    await fs.copy(`${dir}/f`, `${dir}/h`);
    const [f, g] = [await fs.info(`${dir}/f`), await fs.info(`${dir}/g`)];
    assert.equal(Math.trunc(g.mtimeMs), Math.trunc(f.mtimeMs));
    assert.deepEqual(await fs.read(`${dir}/h`), LARGE);
  }),
  fsOperation('copy of a directory', async (world) => {
    await tree(world);
    const { fs, dir } = world;
    await fs.copy(dir, `${dir}-copy`, { recursive: true });
    assert.equal((await fs.du(`${dir}-copy`)).size, 6);
    assert.equal(await codeOf(fs.copy(dir, `${dir}/sub/x`, { recursive: true })), 'invalid');
    await fs.rm(`${dir}-copy`, { recursive: true });
  }),
  fsOperation('upload', async ({ fs, dir, local }) => {
    const from = join(local, 'f');
    await writeFile(from, LARGE);
    await utimes(from, 1_600_000_000, 1_600_000_000);
    await fs.upload(from, `${dir}/deep/er/f`);
    assert.deepEqual(await fs.read(`${dir}/deep/er/f`), LARGE);
    assert.equal((await fs.info(`${dir}/deep/er/f`)).mtimeMs, 1_600_000_000_000);
    assert.equal(await codeOf(fs.upload(join(local, 'none'), `${dir}/none`)), 'local');
  }),
  fsOperation('upload of a directory', async ({ fs, dir, local }) => {
    await mkdir(join(local, 'sub'));
    await writeFile(join(local, 'a'), 'a');
    await writeFile(join(local, 'sub', 'ü b'), 'bb');
    await fs.upload(local, `${dir}/up`, { recursive: true });
    assert.equal(text(await fs.read(`${dir}/up/sub/ü b`)), 'bb');
    const outcomes: string[] = [];
    const onFile = (_: string, __: number, outcome: string): void => void outcomes.push(outcome);
    await fs.upload(local, `${dir}/up`, { recursive: true, resume: true, onFile });
    assert.deepEqual(outcomes, ['skipped', 'skipped']);
  }),
  fsOperation('uploadData, write', async ({ fs, dir }) => {
    await fs.uploadData(`${dir}/f`, LARGE);
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(LARGE.subarray(0, 1000));
      yield LARGE.subarray(1000);
    }
    const info = await fs.write(`${dir}/g`, chunks());
    assert.equal(info.size, LARGE.length);
    assert.deepEqual(await fs.read(`${dir}/f`), await fs.read(`${dir}/g`));
    assert.equal(await codeOf(fs.write(dir, 'x')), 'is-a-directory');
  }),
  fsOperation('download', async ({ fs, dir, local }) => {
    await fs.write(`${dir}/f`, LARGE);
    await fs.download(`${dir}/f`, join(local, 'f'));
    assert.deepEqual(await readFile(join(local, 'f')), LARGE);
    const [info, { mtimeMs }] = [await fs.info(`${dir}/f`), await stat(join(local, 'f'))];
    assert.ok(Math.abs(info.mtimeMs - mtimeMs) < 1);
  }),
  fsOperation('download of a directory', async (world) => {
    await tree(world);
    const { fs, dir, local } = world;
    await fs.download(dir, local, { recursive: true });
    assert.equal(await readFile(join(local, 'sub/deep/c.bin'), 'utf8'), 'ccc');
  }),
  fsOperation('downloadData', async ({ fs, dir }) => {
    await fs.write(`${dir}/f`, 'abc');
    assert.equal(text(await fs.downloadData(`${dir}/f`)), 'abc');
  }),
  fsOperation('names with blanks, % and é', async ({ fs, dir }) => {
    const name = 'a b%20+&=é#';
    await fs.write(`${dir}/${name}`, 'x');
    assert.deepEqual(names(await fs.ls(dir)), [name]);
    await fs.mv(`${dir}/${name}`, `${dir}/${name}2`);
    assert.equal(text(await fs.read(`${dir}/${name}2`)), 'x');
  }),
  fsOperation('names with ? and \\', async ({ fs, dir, listsAll }) => {
    await fs.write(`${dir}/a?b\\c`, 'x');
    if (listsAll) assert.deepEqual(names(await fs.ls(dir)), ['a?b\\c']);
    assert.equal(text(await fs.read(`${dir}/a?b\\c`)), 'x');
    await fs.copy(`${dir}/a?b\\c`, `${dir}/plain`);
    await fs.copy(`${dir}/plain`, `${dir}/p?`);
    await fs.mv(`${dir}/p?`, `${dir}/q?`);
    await fs.mv(`${dir}/a?b\\c`, `${dir}/moved`);
    for (const name of ['plain', 'q?', 'moved'])
      assert.equal(text(await fs.read(`${dir}/${name}`)), 'x');
    for (const name of ['plain', 'q?', 'moved']) await fs.rm(`${dir}/${name}`);
    for (const name of ['plain', 'q?', 'p?', 'moved', 'a?b\\c']) {
      assert.equal(await fs.exists(`${dir}/${name}`), false, name);
    }
  }),
  fsOperation('names that are not UTF-8', async ({ fs, dir }) => {
    const path = Buffer.concat([Buffer.from(`${dir}/x`), Buffer.from([0xff])]);
    await fs.write(path, 'x');
    const [found] = await fs.ls(dir);
    assert.deepEqual(Buffer.from(found?.pathBytes ?? []), path);
    assert.equal(text(await fs.read(found?.pathBytes ?? '')), 'x');
  }),
  clientOperation('list, getFileStatus', async (world) => {
    await tree(world);
    const { client, dir } = world;
    assert.ok(names(await collect(client.list(dir))).includes('a.txt'));
    assert.equal((await client.getFileStatus(`${dir}/sub/b.txt`)).size, 2);
  }),
  clientOperation('read, readRange, head, tail', async ({ client, dir }) => {
    await client.write(`${dir}/f`, LARGE);
    assert.deepEqual(await client.read(`${dir}/f`), LARGE);
    assert.deepEqual(await client.readRange(`${dir}/f`, 10, 10), LARGE.subarray(10, 20));
    assert.deepEqual(await client.tail(`${dir}/f`, { numOfBytes: 3 }), LARGE.subarray(-3));
  }),
  clientOperation('mkdir, mv, copy, touch, rm', async ({ client, dir }) => {
    await client.mkdir(`${dir}/d`);
    await client.touch(`${dir}/d/f`);
    await client.copy(`${dir}/d/f`, `${dir}/d/g`);
    await client.mv(`${dir}/d`, `${dir}/e`);
    assert.equal((await client.getFileStatus(`${dir}/e/g`)).size, 0);
    await client.rm(`${dir}/e`, { recursive: true });
    assert.equal(await codeOf(client.getFileStatus(`${dir}/e`)), 'not-found');
  }),
  clientOperation('writePage up to 10 KiB', async ({ client, dir }) => {
    await client.write(`${dir}/f`, 'abc');
    await client.writePage(`${dir}/f`, 0, Buffer.from('abc'));
  }),
  clientOperation('writePage of a page', async ({ client, dir }) => {
    await client.write(`${dir}/f`, LARGE);
    await client.writePage(`${dir}/f`, 0, LARGE.subarray(0, 65_536));
  }),
  clientOperation('writeChunk', async ({ client, dir }) => {
    await client.writeChunk(`${dir}/f`, LARGE);
    assert.deepEqual(await client.read(`${dir}/f`), LARGE);
  }),
  clientOperation('submitLoad, loadProgress, stopLoad', async ({ client, dir, takesLoads }) => {
    await client.write(`${dir}/f`, LARGE);
    if (!takesLoads) {
      await client.submitLoad(dir);
      return;
    }
    // The master needs a while after its start; until then the worker says no.
    const submitted = await waitFor(
      'the master to take a load',
      () => client.submitLoad(dir).catch(() => undefined),
      MASTER_MS,
    );
    assert.ok(submitted.jobId !== undefined);
    const states: string[] = [];
    await waitFor(
      'the load to end',
      async () => {
        const { jobState } = await client.loadProgress(dir);
        states.push(jobState ?? '');
        return /SUCCEEDED|FAILED/.test(jobState ?? '');
      },
      MASTER_MS,
    );
    assert.match(states.at(-1) ?? '', /SUCCEEDED/);
    assert.equal((await client.stopLoad(dir)).success !== undefined, true);
  }),
  clientOperation('loadByClient', async (world) => {
    await tree(world);
    const { client, dir } = world;
    const first = await client.loadByClient(dir, { verify: true });
    assert.deepEqual([first.jobState, first.scannedFiles], ['SUCCEEDED', 3]);
    const again = await client.loadByClient(dir);
    assert.equal(again.loadedFiles + again.skippedFiles, 3);
  }),
  clientOperation('health, members, location', async ({ client, dir }) => {
    const health = await client.health();
    assert.deepEqual(
      health.map(({ isActive }) => isActive),
      [true, true, true],
    );
    assert.equal(client.members().length, 3);
    const { ufsPath, workers } = await client.location(`${dir}/f`);
    assert.match(ufsPath, /^(?:file:\/\/\/|s3:\/\/bucket\/)/);
    assert.ok(ufsPath.endsWith(`${dir}/f`));
    assert.equal(workers.length, 3);
    assert.equal((await client.location(ufsPath)).path, `${dir}/f`);
  }),
];

function fsOperation(name: string, run: Operation['run']): Operation {
  return { name, face: 'file system', run };
}

function clientOperation(name: string, run: Operation['run']): Operation {
  return { name, face: 'client', run };
}
