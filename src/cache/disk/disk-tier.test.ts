import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import {
  appendFile,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { DiskTier } from './disk-tier.ts';
import {
  allPages,
  backingFiles,
  fileOf,
  isServed,
  keep,
  makeDirectory,
  MIB,
  openTier,
  PAGE,
  pageBytes,
  readPages,
  tellEvents,
} from './testing/tier.ts';
import type { TestFile } from './testing/tier.ts';
import { waitFor } from './testing/wait.ts';

const THREE = fileOf('three', 2 * PAGE + 100);
const SMALL = fileOf('small', 100);

async function filled(directory: string, ...files: TestFile[]): Promise<DiskTier> {
  const tier = await openTier([directory]);
  for (const file of files) await keep(tier, file, allPages(file));
  return tier;
}

test('what was kept is served, also after a restart, and nothing else', async (context) => {
  const directory = await makeDirectory(context);
  const first = await filled(directory, THREE, SMALL);
  assert.equal(await isServed(first, THREE), true);
  assert.equal(await isServed(first, fileOf('three', 2 * PAGE + 100, 2)), false, 'another version');
  assert.equal(await isServed(first, fileOf('other', 100)), false);
  await first.close();
  const second = await openTier([directory]);
  assert.equal(await isServed(second, THREE), true);
  assert.equal(await isServed(second, SMALL), true);
  assert.equal(second.status().directories[0]?.pages, 4);
  await second.close();
});

test('a file of which some pages are kept is as long as the whole file, and sparse', async (context) => {
  const directory = await makeDirectory(context);
  const file = fileOf('sparse', 100 * PAGE + 1);
  const tier = await openTier([directory]);
  await keep(tier, file, [1, 99, 100]);
  const [path] = backingFiles(directory);
  assert.ok(path !== undefined);
  const { size, blocks } = await stat(path);
  assert.equal(size, 100 * PAGE + 1);
  assert.ok(blocks * 512 <= 4 * PAGE, `${blocks} blocks`);
  const pages = await readPages(tier, file, [0, 1, 98, 99, 100]);
  assert.deepEqual(
    pages.map((page) => page !== undefined),
    [false, true, false, true, true],
  );
  await tier.close();
});

test('a directory serves one tier at a time, and says who has it', async (context) => {
  const directory = await makeDirectory(context);
  const events = tellEvents();
  const tier = await filled(directory, SMALL);
  await assert.rejects(openTier([directory]), new RegExp(`in use by process ${process.pid}`));
  const other = await openTier([directory], { isForgiving: true, events });
  assert.equal(events.lines.length, 1);
  assert.equal(other.contentOf(SMALL.path, SMALL.version), undefined);
  assert.equal(other.status().directories[0]?.state, 'retired');
  await other.close();
  await tier.close();
  const next = await openTier([directory]);
  assert.equal(await isServed(next, SMALL), true);
  await next.close();
});

test('a changed byte, a cut, a link in place of the file: never served, and fetched again', async (context) => {
  const damages: Record<string, (path: string) => Promise<void>> = {
    'another byte': async (path) => {
      const bytes = await readFile(path);
      bytes[PAGE + 1] = (bytes[PAGE + 1] as number) ^ 1;
      await writeFile(path, bytes);
    },
    'cut short': async (path) => await truncate(path, PAGE + 10),
    'cut to nothing': async (path) => await truncate(path, 0),
    'other content': async (path) => await writeFile(path, Buffer.alloc(2 * PAGE + 100, 7)),
    'a link': async (path) => {
      await unlink(path);
      await symlink('/etc/passwd', path);
    },
    gone: async (path) => await unlink(path),
  };
  for (const [name, damage] of Object.entries(damages)) {
    for (const isRestarted of [false, true]) {
      const directory = await makeDirectory(context);
      const before = await filled(directory, THREE);
      // With a handle open, and without.
      if (!isRestarted) assert.equal(await isServed(before, THREE), true);
      const [path] = backingFiles(directory);
      assert.ok(path !== undefined);
      if (isRestarted) await before.close();
      await damage(path);
      const tier = isRestarted ? await openTier([directory]) : before;
      const label = `${name}${isRestarted ? ', after a restart' : ''}`;
      const isGone = name === 'gone' || name === 'a link' || name === 'other content';
      // An open handle still reads the file that was unlinked: those bytes are right.
      if (isRestarted || !(isGone && name !== 'other content')) {
        assert.equal(await isServed(tier, THREE), false, label);
      }
      await keep(tier, THREE, allPages(THREE));
      assert.equal(await isServed(tier, THREE), true, label);
      await tier.close();
    }
  }
});

test('files of others in the directory are left alone; those with our names are removed', async (context) => {
  const directory = await makeDirectory(context);
  const first = await filled(directory, THREE);
  const [path] = backingFiles(directory);
  assert.ok(path !== undefined);
  await first.close();
  const theirs = [join(directory, 'theirs'), join(dirname(path), 'theirs')];
  const ours = path.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  for (const name of [...theirs, ours]) await writeFile(name, 'x');
  const tier = await openTier([directory]);
  await waitFor('the foreign file to go', () => !backingFiles(directory).includes(ours));
  for (const name of theirs) assert.equal(await readFile(name, 'utf8'), 'x');
  assert.equal(await isServed(tier, THREE), true);
  await tier.close();
});

test('a backing file is told once it is complete, and untouched from then on', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory]);
  await keep(tier, THREE, [0, 1]);
  const find = () => tier.findBacking(THREE.path, THREE.version);
  assert.equal(find(), undefined);
  await keep(tier, THREE, [2]);
  const found = find();
  assert.ok(found !== undefined);
  const now = await stat(found.file, { bigint: true });
  assert.deepEqual(
    [now.ino, now.ctimeNs, now.size],
    [found.ino, found.ctimeNs, BigInt(2 * PAGE + 100)],
  );
  await keep(tier, THREE, allPages(THREE));
  await isServed(tier, THREE);
  assert.deepEqual(find(), found);
  await tier.close();
});

test('after a restart a backing file is told once it was read, and not if it is wrong', async (context) => {
  const directory = await makeDirectory(context);
  const first = await filled(directory, THREE, SMALL);
  const small = first.findBacking(SMALL.path, SMALL.version);
  assert.ok(small !== undefined);
  await first.close();
  await appendFile(small.file, 'x');
  const tier = await openTier([directory]);
  assert.equal(tier.findBacking(THREE.path, THREE.version), undefined);
  assert.equal(tier.findBacking(SMALL.path, SMALL.version), undefined);
  await waitFor('the check', () => tier.findBacking(THREE.path, THREE.version) !== undefined);
  await waitFor('the wrong file to go', () => backingFiles(directory).length === 1);
  assert.equal(tier.findBacking(SMALL.path, SMALL.version), undefined);
  assert.equal(tier.status().figures.corruptFiles, 1);
  await tier.close();
});

test('a file that somebody touches between two of its pages is read before it is told', async (context) => {
  const damages: Record<string, (path: string) => Promise<void>> = {
    none: async () => await Promise.resolve(),
    gone: unlink,
    'a changed bit': async (path) => {
      const bytes = await readFile(path);
      bytes[1] = (bytes[1] as number) ^ 1;
      await writeFile(path, bytes);
    },
    'cut short': async (path) => await truncate(path, 100),
    'another file': async (path) => {
      await writeFile(`${path}.other`, Buffer.alloc(THREE.version.lengthBytes));
      await rename(`${path}.other`, path);
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    const directory = await makeDirectory(context);
    const tier = await openTier([directory]);
    await keep(tier, THREE, [0]);
    const [path] = backingFiles(directory);
    assert.ok(path !== undefined);
    await damage(path);
    // Side by side.
    await Promise.all([keep(tier, THREE, [1]), keep(tier, THREE, [2])]);
    const isTold = (): boolean => tier.findBacking(THREE.path, THREE.version) !== undefined;
    assert.equal(isTold(), name === 'none', name);
    if (name === 'none') assert.equal(await isServed(tier, THREE), true);
    else {
      await waitFor('the wrong file to go', () => !backingFiles(directory).includes(path));
      assert.equal(isTold(), false, name);
      assert.equal(await isServed(tier, THREE), false, name);
    }
    await tier.close();
  }
});

test('a file that somebody removes while its first pages are written is not told', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory]);
  const file = fileOf('four', 4 * PAGE);
  const first = keep(tier, file, [0, 1]);
  const files = join(directory, 'alluxio-fuse-cache', 'files');
  await waitFor('the file', () => existsSync(files) && backingFiles(directory).length === 1);
  for (const path of backingFiles(directory)) await unlink(path);
  await Promise.all([first, keep(tier, file, [2, 3])]);
  if (tier.findBacking(file.path, file.version) !== undefined) {
    assert.equal(await isServed(tier, file), true);
  }
  await tier.close();
});

test('what may change within the second that tells its version is not kept', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory]);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const isKept = async (version: { mtimeMs: number; contentHash?: string }): Promise<boolean> => {
    const content = tier.contentOf(SMALL.path, { ...SMALL.version, ...version }) ?? assert.fail();
    const copy = content.copy(0, [pageBytes(SMALL, 0)]);
    if (copy !== undefined) await content.keep([copy]);
    return content.isKept(0);
  };
  assert.equal(await isKept({ mtimeMs: now }), false);
  assert.equal(tier.status().figures.notKeptPages['too-new'], 1);
  assert.equal(await isKept({ mtimeMs: now + 1 }), true);
  assert.equal(await isKept({ mtimeMs: now, contentHash: 'a' }), true);
  assert.equal(await isKept({ mtimeMs: now - 10_000 }), true);
  await tier.close();
});

test('pages of an earlier life are read before a file that was completed in this one is told', async (context) => {
  const whole = Buffer.concat(allPages(THREE).map((index) => pageBytes(THREE, index)));
  const damages: Record<string, (path: string) => Promise<void>> = {
    none: async () => await Promise.resolve(),
    'a changed bit': async (path) => {
      const bytes = await readFile(path);
      bytes[PAGE + 1] = (bytes[PAGE + 1] as number) ^ 1;
      await writeFile(path, bytes);
    },
    'cut short': async (path) => await truncate(path, 100),
    zeroes: async (path) => await writeFile(path, Buffer.alloc(2 * PAGE + 100)),
  };
  for (const [name, damage] of Object.entries(damages)) {
    const directory = await makeDirectory(context);
    const first = await openTier([directory]);
    await keep(first, THREE, [0, 1]);
    await first.close();
    const [path] = backingFiles(directory);
    assert.ok(path !== undefined);
    await damage(path);
    const tier = await openTier([directory]);
    await keep(tier, THREE, [2]);
    const find = () => tier.findBacking(THREE.path, THREE.version);
    assert.equal(find(), undefined, name);
    if (name === 'none') await waitFor('the check', () => find() !== undefined);
    else await waitFor('the wrong file to go', () => !backingFiles(directory).includes(path));
    // Of what came after the wrong file, every page is of this life.
    await keep(tier, THREE, allPages(THREE));
    const found = find();
    assert.ok(found !== undefined, name);
    assert.deepEqual(await readFile(found.file), whole, name);
    await tier.close();
  }
});

test('a refused backing file is checked again before it is told again', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await filled(directory, THREE, SMALL);
  const three = tier.findBacking(THREE.path, THREE.version);
  const small = tier.findBacking(SMALL.path, SMALL.version);
  assert.ok(three !== undefined && small !== undefined);
  await writeFile(small.file, Buffer.alloc(100, 1));
  tier.refused(three.file);
  tier.refused(small.file);
  assert.equal(tier.findBacking(THREE.path, THREE.version), undefined);
  await waitFor('the check', () => tier.findBacking(THREE.path, THREE.version) !== undefined);
  await waitFor('the wrong file to go', () => backingFiles(directory).length === 1);
  await tier.close();
});

test('the limit holds, index and all; the least recently used files go, held ones stay', async (context) => {
  const directory = await makeDirectory(context);
  const limitBytes = 40 * PAGE;
  const tier = await openTier([directory], { limitBytes });
  const files = Array.from({ length: 100 }, (_, index) => fileOf(`f${index}`, PAGE));
  const [first, second] = files as [TestFile, TestFile];
  await keep(tier, first, [0]);
  const backing = tier.findBacking(first.path, first.version);
  assert.ok(backing !== undefined);
  tier.held(backing.file);
  for (const file of files.slice(1)) {
    await keep(tier, file, [0]);
    const [status] = tier.status().directories;
    assert.ok(status !== undefined && status.usedBytes <= limitBytes, `${status?.usedBytes}`);
    assert.ok(await isServed(tier, file), 'the newest is there');
  }
  assert.equal(await isServed(tier, first), true);
  assert.equal(await isServed(tier, second), false);
  assert.ok(tier.status().figures.evictedFiles > 50);
  tier.freed(backing.file);
  for (const file of files.slice(1, 60)) await keep(tier, file, [0]);
  assert.equal(await isServed(tier, first), false);
  await waitFor('removals', () => backingFiles(directory).length <= 40);
  await tier.close();
});

test('of a file that is larger than the cache, what fits is kept and stays', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory], { limitBytes: 40 * PAGE });
  await keep(tier, SMALL, [0]);
  const large = fileOf('large', 200 * PAGE);
  for (let round = 0; round < 3; round++) {
    for (const index of allPages(large)) await keep(tier, large, [index]);
  }
  const pages = await readPages(tier, large, allPages(large));
  const kept = pages.filter((page) => page !== undefined).length;
  assert.ok(kept >= 15 && kept <= 20, `${kept} pages`);
  assert.equal(tier.status().figures.evictedFiles, 0);
  assert.equal(tier.status().figures.writtenBytes, kept * PAGE + 100, 'no page was written twice');
  assert.equal(await isServed(tier, SMALL), true);
  await tier.close();
});

test('the room that others leave bounds it as well', async (context) => {
  const directory = await makeDirectory(context);
  // Nothing may be used at all.
  const tier = await openTier([directory], { freeSpace: { bytes: 2 ** 60 } });
  await keep(tier, SMALL, [0]);
  assert.equal(await isServed(tier, SMALL), false);
  assert.equal(tier.status().figures.notKeptPages['no-room'], 1);
  await tier.close();
});

test('a full queue keeps nothing, and nobody waits', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory]);
  const file = fileOf('many', 20 * MIB);
  const content = tier.contentOf(file.path, file.version);
  assert.ok(content !== undefined);
  const memory = [Buffer.alloc(PAGE)];
  const copies = Array.from({ length: 4200 }, (_, index) => content.copy(index, memory));
  const taken = copies.filter((copy) => copy !== undefined);
  // Of 64 MiB, in pieces of 16 KiB.
  assert.equal(taken.length, 4096);
  assert.equal(tier.status().figures.notKeptPages['queue-full'], 104);
  content.discard(taken);
  assert.equal(tier.status().queuedBytes, 0);
  await keep(tier, SMALL, [0]);
  assert.equal(await isServed(tier, SMALL), true);
  await tier.close();
});

test('several directories share the files; each knows its own', async (context) => {
  const directories = [await makeDirectory(context), await makeDirectory(context)];
  const files = Array.from({ length: 40 }, (_, index) => fileOf(`f${index}`, PAGE));
  const tier = await openTier(directories);
  for (const file of files) await keep(tier, file, [0]);
  const counts = tier.status().directories.map((directory) => directory.files);
  assert.ok(Math.min(...counts) > 5, counts.join());
  await tier.close();
  // In another order, and with a third: all is found where it is.
  const other = await openTier([await makeDirectory(context), ...directories.toReversed()]);
  for (const file of files) assert.equal(await isServed(other, file), true);
  await other.close();
});

test('paths are listed, dropped and verified', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await filled(directory, THREE, SMALL);
  const names: string[] = [];
  await tier.list((file) => names.push(`${file.path} ${file.cachedBytes} ${file.isComplete}`));
  assert.deepEqual(names.sort(), [`/small ${PAGE} true`, `/three ${3 * PAGE} true`]);
  const small = tier.findBacking(SMALL.path, SMALL.version);
  assert.ok(small !== undefined);
  await writeFile(small.file, Buffer.alloc(100));
  const progress = { files: 0, checked: 0, corrupt: 0 };
  await tier.verify(() => true, progress, new AbortController().signal);
  assert.deepEqual(progress, { files: 2, checked: 2, corrupt: 1 });
  assert.deepEqual(await tier.drop((path) => path === '/three'), {
    files: 1,
    bytes: 3 * PAGE,
    inUse: 0,
  });
  assert.equal(tier.status().directories[0]?.files, 0);
  await tier.close();
});
