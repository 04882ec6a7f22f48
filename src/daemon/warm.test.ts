/** Warming with files from a script into a tier over a temporary directory. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { fileOf, keep, makeDirectory, MIB, openTier, PAGE } from '../cache/disk/testing/tier.ts';
import type { DiskTier, DiskTierOptions } from '../cache/disk/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { CallContext } from '../cluster/index.ts';
import type { NodeStatus } from '../store/index.ts';
import { findMissing, warm, withProgress } from './warm.ts';
import type { WarmParts } from './warm.ts';
import { WarmMemory } from './warm-memory.ts';

const DIRECTORY = '/d' as ByteString;

interface Script {
  readonly files: Readonly<Record<string, number>>;
  /** Of `files`, that a listing gives at once. */
  readonly batch?: number;
  readonly read?: () => Promise<void>;
}

function nodeOf(name: string, lengthBytes: number): NodeStatus {
  return { name: name as ByteString, kind: 'file', lengthBytes, mtimeMs: 1, posix: {} };
}

function checkDeadline({ deadlineMs }: CallContext): void {
  if (performance.now() > deadlineMs) throw new ClusterError('timeout', 'It took too long');
}

/** One directory. */
function filesOf({ files, batch = 1, read }: Script): WarmParts['files'] {
  const nodes = Object.entries(files).map(([name, lengthBytes]) => nodeOf(name, lengthBytes));
  return {
    async stat(path) {
      await Promise.resolve();
      if (path === DIRECTORY) return { ...nodeOf('d', 0), kind: 'directory' };
      const found = nodes.find(({ name }) => path === `${DIRECTORY}/${name}`);
      if (found === undefined) throw new ClusterError('not-found', 'There is no such file');
      return found;
    },
    async *list(_, context) {
      for (let first = 0; first < nodes.length; first += batch) {
        await Promise.resolve();
        checkDeadline(context);
        yield nodes.slice(first, first + batch);
      }
    },
    async read({ lengthBytes }, sink) {
      await read?.();
      sink(Buffer.alloc(lengthBytes, 1), 0);
      return { source: 's3', worker: undefined };
    },
  };
}

interface Line {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** The lines but for progress. */
type Run = (changes?: Partial<WarmParts>, work?: typeof warm) => Promise<Line[]>;

async function setUp(
  context: TestContext,
  script: Script,
  options: Partial<DiskTierOptions> = {},
): Promise<{ tier: DiskTier; run: Run }> {
  const tier = await openTier([await makeDirectory(context)], options);
  context.after(() => tier.close());
  const run: Run = async (changes = {}, work = warm) => {
    const lines: Line[] = [];
    await work([DIRECTORY], {
      tier,
      files: filesOf(script),
      pageSizeBytes: PAGE,
      requestTimeoutMs: 10_000,
      memory: new WarmMemory(PAGE),
      emit: async (line) => void lines.push(line as Line),
      signal: new AbortController().signal,
      ...changes,
    });
    return lines.filter(({ kind }) => kind !== 'progress');
  };
  return { tier, run };
}

const namesOf = (count: number, lengthBytes: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, lengthBytes]));

test('a directory that takes longer to fetch than a request may take is fetched whole', async (context) => {
  const { run } = await setUp(context, { files: namesOf(20, 100), read: () => sleep(20) });
  const [last, ...more] = await run({ requestTimeoutMs: 150, parallel: 1 });
  assert.deepEqual(more, []);
  assert.equal(last?.['files'], 20);
  assert.equal(last['failed'], 0);
});

test('what the cache could not keep is found missing, and evicting others is no loss of ours', async (context) => {
  const limitBytes = 1024 * 1024;
  const { tier, run } = await setUp(context, { files: namesOf(300, PAGE) }, { limitBytes });
  const [warmed] = await run();
  assert.equal(warmed?.['files'], 300);
  assert.ok(Number(warmed['losses']) > 0, JSON.stringify(warmed));
  const [missing] = await run({}, findMissing);
  const { files, pages } = tier.status().directories[0] ?? {};
  assert.equal(files, pages);
  assert.deepEqual(
    [missing?.['files'], missing?.['missingFiles'], missing?.['failed']],
    [300, 300 - (files ?? 0), 0],
  );
  const few = await setUp(context, { files: namesOf(10, PAGE) }, { limitBytes });
  for (let index = 0; index < 255; index++)
    await keep(few.tier, fileOf(`other${index}`, PAGE), [0]);
  const evicted = few.tier.status().figures.evictedFiles;
  const [again] = await few.run();
  assert.ok(few.tier.status().figures.evictedFiles > evicted);
  assert.ok(Number(again?.['losses']) > 0);
  assert.equal((await few.run({}, findMissing))[0]?.['missingFiles'], 0);
});

test('a file that is larger than what is kept of one is refused before it is fetched', async (context) => {
  const files = { large: 600 * 1024, small: 100 };
  let reads = 0;
  const read = async (): Promise<void> => void reads++;
  const { run } = await setUp(context, { files, read }, { limitBytes: 1024 * 1024 });
  const [failed, warmed] = await run();
  assert.equal(failed?.['path'], '/d/large');
  assert.match(String(failed['reason']), /larger than half of --cache-limit \(1MB\)/);
  assert.deepEqual([warmed?.['files'], warmed?.['failed'], reads], [1, 1, 1]);
});

test('a full directory that is all in the cache loses nothing, and others get their turn', async (context) => {
  const { run } = await setUp(context, { files: namesOf(1100, 1), batch: 500 });
  await run();
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const [warmed] = await run();
  clearInterval(timer);
  assert.deepEqual([warmed?.['fetchedBytes'], warmed?.['losses']], [0, 0]);
  assert.ok(turns > 0);
});

test('paths of a list are looked at several at a time, within a bound', async (context) => {
  const files = namesOf(100, 10);
  const { run } = await setUp(context, { files });
  const { stat, ...others } = filesOf({ files });
  let [underWay, most] = [0, 0];
  const slow: WarmParts['files'] = {
    ...others,
    async stat(path, callContext) {
      most = Math.max(most, ++underWay);
      await sleep(5);
      underWay--;
      return await stat(path, callContext);
    },
  };
  const paths = Object.keys(files).map((name) => `${DIRECTORY}/${name}` as ByteString);
  const [last] = await run({ files: slow }, (_, parts) => warm(paths, parts));
  assert.equal(last?.['files'], 100);
  assert.equal(most, 16);
});

test('pages that are fetched count neither as misses of readers nor as not kept', async (context) => {
  // Twice what may wait for the disk, and a disk that is slower than this network.
  const files = namesOf(2, 64 * MIB);
  const { tier, run } = await setUp(
    context,
    { files },
    { pageSizeBytes: MIB, limitBytes: 512 * MIB },
  );
  const [warmed] = await run({ pageSizeBytes: MIB, memory: new WarmMemory(MIB) });
  assert.deepEqual([warmed?.['failed'], warmed?.['losses']], [0, 0]);
  const { figures, directories } = tier.status();
  assert.equal(directories[0]?.pages, 128);
  assert.equal(figures.missedPages, 0);
  assert.equal(figures.notKeptPages['queue-full'], 0);
});

test('warming ends though readers keep the cache busy', async (context) => {
  const { run, tier } = await setUp(context, { files: { a: 100 } });
  const over = new AbortController();
  const reader = async (first: number): Promise<void> => {
    for (let at = first; !over.signal.aborted; at += 4) {
      await keep(tier, fileOf(`r${at}`, 100), [0]);
    }
  };
  const readers = [0, 1, 2, 3].map(reader);
  const lines = await run();
  over.abort();
  await Promise.all(readers);
  assert.equal(lines.at(-1)?.kind, 'warmed');
});

test('bytes that come twice stand for no others', async (context) => {
  const files = filesOf({ files: { a: 2 * PAGE } });
  const { run, tier } = await setUp(context, { files: {} });
  const lines = await run({
    files: {
      ...files,
      async read(_, sink) {
        await Promise.resolve();
        for (let times = 0; times < 2; times++) sink(Buffer.alloc(PAGE, 1), 0);
        return { source: 's3', worker: undefined };
      },
    },
  });
  assert.match(String(lines[0]?.['reason']), /without all of its bytes/);
  assert.equal(tier.status().directories[0]?.files, 0);
});

test('what is stopped does not end as if it were done', async (context) => {
  const stopping = new AbortController();
  const read = async (): Promise<void> => {
    await Promise.resolve();
    stopping.abort(new Error('The mount ended'));
  };
  const { run } = await setUp(context, { files: namesOf(3, 10), read });
  const { signal } = stopping;
  await assert.rejects(run({ signal }), /The mount ended/);
  await assert.rejects(run({ signal }, findMissing), /The mount ended/);
});

test('a read that ends early, a name that is none, and a link are no content', async (context) => {
  const script = { files: { cut: PAGE, '..': 10, '.': 10 } };
  const { tier, run } = await setUp(context, script);
  const { stat, ...others } = filesOf(script);
  const files: WarmParts['files'] = {
    ...others,
    async stat(path, callContext) {
      if (path !== '/link') return await stat(path, callContext);
      return { ...nodeOf('link', 0), kind: 'symlink' };
    },
    async read(_, sink) {
      sink(Buffer.alloc(PAGE - 1, 7), 0);
      return await Promise.resolve({ source: 's3', worker: undefined });
    },
  };
  const paths = [DIRECTORY, '/link' as ByteString];
  const lines = await run({ files, parallel: 1 }, (_, parts) => warm(paths, parts));
  assert.deepEqual(
    lines.map(({ kind, path, reason }) => [kind, path, reason]),
    [
      ['failed', '/d/cut', 'A read ended without all of its bytes'],
      ['failed', '/link', 'It is neither a file nor a directory'],
      ['warmed', undefined, undefined],
    ],
  );
  assert.equal(tier.status().directories[0]?.pages, 0);
});

test('who does not read is told of progress once', { timeout: 10_000 }, async () => {
  let told = 0;
  const emit = async (): Promise<void> => {
    told++;
    await new Promise(() => undefined);
  };
  await withProgress(emit, {}, () => sleep(1700));
  assert.equal(told, 1);
});
