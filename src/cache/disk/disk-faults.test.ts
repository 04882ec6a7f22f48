/** A tier whose disk is slow or broken, or that is asked for much at once. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '../../base/clock.ts';
import { intercept, interceptReads } from './testing/calls.ts';
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
  readPages,
  tellEvents,
} from './testing/tier.ts';
import type { TestFile } from './testing/tier.ts';
import { waitFor } from './testing/wait.ts';

test('many files are removed a few at a time, and others have their turn meanwhile', async (context) => {
  const directory = await makeDirectory(context);
  const first = await openTier([directory]);
  const files = Array.from({ length: 1200 }, (_, index) => fileOf(`f${index}`, 100));
  for (const file of files) await keep(first, file, [0]);
  let [calls, running, most] = [0, 0, 0];
  intercept(context, 'unlink', (unlink) => async (path) => {
    calls++;
    most = Math.max(most, ++running);
    try {
      await unlink(path);
    } finally {
      running--;
    }
  });
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const dropped = await first.drop((path) => path.length % 2 === 0);
  assert.ok(turns >= 3, `${turns} turns`);
  await first.close();
  assert.equal(calls, dropped.files);
  assert.ok(most <= 2, `${most} at a time`);
  assert.equal(backingFiles(directory).length, 1200 - dropped.files);
  // A lower limit: most of what is left goes.
  turns = 0;
  const second = await openTier([directory], { limitBytes: 80 * PAGE });
  await waitFor('removals', () => backingFiles(directory).length <= 80);
  assert.ok(turns >= 2, `${turns} turns`);
  isOver = true;
  await second.close();
});

test('where the disk is full, no more is evicted than is needed, however slowly files go', async (context) => {
  const directory = await makeDirectory(context);
  const clock = new ManualClock();
  let blocked: (() => void)[] | undefined = [];
  intercept(context, 'unlink', (unlink) => async (path) => {
    await new Promise<void>((resolve) =>
      blocked === undefined ? resolve() : blocked.push(resolve),
    );
    await unlink(path);
  });
  // A disk for twenty files.
  let isBegun = false;
  intercept(context, 'statfs', () => async () => {
    const bavail = 20 - (isBegun ? backingFiles(directory).length : 0);
    return await Promise.resolve({ bavail, blocks: 20, bsize: PAGE });
  });
  const tier = await openTier([directory], { clock });
  const files = Array.from({ length: 26 }, (_, index) => fileOf(`f${index}`, PAGE));
  for (const file of files.slice(0, 20)) {
    await keep(tier, file, [0]);
    isBegun = true;
  }
  assert.equal(backingFiles(directory).length, 20);
  const evicted = (): number => tier.status().figures.evictedFiles;
  const kept = Promise.all(
    files.slice(20).map(async (file) => {
      // The figure is asked for anew each time; all of it takes less than a disk that hangs.
      clock.advance(1_001);
      await keep(tier, file, [0]);
    }),
  );
  await waitFor('a removal', () => blocked?.length !== 0);
  for (let turn = 0; turn < 100; turn++) {
    if (turn % 30 === 0) clock.advance(1_001);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(evicted() <= 2, `${evicted()} files`);
  const first = blocked;
  blocked = undefined;
  for (const resolve of first) resolve();
  await kept;
  // What is being written may be counted twice: on the disk, and as reserved.
  assert.ok(evicted() >= 6 && evicted() <= 8, `${evicted()} files`);
  await tier.close();
});

test('a listing that nobody takes does not cost what is cached', async (context) => {
  const directory = await makeDirectory(context);
  context.mock.timers.enable({ apis: ['setInterval'] });
  const tier = await openTier([directory], { limitBytes: 64 * PAGE });
  let goOn = (): void => undefined;
  const isRead = new Promise<void>((resolve) => (goOn = resolve));
  const listing = tier.list(
    () => undefined,
    async () => await isRead,
  );
  const files = Array.from({ length: 600 }, (_, index) => fileOf(`f${index}`, PAGE));
  for (const file of files) await keep(tier, file, [0]);
  const status = () => tier.status().directories[0] ?? assert.fail();
  const before = status();
  for (let tick = 0; tick < 20; tick++) {
    context.mock.timers.tick(10_000);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor('the index to be written anew', () => status().indexBytes < before.indexBytes / 4);
  // Beside the log its next one needs room for a while.
  const { files: left } = status();
  assert.ok(left >= before.files - 10, `${left} of ${before.files} files`);
  assert.equal((await tier.drop(() => true)).files, left);
  goOn();
  await listing;
  await tier.close();
});

test('a check beside a write finds nothing wrong with what is not all there yet', async (context) => {
  const directory = await makeDirectory(context);
  const events = tellEvents();
  const tier = await openTier([directory], { events });
  let [isMade, goOn] = [false, (): void => undefined];
  const isChecked = new Promise<void>((resolve) => (goOn = resolve));
  intercept(context, 'open', (open) => async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    if (typeof flags !== 'number' || (flags & constants.O_CREAT) === 0) return handle;
    // It is there, and empty.
    isMade = true;
    await isChecked;
    return handle;
  });
  const file = fileOf('new', 3 * PAGE);
  const keeping = keep(tier, file, allPages(file));
  await waitFor('the file', () => isMade);
  const progress = { files: 0, checked: 0, corrupt: 0 };
  await tier.verify(() => true, progress, new AbortController().signal);
  goOn();
  await keeping;
  assert.deepEqual(progress, { files: 1, checked: 1, corrupt: 0 });
  assert.deepEqual(events.lines, []);
  assert.equal(await isServed(tier, file), true);
  await tier.close();
});

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test('what cannot be read is written anew; a want of descriptors is not held against a disk', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory]);
  const [bad, good] = [fileOf('bad', 2 * PAGE), fileOf('good', PAGE)];
  await keep(tier, bad, [0, 1]);
  await keep(tier, good, [0]);
  const before = backingFiles(directory);
  let code: string | undefined = 'EIO';
  await interceptReads(context, (read) => async (...args) => {
    if (code !== undefined) throw failure(code);
    return await read(...args);
  });
  assert.deepEqual(await readPages(tier, bad, [0]), [undefined]);
  code = undefined;
  assert.deepEqual(await readPages(tier, bad, [0, 1]), [undefined, undefined], 'given up');
  await keep(tier, bad, [0, 1]);
  assert.equal(await isServed(tier, bad), true);
  assert.equal(backingFiles(directory).filter((path) => !before.includes(path)).length, 1);
  for (code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
    for (let times = 0; times < 10; times++) {
      assert.deepEqual(await readPages(tier, good, [0]), [undefined]);
    }
  }
  code = undefined;
  assert.equal(await isServed(tier, good), true);
  await tier.close();
});

test('pipes in place of files are no files, and nobody waits for them', async (context) => {
  const directory = await makeDirectory(context);
  const events = tellEvents();
  const tier = await openTier([directory], { events });
  const files = Array.from({ length: 6 }, (_, index) => fileOf(`f${index}`, 100));
  for (const file of files) await keep(tier, file, [0]);
  for (const path of backingFiles(directory)) {
    unlinkSync(path);
    execFileSync('mkfifo', [path]);
  }
  const found = await Promise.all(files.map(async (file) => await isServed(tier, file)));
  assert.deepEqual(found, Array<boolean>(6).fill(false));
  assert.deepEqual(events.lines, Array<string>(6).fill('corrupt: it is no file'));
  await tier.close();
});

test('a read that the disk does not answer is over in time, and touches nothing when it ends', async (context) => {
  const directory = await makeDirectory(context);
  const events = tellEvents();
  const tier = await openTier([directory], { events });
  const file = fileOf('file', 6 * PAGE);
  await keep(tier, file, allPages(file));
  const content = tier.contentOf(file.path, file.version) ?? assert.fail();
  let hung: (() => void)[] | undefined = [];
  await interceptReads(context, (read) => async (...args) => {
    await new Promise<void>((resolve) => (hung === undefined ? resolve() : hung.push(resolve)));
    return await read(...args);
  });
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const memory = allPages(file).map(() => Buffer.alloc(PAGE, 1));
  const reads = memory.map(async (piece, index) => await content.read(index, [[piece]]));
  for (let turn = 0; turn < 1000 && hung.length < 3; turn++) await nextTurn();
  // The others leave threads to whoever else needs one.
  assert.equal(hung.length, 3);
  context.mock.timers.tick(5_000);
  assert.deepEqual((await Promise.all(reads)).flat(), Array<boolean>(6).fill(false));
  assert.deepEqual(await content.read(0, [[Buffer.alloc(PAGE)]]), [false], 'it is not asked again');
  await keep(tier, fileOf('other', 100), [0]);
  assert.equal(tier.status().figures.notKeptPages.failed, 1);
  const late = hung;
  hung = undefined;
  for (const resolve of late) resolve();
  let isRight = false;
  for (let turn = 0; turn < 10_000 && !isRight; turn++) {
    await nextTurn();
    isRight = (await content.read(1, [[Buffer.alloc(PAGE)]]))[0] === true;
  }
  assert.ok(isRight, 'it is asked again once it has answered');
  for (const piece of memory) assert.deepEqual(piece, Buffer.alloc(PAGE, 1));
  assert.equal(tier.status().figures.failures.read, 6);
  context.mock.timers.reset();
  await tier.close();
});

test('who waits for a disk that others keep busy is told in time', async (context) => {
  const directory = await makeDirectory(context);
  const tier = await openTier([directory], { pageSizeBytes: MIB });
  const file: TestFile = fileOf('file', MIB);
  const content = tier.contentOf(file.path, file.version) ?? assert.fail();
  await content.keep([content.copy(0, [Buffer.alloc(MIB, 7)]) ?? assert.fail()]);
  const calls: (() => void)[] = [];
  await interceptReads(context, (read) => async (...args) => {
    await new Promise<void>((resolve) => calls.push(resolve));
    return await read(...args);
  });
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const startedMs = performance.now();
  let passedMs = 0;
  context.mock.method(performance, 'now', () => startedMs + passedMs);
  const pass = (ms: number): void => {
    passedMs += ms;
    context.mock.timers.tick(ms);
  };
  const threeCalls = async (): Promise<void> => {
    for (let turn = 0; turn < 1e6 && calls.length < 3; turn++) await nextTurn();
    assert.equal(calls.length, 3);
  };
  const reads = Array.from({ length: 9 }, () => content.read(0, [[Buffer.alloc(MIB)]]));
  await threeCalls();
  // Each takes 3 s, which is no failure.
  pass(3_000);
  for (const end of calls.splice(0)) end();
  await threeCalls();
  pass(2_200);
  const waiting = await Promise.all(reads.slice(6));
  assert.deepEqual(waiting.flat(), [false, false, false]);
  for (const end of calls.splice(0)) end();
  assert.deepEqual((await Promise.all(reads.slice(0, 6))).flat(), Array<boolean>(6).fill(true));
  context.mock.timers.reset();
  await tier.close();
});

test('a disk that does not take what is written keeps no other directory waiting', async (context) => {
  const directories = [await makeDirectory(context), await makeDirectory(context)];
  const clock = new ManualClock();
  const tier = await openTier(directories, { clock });
  const files = Array.from({ length: 40 }, (_, index) => fileOf(`f${index}`, 100));
  const hung: (() => void)[] = [];
  const first = join(directories[0] ?? '', 'alluxio-fuse-cache', 'files');
  intercept(context, 'open', (open) => async (...args) => {
    if (String(args[0]).startsWith(first)) {
      await new Promise<void>((resolve) => hung.push(resolve));
    }
    return await open(...args);
  });
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const kept = Promise.all(files.map(async (file) => await keep(tier, file, [0])));
  for (let turn = 0; turn < 1e6 && hung.length < 2; turn++) await nextTurn();
  clock.advance(11_000);
  context.mock.timers.tick(11_000);
  await kept;
  const [stuck, other] = tier.status().directories;
  assert.equal(hung.length, 2, 'no more is asked of it');
  assert.ok(other !== undefined && other.pages > 5, `${other?.pages} pages`);
  assert.equal(stuck?.pages, 0);
  assert.equal(tier.status().figures.notKeptPages.failed, 40 - other.pages);
  for (const end of hung) end();
  context.mock.timers.reset();
  await tier.close();
});

test('a directory whose disk never answers is given up', async (context) => {
  const directory = await makeDirectory(context);
  context.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const events = tellEvents();
  const tier = await openTier([directory], { events });
  const file = fileOf('file', 100);
  await keep(tier, file, [0]);
  const hung: (() => void)[] = [];
  await interceptReads(context, (read) => async (...args) => {
    await new Promise<void>((resolve) => hung.push(resolve));
    return await read(...args);
  });
  const reading = isServed(tier, file);
  for (let turn = 0; turn < 1000 && hung.length === 0; turn++) await nextTurn();
  for (let tick = 0; tick < 9; tick++) {
    context.mock.timers.tick(10_000);
    await nextTurn();
  }
  assert.equal(await reading, false);
  assert.equal(tier.status().directories[0]?.state, 'retired');
  for (const resolve of hung) resolve();
  context.mock.timers.reset();
  await tier.close();
});
