/** What a store makes of what its last life left in the journal. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { byteStringOfText as text } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/logger.ts';
import { Random } from '../base/random.ts';
import { temporaryPathFor } from '../cluster/write/temporary-names.ts';
import { contextFor } from './contexts.ts';
import { Journal } from './journal.ts';
import type { ClusterStore } from './store.ts';
import {
  Life,
  md5Of,
  MemoryCluster,
  MemoryJournalDisk,
  openInMemory,
} from './testing/memory-cluster.ts';
import type { HeldJournal } from './testing/memory-cluster.ts';
import type { AttributeChange } from './types.ts';

const SETTINGS = {
  writeMode: 'through',
  attributesTtlMs: 60_000,
  clock: systemClock,
  tuning: { retryFirstMs: 1, retryMaxMs: 5 },
} as const;

/** Of a store, whose timers alone do not keep this process running. */
async function directoryFor(t: TestContext): Promise<string> {
  const alive = setInterval(() => undefined, 1000);
  const directory = await mkdtemp(join(tmpdir(), 'alluxio-fuse-recovery-'));
  t.after(async () => {
    clearInterval(alive);
    await rm(directory, { recursive: true, force: true });
  });
  return directory;
}

test('a beginning is replaced by the last upload that came in full', async (t) => {
  const directory = await directoryFor(t);
  const cluster = new MemoryCluster();
  const life = new Life(new Random(1));
  const disk = { bytes: Buffer.alloc(0) };
  const path = text('/d/file');
  const journal = await Journal.open(new MemoryJournalDisk(disk, life), silentLogger);
  const uploads = [
    { token: 'oldest', lengthBytes: 6, held: 'oldest' },
    { token: 'older', lengthBytes: 10, held: 'older, all' },
    { token: 'newest', lengthBytes: 100, held: 'newest, a part' },
  ];
  for (const { token, lengthBytes, held } of uploads) {
    const temporary = temporaryPathFor(path, token);
    cluster.write(temporary, Buffer.from(held));
    const isWhole = held.length === lengthBytes;
    const content = isWhole ? { content: { lengthBytes, md5: md5Of(Buffer.from(held)) } } : {};
    const value = { path, token, lengthBytes, ...content };
    await journal.apply([{ kind: 'temporary', id: temporary, value }]);
  }
  await journal.close();
  // What the copy of the second one left, which failed.
  cluster.write(path, Buffer.from('older'));

  const store = await openInMemory({
    cluster,
    life,
    directory,
    journal: disk,
    isAtomic: false,
    ...SETTINGS,
  });
  const context = contextFor(10_000, new AbortController().signal);
  assert.equal((await store.stat(path, context)).lengthBytes, 10);
  assert.equal(cluster.files.get(path)?.bytes.toString(), 'older, all');
  await store.close(context);
  assert.deepEqual([...cluster.files.keys()], [path]);
});

for (const [what, isCopying, held] of [
  ['shorter', false, 'theirs'],
  ['shorter, while the copy was under way', true, 'theirs'],
  ['the same beginning, before any copy', false, 'our'],
  ['longer', true, 'theirs, and longer than ours'],
] as const) {
  test(`another client's file stays over what was never acknowledged: ${what}`, async (t) => {
    const directory = await directoryFor(t);
    const cluster = new MemoryCluster();
    const life = new Life(new Random(1));
    const disk = { bytes: Buffer.alloc(0) };
    const path = text('/d/file');
    const journal = await Journal.open(new MemoryJournalDisk(disk, life), silentLogger);
    const ours = Buffer.from('our own bytes');
    const temporary = temporaryPathFor(path, 'token');
    cluster.write(temporary, ours);
    const content = { lengthBytes: ours.length, md5: md5Of(ours) };
    const value = { path, token: 'token', lengthBytes: ours.length };
    const entry = isCopying ? { ...value, content } : value;
    await journal.apply([{ kind: 'temporary', id: temporary, value: entry }]);
    await journal.close();
    cluster.write(path, Buffer.from(held));

    const settings = { cluster, life, directory, journal: disk, isAtomic: false, ...SETTINGS };
    const store = await openInMemory(settings);
    const context = contextFor(10_000, new AbortController().signal);
    while (cluster.files.has(temporary)) {
      assert.ok(performance.now() < context.deadlineMs, 'the hidden file stays');
      await delay(5);
    }
    assert.equal(cluster.files.get(path)?.bytes.toString(), held);
    await store.close(context);
    assert.deepEqual([...cluster.files.keys()], [path]);
  });
}

test('a power failure after a rename leaves the file under its new name', async (t) => {
  const directory = await directoryFor(t);
  const cluster = new MemoryCluster();
  const journal: HeldJournal = { bytes: Buffer.alloc(0) };
  const context = contextFor(10_000, new AbortController().signal);
  const open = (): Promise<ClusterStore> => {
    const life = new Life(new Random(1));
    return openInMemory({ cluster, life, directory, journal, isAtomic: false, ...SETTINGS });
  };
  cluster.write(text('/from'), Buffer.from('bytes'));
  const store = await open();
  const options = { isExclusive: false, watched: [], keepsTarget: false };
  await store.rename(text('/from'), text('/to'), options, context);
  assert.equal(cluster.files.has(text('/from')), false);
  const left = journal.bytes.subarray(0, journal.syncedBytes);
  assert.match(left.toString(), /"phase":"switched"/);
  await store.close(context);

  journal.bytes = left;
  const next = await open();
  assert.equal((await next.stat(text('/to'), context)).lengthBytes, 5);
  await next.close(context);
  assert.equal(cluster.files.get(text('/to'))?.bytes.toString(), 'bytes');
});

test('a renamed directory keeps the times of its files, whatever listings are shown', async (t) => {
  const directory = await directoryFor(t);
  const cluster = new MemoryCluster();
  const journal: HeldJournal = { bytes: Buffer.alloc(0) };
  const context = contextFor(10_000, new AbortController().signal);
  const life = new Life(new Random(1));
  const settings = { cluster, life, directory, journal, isAtomic: false, ...SETTINGS };
  const store = await openInMemory(settings);
  const [from, to] = [text('/from'), text('/to')];
  const file = text('/from/file');
  cluster.write(file, Buffer.from('first'));
  cluster.remembered.set(from, cluster.children(from));
  cluster.write(file, Buffer.from('written since'));
  const mtimeMs = 1_097_022_986_465;
  await store.setAttributes(file, { mtimeMs, mode: 0o4755 }, context);
  // As it was before the first copy.
  cluster.remembered.set(to, []);
  const options = { isExclusive: false, watched: [], keepsTarget: false };
  await store.rename(from, to, options, context);
  assert.deepEqual((await store.stat(text('/to/file'), context)).posix, { mtimeMs, mode: 0o4755 });
  assert.equal(cluster.files.get(text('/to/file'))?.bytes.toString(), 'written since');
  assert.deepEqual(
    [...cluster.files.keys()].filter((path) => path.startsWith('/from')),
    [],
  );
  await store.close(context);
});

test('what readers would not take is refused, and what makes room is not', async (t) => {
  const directory = await directoryFor(t);
  const cluster = new MemoryCluster();
  const journal: HeldJournal = { bytes: Buffer.alloc(0) };
  const life = new Life(new Random(1));
  const tuning = { ...SETTINGS.tuning, attributeBytesMax: 2000 };
  const settings = { cluster, life, directory, journal, isAtomic: false, ...SETTINGS, tuning };
  const store = await openInMemory(settings);
  const context = contextFor(10_000, new AbortController().signal);
  const path = text('/file');
  const xattr = (bytes: number): AttributeChange => ({
    xattrs: new Map([[text('user.a'), Buffer.alloc(bytes, 'x')]]),
  });
  cluster.write(path, Buffer.from('bytes'));
  await store.setAttributes(path, xattr(1000), context);
  await assert.rejects(store.setAttributes(path, xattr(2000), context), { code: 'no-space' });
  // It takes the place of what is there.
  await store.setAttributes(path, xattr(1100), context);
  await store.sync(text('/'), context);
  await store.setAttributes(path, xattr(10), context);
  const options = { isExclusive: false, watched: [], keepsTarget: false };
  await store.rename(path, text('/other'), options, context);
  await store.close(context);
});

test('listings that no worker was told of are renewed by the next life, and only those', async (t) => {
  const directory = await directoryFor(t);
  const cluster = new MemoryCluster();
  const journal = { bytes: Buffer.alloc(0) };
  const context = contextFor(30_000, new AbortController().signal);
  const begin = async (life: Life): Promise<ClusterStore> =>
    openInMemory({ cluster, life, directory, journal, isAtomic: false, ...SETTINGS });

  const killed = new Life(new Random(1));
  cluster.oldListings.set(text('/'), 0).set(text('/d'), 0);
  const store = await begin(killed);
  await store.makeDirectory(text('/d'), {}, context);
  killed.diesAt = 0;
  assert.deepEqual(cluster.renewed, []);
  assert.ok(killed.isDead);

  const next = await begin(new Life(new Random(2)));
  assert.deepEqual(cluster.renewed, ['/', '/d']);
  const areUnheard = (): boolean[] => ['/', '/d'].map((path) => next.unheardMs(text(path)) > 0);
  assert.deepEqual(areUnheard(), [true, true]);
  cluster.renewed.length = 0;
  cluster.oldListings.delete(text('/d'));
  const isForgotten = (): boolean =>
    journal.bytes.toString().includes('[{"kind":"listing","id":"/d"}]');
  while (!isForgotten()) await delay(50);
  assert.deepEqual(cluster.renewed.splice(0), ['/', '/d']);
  assert.deepEqual(areUnheard(), [true, false]);
  await next.close(context);

  const last = await begin(new Life(new Random(3)));
  assert.deepEqual(cluster.renewed, ['/']);
  await last.close(context);
});

test('what an upload behind its writer brought is listed though the workers have not heard of it', async (t) => {
  const directory = await directoryFor(t);
  const cluster = new MemoryCluster();
  const context = contextFor(30_000, new AbortController().signal);
  const store = await openInMemory({
    cluster,
    life: new Life(new Random(1)),
    directory,
    journal: { bytes: Buffer.alloc(0) },
    isAtomic: false,
    ...SETTINGS,
    writeMode: 'back',
  });
  const upload = async (name: string, content: string): Promise<void> => {
    await writeFile(join(directory, name + content), content);
    const segments = [{ from: 'staging', lengthBytes: content.length }] as const;
    const common = { base: undefined, attributes: {}, isHandedOver: true };
    const path = text(`/d/${name}`);
    await store.upload({ ...common, path, stagingName: name + content, segments }, context);
    await store.sync(text('/d'), context);
  };
  const list = async (): Promise<string[]> => {
    const seen: string[] = [];
    for await (const batch of store.list(text('/d'), context)) {
      for (const { name, lengthBytes } of batch) seen.push(`${name} ${lengthBytes}`);
    }
    return seen.sort();
  };
  await store.makeDirectory(text('/d'), {}, context);
  await upload('a', 'old');
  await upload('gone', 'old');
  // From here on the worker does not answer when it is told, and shows what it remembers.
  cluster.oldListings.set(text('/d'), performance.now());
  cluster.remembered.set(text('/d'), cluster.children(text('/d')));
  await upload('a', 'newer');
  await upload('b', 'new');
  await upload('c', 'new');
  await store.removeFile(text('/d/c'), false, context);
  await store.removeFile(text('/d/gone'), false, context);
  assert.deepEqual(await list(), ['a 5', 'b 3']);
  // It has been told, and what it shows is its own word.
  cluster.oldListings.clear();
  assert.deepEqual(await list(), ['a 3', 'gone 3']);
  await store.close(context);
});
