/** Routing under scripted faults: where a range comes from, in which order, and what is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../src/base/byte-string.ts';
import { ManualClock, systemClock } from '../../src/base/clock.ts';
import type { Clock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { ReadResult } from '../../src/cluster/cluster-client.ts';
import type { ClusterEvents } from '../../src/cluster/cluster-events.ts';
import { ignoredEvents } from '../../src/cluster/cluster-events.ts';
import { heldMembership } from '../support/held-membership.ts';
import { ViewHolder } from '../../src/cluster/membership/membership.ts';
import { RoutedClient } from '../../src/cluster/routed-client.ts';
import type { RoutedClientOptions } from '../../src/cluster/routed-client.ts';
import type { CallContext, ClusterErrorCode, FileVersion } from '../../src/cluster/types.ts';
import { ClusterError } from '../../src/cluster/types.ts';
import { MountTable } from '../../src/cluster/mapping/mount-table.ts';
import { UfsRootCheck } from '../../src/cluster/ufs-root-check.ts';
import { MemoryUnderStore } from '../support/memory-under-store.ts';
import { ROOT, ScriptedWorkers } from '../support/scripted-workers.ts';

const PAGE = 1024;

interface World {
  readonly workers: ScriptedWorkers;
  readonly store: MemoryUnderStore;
  readonly client: RoutedClient;
  readonly holder: ViewHolder;
  /** `name arguments` of every event but calls and bytes. */
  readonly events: string[];
  readonly lines: string[];
}

interface Setting {
  readonly workers?: number;
  readonly virtualNodes?: number | 'auto';
  readonly truth?: number;
  readonly workerPage?: number;
  /** Membership never told of a worker. */
  readonly isEmpty?: boolean;
  /** Of a fixed list that names so many of the workers only. */
  readonly listed?: number;
  readonly hasStore?: boolean;
  readonly storeIsUp?: boolean;
  readonly clock?: Clock;
  readonly options?: Partial<RoutedClientOptions>;
}

function build(setting: Setting = {}): World {
  const { virtualNodes = 5, hasStore = false, clock = systemClock } = setting;
  const workers = new ScriptedWorkers({
    workers: setting.workers ?? 3,
    virtualNodes: setting.truth ?? 5,
    pageSizeBytes: setting.workerPage ?? PAGE,
  });
  const store = new MemoryUnderStore(workers);
  store.isUp = setting.storeIsUp ?? true;
  const holder = new ViewHolder();
  if (setting.isEmpty !== true) holder.replace(workers.workers.slice(0, setting.listed));
  const membership = heldMembership(holder, setting.listed === undefined);
  const events: string[] = [];
  const note =
    (name: string) =>
    (...details: unknown[]): void =>
      void events.push([name, ...details].join(' '));
  const recorded: ClusterEvents = {
    ...ignoredEvents,
    fallback: note('fallback'),
    fallbackLimited: (outcome) => note('limited')(outcome),
    redirect: (outcome) => note('redirect')(outcome),
    retry: (method, code) => note('retry')(method, code),
    breaker: (_worker, state) => note('breaker')(state),
    inexpressible: note('inexpressible'),
    pageSizeMismatch: () => note('mismatch')(),
    virtualNodesSwitched: note('switched'),
  };
  const lines: string[] = [];
  const line = (_fields: unknown, message: string): void => void lines.push(message);
  const logger: Logger = { debug: line, info: line, warn: line, error: line };
  const client = new RoutedClient({
    client: workers,
    membership,
    mounts: MountTable.ofRoot(ROOT),
    pageSizeBytes: PAGE,
    virtualNodes,
    underStore: hasStore ? store : undefined,
    clock,
    logger,
    events: recorded,
    random: () => 0.5,
    ...setting.options,
  });
  return { workers, store, client, holder, events, lines };
}

function within(ms: number): CallContext {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + ms };
}

/** Reads and checks every byte against the file. */
async function read(
  { workers, client }: World,
  path: string,
  range: { offset?: number; length?: number; version?: FileVersion; ms?: number } = {},
): Promise<ReadResult> {
  const file = workers.files.get(path);
  const fileBytes = file?.bytes ?? Buffer.alloc(0);
  const offset = range.offset ?? 0;
  const lengthBytes = range.length ?? fileBytes.length - offset;
  const into = Buffer.alloc(lengthBytes, 0xee);
  const version = range.version ?? {
    lengthBytes: fileBytes.length,
    mtimeMs: file?.mtimeMs ?? 0,
  };
  const result = await client.read(
    { path: path as ByteString, offset, lengthBytes, version },
    (chunk, at) => into.set(chunk, at),
    within(range.ms ?? 5_000),
  );
  assert.ok(into.equals(fileBytes.subarray(offset, offset + lengthBytes)), `bytes of ${path}`);
  return result;
}

function failsWith(code: ClusterErrorCode, pattern?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ClusterError, String(error));
    assert.equal(error.code, code, error.message);
    if (pattern !== undefined) assert.match(error.message, pattern);
    return true;
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, 'Waited too long');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a warm file comes from the pages of its owner', async () => {
  const world = build();
  world.workers.add('/d/f', 10 * PAGE + 7);
  world.workers.warm('/d/f');
  const result = await read(world, '/d/f');
  assert.deepEqual(result, { source: 'page', worker: world.workers.ownerOf('/d/f').id });
  assert.equal(world.workers.countOf('s3'), 0);
});

test('page boundaries: every range of files around the page size is exact, cold and warm', async () => {
  const world = build();
  for (const length of [1, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE - 1, 10 * PAGE, 10 * PAGE + 1]) {
    const path = `/d/f${length}`;
    world.workers.add(path, length);
    for (const offset of [0, 1, PAGE - 1, PAGE, PAGE + 1, length - 1]) {
      if (offset >= length) continue;
      for (const size of [1, 2, PAGE, 3 * PAGE]) {
        const fits = Math.min(size, length - offset);
        await read(world, path, { offset, length: fits });
      }
    }
    await read(world, path);
  }
});

test('a range at or past the end delivers nothing and asks nobody', async () => {
  const world = build();
  world.workers.add('/d/f', 10);
  await read(world, '/d/f', { offset: 10, length: 0 });
  assert.equal(world.workers.calls.length, 0);
});

test('a cold data set soon goes to the S3 port without asking for pages first', async () => {
  const world = build();
  for (let i = 0; i < 200; i += 1) {
    world.workers.add(`/d/f${i}`, 100);
    await read(world, `/d/f${i}`);
  }
  assert.equal(world.workers.countOf('s3'), 200);
  assert.ok(world.workers.countOf('page') < 40, String(world.workers.countOf('page')));
});

test('a data set that became warm is noticed', async () => {
  const world = build();
  for (let i = 0; i < 600; i += 1) {
    world.workers.add(`/d/f${i}`, 100);
    if (i >= 100) world.workers.warm(`/d/f${i}`);
    await read(world, `/d/f${i}`);
  }
  assert.ok(world.workers.countOf('page') > 200, String(world.workers.countOf('page')));
});

test('a cold file is read through in large ranges, and again from pages', async () => {
  const world = build();
  world.workers.add('/d/f', 64 * PAGE);
  for (let i = 0; i < 8; i += 1)
    await read(world, '/d/f', { offset: i * 8 * PAGE, length: 8 * PAGE });
  assert.equal(world.workers.countOf('s3'), 8);
  assert.ok(world.workers.countOf('page') <= 3, String(world.workers.countOf('page')));
  const again = await read(world, '/d/f', { offset: 8 * PAGE, length: 8 * PAGE });
  assert.equal(again.source, 'page');
});

test('a redirect is followed and remembered for the file', async () => {
  const world = build({ virtualNodes: 2000, truth: 5 });
  let path: string | undefined;
  for (let i = 0; i < 50 && path === undefined; i += 1) {
    const name = `/d/f${i}`;
    const { workers } = await world.client.locate(name as ByteString, 1, within(500));
    if (workers[0]?.id !== world.workers.ownerOf(name).id) path = name;
  }
  assert.ok(path !== undefined);
  world.workers.add(path, 4 * PAGE);
  const result = await read(world, path, { length: PAGE });
  assert.equal(result.worker, world.workers.ownerOf(path).id);
  assert.deepEqual(world.events, ['redirect followed']);
  await read(world, path, { offset: PAGE, length: PAGE });
  assert.deepEqual(world.events, ['redirect followed'], 'the owner is asked at once');
});

test('auto finds out that the cluster has 5 virtual nodes', async () => {
  const world = build({ virtualNodes: 'auto', truth: 5, workers: 5 });
  for (let i = 0; i < 30; i += 1) {
    world.workers.add(`/d/f${i}`, 10);
    await read(world, `/d/f${i}`);
  }
  assert.ok(world.events.includes('switched 2000 5'));
  const { virtualNodes, virtualNodesFrom } = world.client.status();
  assert.deepEqual([virtualNodes, virtualNodesFrom], [5, 'learned']);
});

for (const truth of [5, 2000]) {
  test(`who only asks for owners is told the right ones of a cluster with ${truth} virtual nodes`, async () => {
    const world = build({ virtualNodes: 'auto', truth, workers: 3 });
    for (let i = 0; i < 40; i += 1) {
      world.workers.add(`/d/f${i}`, 10);
      const { workers } = await world.client.locate(`/d/f${i}` as ByteString, 3, within(500));
      assert.equal(workers[0]?.id, world.workers.ownerOf(`/d/f${i}`).id);
      assert.equal(new Set(workers).size, 3);
    }
    const { virtualNodes, virtualNodesFrom } = world.client.status();
    assert.deepEqual([virtualNodes, virtualNodesFrom], [truth, 'learned']);
    assert.ok(world.workers.countOf('s3') < 20, 'Not for each of them');
    // What is not there has an owner, too.
    assert.equal(
      (await world.client.locate('/d/none' as ByteString, 1, within(500))).workers.length,
      1,
    );
  });
}

for (const fault of ['dead', 'hangs'] as const) {
  test(`an owner that ${fault === 'dead' ? 'is dead' : 'hangs'} without an under store is a clear error`, async () => {
    const world = build();
    world.workers.add('/d/f', 100);
    world.workers.faults.set(world.workers.ownerOf('/d/f').host, fault);
    const startMs = performance.now();
    await assert.rejects(
      read(world, '/d/f', { ms: 800 }),
      failsWith('unavailable', /which does not answer.*120 s.*--ufs/),
    );
    assert.ok(performance.now() - startMs < 800, 'within the deadline');
    assert.ok(world.events.includes('redirect owner-failing'));
  });

  test(`an owner that ${fault === 'dead' ? 'was dead' : 'hung'} is asked at once where nobody else could answer`, async () => {
    const world = build();
    world.workers.add('/d/f', 100);
    const { host } = world.workers.ownerOf('/d/f');
    world.workers.faults.set(host, fault);
    for (let i = 0; i < 4; i += 1) {
      await assert.rejects(read(world, '/d/f', { ms: 200 }), failsWith('unavailable'));
    }
    world.workers.faults.delete(host);
    assert.equal((await read(world, '/d/f', { ms: 800 })).worker, world.workers.ownerOf('/d/f').id);
  });

  test(`an owner that ${fault === 'dead' ? 'is dead' : 'hangs'} is replaced by the under store`, async () => {
    const world = build({ hasStore: true });
    world.workers.add('/d/f', 3 * PAGE);
    world.workers.faults.set(world.workers.ownerOf('/d/f').host, fault);
    const result = await read(world, '/d/f', { ms: 800 });
    assert.deepEqual(result, { source: 'under-store', worker: undefined });
    assert.ok(world.events.includes('fallback owner-dead'));
  });
}

test('the under store is not believed when it has another version', async () => {
  const world = build({ hasStore: true });
  world.workers.add('/d/f', 100, 5_000);
  for (const { host } of world.workers.workers) world.workers.faults.set(host, 'dead');
  const version = { lengthBytes: 100, mtimeMs: 4_999 };
  await assert.rejects(read(world, '/d/f', { version }), failsWith('version-changed'));
  await read(world, '/d/f', { version: { lengthBytes: 100, mtimeMs: 5_000 } });
});

test('an unreachable under store is no help and is told', async () => {
  const up = build({ hasStore: true });
  await until(() => up.client.status().underStoreFallback === 'available');
  const world = build({ hasStore: true, storeIsUp: false });
  world.workers.add('/d/f', 100);
  for (const { host } of world.workers.workers) world.workers.faults.set(host, 'dead');
  await assert.rejects(read(world, '/d/f'), failsWith('unavailable'));
  assert.equal(world.client.status().underStoreFallback, 'unreachable');
  assert.equal(world.store.reads, 0);
});

test('no worker at all: an error, or the under store', async () => {
  const world = build({ hasStore: true, isEmpty: true });
  world.workers.add('/d/f', 100);
  assert.equal((await read(world, '/d/f')).source, 'under-store');
  assert.deepEqual(world.events, ['fallback no-workers']);
  const bare = build({ isEmpty: true });
  await assert.rejects(
    bare.client.stat('/d/f' as ByteString, within(500)),
    failsWith('unavailable', /No worker/),
  );
});

test('workers that answer are asked although membership says that nobody is there', async () => {
  const world = build();
  world.workers.add('/d/f', 100);
  world.holder.replace([]);
  assert.equal((await read(world, '/d/f')).source, 's3');
  assert.deepEqual(world.client.status().view.workers, []);
  assert.equal(world.client.status().workers.length, 3);
});

for (const fault of ['short', 'overlong'] as const) {
  test(`an ${fault} answer is never passed on`, async () => {
    const world = build({ hasStore: true });
    world.workers.add('/d/f', 100);
    world.workers.faults.set(world.workers.ownerOf('/d/f').host, fault);
    const result = await read(world, '/d/f', { length: 50 });
    assert.equal(result.source, 'under-store');
    assert.ok(world.events.includes('retry s3 protocol'), world.events.join());
  });
}

test('a file that changed is version-changed, after a look or two, and no other worker is asked', async () => {
  const world = build({ hasStore: true });
  world.workers.add('/d/f', 100, 2_000);
  const version = { lengthBytes: 100, mtimeMs: 1_000 };
  await assert.rejects(read(world, '/d/f', { version }), failsWith('version-changed'));
  assert.equal(world.workers.countOf('s3'), 1);
  assert.ok(world.workers.countOf('stat') <= 2);
});

test('pages of an overwritten file of equal length are not taken for the version opened', async () => {
  const world = build();
  const file = world.workers.add('/d/f', 2 * PAGE, 1_000);
  world.workers.warm('/d/f');
  const opened = { lengthBytes: 2 * PAGE, mtimeMs: 1_000 };
  file.mtimeMs = 2_000;
  await assert.rejects(
    read(world, '/d/f', { version: opened, length: PAGE }),
    failsWith('version-changed'),
  );
});

test('the old page of a file that was longer is not cut to what the new one has', async () => {
  const world = build();
  world.workers.add('/d/f', 1000);
  world.workers.warm('/d/f');
  const version = { lengthBytes: 500, mtimeMs: 2_000 };
  await assert.rejects(read(world, '/d/f', { version, length: 500 }), failsWith('version-changed'));
});

for (const kind of ['oss', 'enterprise'] as const) {
  test(`${kind}: several pages of an overwritten file are not even begun to be told`, async () => {
    const world = build();
    world.workers.kind = kind;
    const file = world.workers.add('/d/f', 4 * PAGE, 1_000);
    world.workers.warm('/d/f');
    const version = { lengthBytes: 4 * PAGE, mtimeMs: 1_000 };
    file.mtimeMs = 2_000;
    // Who is given pages as they arrive has handed the first ones on before the last is there.
    let told = 0;
    const range = { path: '/d/f' as ByteString, offset: 0, lengthBytes: 3 * PAGE, version };
    const reading = world.client.read(range, (chunk) => void (told += chunk.length), within(5_000));
    await assert.rejects(reading, failsWith('version-changed'));
    assert.equal(told, 0);
  });
}

test('a range of an overwritten file of equal length is not taken for the version opened', async () => {
  const world = build();
  world.workers.kind = 'enterprise';
  const file = world.workers.add('/d/f', 2 * PAGE, 1_000);
  const version = { lengthBytes: 2 * PAGE, mtimeMs: 1_000 };
  file.mtimeMs = 2_000;
  await assert.rejects(
    read(world, '/d/f', { version, length: PAGE }),
    failsWith('version-changed'),
  );
  // Once a second is enough.
  file.mtimeMs = 1_000;
  for (let i = 0; i < 2; i += 1) await read(world, '/d/f', { version });
  assert.equal(world.workers.countOf('stat'), 3);
});

test('a status asked for just before spares the pages another one', async () => {
  const world = build();
  world.workers.add('/d/f', 4 * PAGE);
  world.workers.warm('/d/f');
  await world.client.stat('/d/f' as ByteString, within(500));
  for (let i = 0; i < 4; i += 1) await read(world, '/d/f', { offset: i * PAGE, length: PAGE });
  assert.equal(world.workers.countOf('stat'), 1);
});

test('a file that is gone is not-found', async () => {
  const world = build({ hasStore: true });
  const version = { lengthBytes: 100, mtimeMs: 1_000 };
  await assert.rejects(read(world, '/d/gone', { version, length: 100 }), failsWith('not-found'));
});

test('a worker that denies a file it still lists is passed over', async () => {
  const world = build({ hasStore: true });
  world.workers.add('/d/f', 100);
  world.workers.faults.set(world.workers.ownerOf('/d/f').host, 's3-missing');
  assert.equal((await read(world, '/d/f')).source, 'under-store');
});

test('pages of 4 KiB where ours are larger are found out from two files of one page', async () => {
  const world = build({ workerPage: 4096, options: { pageSizeBytes: 4 * 4096 } });
  for (const path of ['/d/f', '/d/g']) {
    world.workers.add(path, 3 * 4096);
    world.workers.warm(path);
    assert.equal(world.client.status().pageSizeMismatch, undefined, `before ${path}`);
    await read(world, path, { length: 3 * 4096 });
  }
  assert.match(world.client.status().pageSizeMismatch ?? '', /--page-size.* to 4096$/);
});

for (const workerPage of [PAGE * 4, PAGE * 256]) {
  test(`pages of ${workerPage} bytes where ours have ${PAGE} are found out`, async () => {
    const world = build({ workerPage });
    const length = PAGE * 600;
    world.workers.add('/d/f', length);
    world.workers.warm('/d/f');
    for (const offset of [0, 5, PAGE, 7 * PAGE + 3, length - 1]) {
      await read(world, '/d/f', { offset, length: Math.min(3 * PAGE, length - offset) });
    }
    assert.equal(world.events.filter((event) => event === 'mismatch').length, 1);
    assert.match(world.client.status().pageSizeMismatch ?? '', /--page-size.* to \d+$/);
    assert.match(world.client.status().pageSizeMismatch ?? '', new RegExp(`${workerPage}$`));
    const pagesBefore = world.workers.countOf('page');
    await read(world, '/d/f');
    assert.equal(world.workers.countOf('page'), pagesBefore, 'pages are off');
  });
}

for (const [extent, filesNeeded] of [
  ['a file of which every page is held', 1],
  // What a range read of another client leaves looks the same, so one file is no proof.
  ['files of which only the first page is held', 2],
] as const) {
  test(`pages shorter than ours are found out by ${extent}`, async () => {
    const small = 4096;
    const big = 16_384;
    const clock = new ManualClock();
    const world = build({ clock, workerPage: small, options: { pageSizeBytes: big } });
    for (let count = 1; count <= filesNeeded; count++) {
      assert.equal(world.client.status().pageSizeMismatch, undefined);
      const path = `/d/f${count}`;
      world.workers.add(path, 10 * big);
      world.workers.warm(path, filesNeeded === 1 ? undefined : 1);
      for (const offset of [0, small]) await read(world, path, { offset, length: small });
      // Each worker is asked for a proof twice a second at most.
      clock.advance(1_000);
    }
    assert.match(world.client.status().pageSizeMismatch ?? '', /to 4096$/);
  });
}

test('an old, shorter first page is not mistaken for another page size', async () => {
  const world = build();
  const file = world.workers.add('/d/f', 100);
  world.workers.warm('/d/f');
  await read(world, '/d/f');
  file.bytes = Buffer.alloc(100, 7);
  world.workers.add('/d/g', 3 * PAGE);
  world.workers.warm('/d/g');
  await read(world, '/d/g');
  assert.equal(world.client.status().pageSizeMismatch, undefined);
});

test('names that no worker can carry come from the under store, else fail as such', async () => {
  for (const name of ['what?', 'a\\b', 'bad\xff']) {
    const path = `/d/${name}`;
    const bare = build();
    bare.workers.add(path, 10);
    await assert.rejects(read(bare, path), failsWith('inexpressible'));
    await assert.rejects(read(bare, path), failsWith('inexpressible'));
    assert.equal(bare.events.filter((event) => event.startsWith('inexpressible')).length, 2);
    assert.equal(bare.lines.length, 1, 'one line a path');
    const world = build({ hasStore: true });
    world.workers.add(path, 10);
    assert.equal((await read(world, path)).source, 'under-store');
    const status = await world.client.stat(path as ByteString, within(500));
    assert.equal(status.lengthBytes, 10);
    await assert.rejects(
      world.client.stat(`${path}-not` as ByteString, within(500)),
      failsWith('not-found'),
    );
  }
});

test('a file directly under the root is read from pages, the under store, or not at all', async () => {
  const warm = build();
  warm.workers.add('/f', 2 * PAGE);
  warm.workers.warm('/f');
  assert.equal((await read(warm, '/f')).source, 'page');
  const cold = build();
  cold.workers.add('/f', 10);
  await assert.rejects(read(cold, '/f'), failsWith('inexpressible', /under the root/));
  assert.deepEqual(cold.events, ['inexpressible root-file']);
  const stored = build({ hasStore: true });
  stored.workers.add('/f', 10);
  assert.equal((await read(stored, '/f')).source, 'under-store');
});

async function names(world: World, path: string): Promise<string[]> {
  const all: string[] = [];
  for await (const batch of world.client.list(path as ByteString, within(2_000))) {
    all.push(...batch.map((entry) => entry.name));
  }
  return all;
}

test('a listing gets the names that workers leave out from the under store', async () => {
  const world = build({ hasStore: true });
  world.workers.directories.set('/d', ['a', 'x?y', 'b']);
  world.workers.add('/d/x?y', 3);
  assert.deepEqual(await names(world, '/d'), ['a', 'b', 'x?y']);
  await assert.rejects(names(world, '/none'), failsWith('not-found'));
});

test('a directory that workers trip over is listed by the under store, else an error that says so', async () => {
  const bare = build();
  bare.workers.directories.set('/d', ['a', 'POISON']);
  await assert.rejects(
    names(bare, '/d'),
    failsWith('unavailable', /not valid UTF-8.*if --ufs were/),
  );
  bare.workers.directories.set('/e', ['POISON']);
  for (let i = 0; i < 6; i += 1) await assert.rejects(names(bare, '/e'));
  await until(() => bare.workers.countOf('health') > 0);
  assert.ok(!bare.events.includes('breaker open'), 'a healthy worker is not to blame');
  const world = build({ hasStore: true });
  world.workers.directories.set('/d', ['a', 'POISON']);
  assert.deepEqual(await names(world, '/d'), ['a', 'POISON']);
  const away = build({ hasStore: true, storeIsUp: false });
  away.workers.directories.set('/d', ['a', 'POISON']);
  await assert.rejects(names(away, '/d'), failsWith('unavailable', /does not answer either/));
});

test('once a worker has told another root, the under store is left alone', async () => {
  const mounts = MountTable.ofRoot(ROOT);
  const check = new UfsRootCheck({ mounts, logger: silentLogger, events: ignoredEvents });
  const world = build({ hasStore: true, options: { ufsRootCheck: check } });
  world.workers.directories.set('/d', ['a', 'x?y']);
  world.workers.add('/d/x?y', 3);
  assert.equal((await read(world, '/d/x?y')).source, 'under-store');
  const [worker] = world.workers.workers;
  assert.ok(worker !== undefined);
  check.note(worker, '/d' as ByteString, 'file:///elsewhere/d');
  assert.match(world.client.status().ufsRootMismatch ?? '', /--ufs.* to file:\/\/\/elsewhere$/);
  assert.equal(world.client.status().underStoreFallback, 'off');
  assert.deepEqual(await names(world, '/d'), ['a']);
  await assert.rejects(read(world, '/d/x?y'), failsWith('inexpressible'));
  const lost = world.client.stat('/d/x?y' as ByteString, within(500));
  await assert.rejects(lost, failsWith('inexpressible'));
  // Ranges of Enterprise are asked for by under store path, which would be another file's.
  world.workers.kind = 'enterprise';
  world.workers.add('/d/f', 10);
  assert.equal((await read(world, '/d/f')).source, 's3');
});

test('a directory under the root that cannot be listed is not counted as a file there', async () => {
  const world = build();
  world.workers.directories.set('/d:e', ['UNASKABLE']);
  await assert.rejects(names(world, '/d:e'), failsWith('inexpressible'));
  await assert.rejects(names(world, '/d?'), failsWith('inexpressible'));
  assert.deepEqual(world.events, ['inexpressible other', 'inexpressible question-mark']);
});

test('a listing cut half way goes on at the next worker without double names', async () => {
  const world = build();
  world.workers.directories.set('/d', ['a', 'b', 'c']);
  world.workers.faults.set(world.workers.ownerOf('/d').host, 'short');
  assert.deepEqual(await names(world, '/d'), ['a', 'b', 'c']);
  assert.ok(world.events.includes('retry list unavailable'));
});

test('stat goes to the next worker on failure, and believes a "not found"', async () => {
  const world = build();
  world.workers.add('/d/f', 10);
  const owner = world.workers.ownerOf('/d/f').host;
  world.workers.faults.set(owner, 'dead');
  const status = await world.client.stat('/d/f' as ByteString, within(500));
  assert.equal(status.lengthBytes, 10);
  await assert.rejects(
    world.client.stat('/d/none' as ByteString, within(500)),
    failsWith('not-found'),
  );
});

test('a dead worker is left alone after a while, and found again by a probe', async () => {
  const clock = new ManualClock();
  const world = build({ clock });
  world.workers.add('/d/f', 10);
  const { host } = world.workers.ownerOf('/d/f');
  world.workers.faults.set(host, 'dead');
  const context = { signal: new AbortController().signal, deadlineMs: 1e9 };
  const stat = (): Promise<unknown> => world.client.stat('/d/f' as ByteString, context);
  const callsTo = (): number =>
    world.workers.calls.filter((call) => call.startsWith(`${host} stat`)).length;
  for (let i = 0; i < 3; i += 1) await stat();
  await until(() => world.events.includes('breaker open'));
  const before = callsTo();
  for (let i = 0; i < 10; i += 1) await stat();
  assert.equal(callsTo(), before, 'no reader waits for it');
  world.workers.faults.delete(host);
  clock.advance(1_000);
  await stat();
  await until(() => world.events.includes('breaker closed'));
  await stat();
  assert.equal(callsTo(), before + 1);
});

test('a worker that has stopped is found out while readers wait, and they go on elsewhere', async () => {
  const world = build({ hasStore: true });
  world.workers.add('/d/f', 100);
  world.workers.directories.set('/d', ['f']);
  await read(world, '/d/f');
  world.workers.faults.set(world.workers.ownerOf('/d/f').host, 'stopped');
  const startMs = performance.now();
  const path = '/d/f' as ByteString;
  const [{ source }] = await Promise.all([
    read(world, '/d/f', { ms: 60_000 }),
    world.client.stat(path, within(60_000)),
  ]);
  assert.equal(source, 'under-store');
  // Half of the deadline without it.
  assert.ok(performance.now() - startMs < 12_000);
  // Who comes later does not wait at all.
  const laterMs = performance.now();
  await read(world, '/d/f', { ms: 60_000 });
  await world.client.stat(path, within(60_000));
  assert.ok(performance.now() - laterMs < 900);
});

test('where nobody else has the bytes a worker that has stopped is waited for', async () => {
  const world = build();
  world.workers.add('/d/f', 100);
  const { host } = world.workers.ownerOf('/d/f');
  world.workers.faults.set(host, 'stopped');
  setTimeout(() => world.workers.resume(host), 7_000);
  assert.equal((await read(world, '/d/f', { ms: 60_000 })).source, 's3');
});

test('a worker that only hangs on data opens its breaker though its health answers', async () => {
  const world = build({ hasStore: true });
  const { host } = world.workers.ownerOf('/d/f0');
  world.workers.faults.set(host, 'hangs');
  for (let i = 0; i < 3; i += 1) {
    await world.client.stat('/d/f0' as ByteString, within(100)).catch(() => undefined);
  }
  assert.ok(world.events.includes('breaker open'));
});

test('a cancelled read ends at once and asks nobody else', async () => {
  const world = build({ hasStore: true });
  world.workers.add('/d/f', 10);
  for (const { host } of world.workers.workers) world.workers.faults.set(host, 'hangs');
  const controller = new AbortController();
  const version = { lengthBytes: 10, mtimeMs: 1_000 };
  const request = { path: '/d/f' as ByteString, offset: 0, lengthBytes: 10, version };
  const context = { signal: controller.signal, deadlineMs: performance.now() + 10_000 };
  const reading = world.client.read(request, () => assert.fail('no bytes'), context);
  setImmediate(() => controller.abort());
  await assert.rejects(reading, failsWith('cancelled'));
  assert.equal(world.workers.calls.length, 1);
  assert.equal(world.store.reads, 0);
});

test('the fallback limit refuses what could not be read before the deadline', async () => {
  const fallbackLimits = { bytesPerSecond: 1_000, operationsPerSecond: 1_000 };
  const world = build({ hasStore: true, isEmpty: true, options: { fallbackLimits } });
  world.workers.add('/d/f', 1_000);
  await read(world, '/d/f', { ms: 200 });
  await read(world, '/d/f', { ms: 200, length: 300 });
  await assert.rejects(read(world, '/d/f', { ms: 200 }), failsWith('unavailable', /limit/));
  assert.ok(world.events.includes('limited refused'));
  await read(world, '/d/f', { ms: 3_000, length: 10 });
  assert.ok(world.events.includes('limited waited'));
});

test('an Enterprise worker is asked for ranges, or through S3 where it has no range endpoint', async () => {
  const world = build();
  world.workers.kind = 'enterprise';
  world.workers.add('/d/f', 3 * PAGE);
  assert.equal((await read(world, '/d/f')).source, 'range');
  const older = build();
  older.workers.kind = 'enterprise';
  older.workers.hasRange = false;
  older.workers.add('/d/f', 3 * PAGE);
  assert.equal((await read(older, '/d/f')).source, 's3');
  await read(older, '/d/f');
  assert.equal(older.workers.countOf('range'), 1, 'asked once');
});

test('a redirect to a worker that a fixed list lacks is followed', async () => {
  const commonPorts = { httpPort: 28_080, s3Port: 29_998 };
  const world = build({ listed: 1, options: { commonPorts } });
  const paths = Array.from({ length: 20 }, (_, i) => `/d/f${i}`);
  for (const path of paths) {
    world.workers.add(path, 2 * PAGE);
    await read(world, path);
  }
  assert.ok(world.events.includes('redirect followed'));
  assert.ok(!world.events.includes('redirect owner-unknown'));
  assert.equal(world.client.status().workers.length, 3);
  // Once known, the owner is asked at once, for its pages too.
  const calls = world.workers.calls.length;
  for (const path of paths) await read(world, path);
  const asked = world.workers.calls.slice(calls).map((call) => call.split(' ')[0]);
  const owners = paths.map((path) => world.workers.ownerOf(path).host);
  assert.deepEqual(new Set(asked), new Set(owners));
  await world.client.close();
});

test('locate tells the ring order, and status what is in use', async () => {
  const world = build();
  const location = await world.client.locate('/d/f' as ByteString, 9, within(500));
  assert.equal(location.ufsPath, `${ROOT}/d/f`);
  assert.equal(location.workers.length, 3);
  assert.equal(location.workers[0]?.id, world.workers.ownerOf('/d/f').id);
  const status = world.client.status();
  assert.equal(status.virtualNodesFrom, 'pinned');
  assert.equal(status.underStoreFallback, 'off');
  assert.deepEqual(new Set(status.workers.map((worker) => worker.breaker)), new Set(['closed']));
  await world.client.close();
});
