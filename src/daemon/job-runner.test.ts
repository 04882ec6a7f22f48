import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { Slab } from '../cache/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { CallContext, ClusterClient, ClusterErrorCode, FileStatus } from '../cluster/index.ts';
import type { ByteSink } from '../cluster/index.ts';
import { entriesOf } from '../vfs/index.ts';
import type { FsErrorCode, Job, JobId, JobResult } from '../vfs/index.ts';
import { JobRunner } from './job-runner.ts';
import type { JobRunnerParts } from './job-runner.ts';
import { pathBytesMax } from './path-limit.ts';

const PAGE = 64;
const PATH = '/f' as ByteString;

type Script = Partial<Pick<ClusterClient, 'stat' | 'list'>> & {
  readonly read?: (sink: ByteSink, context: CallContext) => Promise<void>;
};

/** A cluster client that does what the test says. */
function clientOf(script: Script): ClusterClient {
  const missing = async (): Promise<never> => await Promise.reject(new Error('Not in the script'));
  return {
    stat: script.stat ?? missing,
    list: script.list ?? (() => assert.fail('Not in the script')),
    read: async (_, sink, context) => {
      await (script.read ?? missing)(sink, context);
      return { source: 's3', worker: undefined };
    },
    locate: () => Promise.resolve({ ufsPath: 'file:///f' as ByteString, workers: [] }),
    status: () => assert.fail('Not in the script'),
    close: async () => await Promise.resolve(),
  };
}

function filesOf(client: ClusterClient): Omit<JobRunnerParts['files'], 'unheardMs'> {
  const nodeOf = ({ name, type, lengthBytes, mtimeMs }: FileStatus) => {
    return { name, lengthBytes, mtimeMs, kind: type, posix: {} };
  };
  return {
    stat: async (path, context) => nodeOf(await client.stat(path, context)),
    async *list(path, context) {
      for await (const statuses of client.list(path, context)) yield statuses.map(nodeOf);
    },
    read: async (request, sink, context) => await client.read(request, sink, context),
  };
}

interface Beside {
  readonly disk?: JobRunnerParts['disk'];
  readonly unheardMs?: () => number;
}

function setUp(script: Script, { disk, unheardMs = () => 0 }: Beside = {}) {
  const results: JobResult[] = [];
  const slab = new Slab({ slotBytes: 16, slotCount: 32 });
  let onResult = (): void => {};
  const runner = new JobRunner({
    client: clientOf(script),
    files: { ...filesOf(clientOf(script)), unheardMs },
    writes: undefined,
    slab,
    disk,
    pageSizeBytes: PAGE,
    requestTimeoutMs: 1000,
    pathBytesMax: 100,
    deliver: (result) => {
      results.push(result);
      onResult();
    },
  });
  const isFinal = (): boolean => {
    const last = results.at(-1);
    if (last === undefined) return false;
    return last.kind === 'page' ? results.length === 3 : last.kind !== 'listed' || last.isLast;
  };
  /** Runs one job to its final result. */
  const run = async (job: Job): Promise<JobResult[]> => {
    await new Promise<void>((resolve) => {
      onResult = () => {
        if (isFinal()) resolve();
      };
      runner.run(job);
    });
    return results;
  };
  return { run, runner, results, slab };
}

const id = 1 as JobId;
/** Two whole pages and 10 bytes, over scattered slots. */
const SLOTS = [[9, 3, 20, 7], [1, 0, 30, 8], [5]];
const LENGTH = 2 * PAGE + 10;
const FETCH: Extract<Job, { kind: 'fetch' }> = {
  kind: 'fetch',
  id,
  path: PATH,
  version: { lengthBytes: 10 * PAGE, mtimeMs: 1, contentHash: undefined },
  firstPage: 4,
  pages: SLOTS.map((slots, index) => ({ lengthBytes: index < 2 ? PAGE : 10, slots })),
  isAhead: false,
  mustAsk: false,
};
const content = Buffer.from(Array.from({ length: LENGTH }, (_, index) => index % 251));

function stored(slab: Slab): Buffer {
  const pages = SLOTS.map((slots, index) => {
    const page = Buffer.concat(slots.map((slot) => slab.slot(slot)));
    return page.subarray(0, index < 2 ? PAGE : 10);
  });
  return Buffer.concat(pages);
}

const kinds = (results: readonly JobResult[]): string[] => {
  return results.map((result) =>
    result.kind === 'page' ? `page ${result.pageIndex}` : result.kind,
  );
};

test('a fetch hands each page over as it completes, the last when the read is known to be good', async () => {
  const seen: string[][] = [];
  const { run, results, slab } = setUp({
    read: async (sink) => {
      for (let at = 0; at < LENGTH; at += 30) {
        sink(content.subarray(at, Math.min(at + 30, LENGTH)), at);
        seen.push(kinds(results));
      }
      await Promise.resolve();
    },
  });
  await run(FETCH);
  assert.deepEqual(seen, [[], [], ['page 4'], ['page 4'], ['page 4', 'page 5']]);
  assert.deepEqual(kinds(results), ['page 4', 'page 5', 'page 6']);
  assert.deepEqual(stored(slab), content);
});

test('a range delivered again leaves pages alone that were handed over', async () => {
  const { run, slab } = setUp({
    read: async (sink) => {
      sink(content.subarray(0, PAGE + 20), 0);
      // The first page is the core's now, and may hold something else already.
      for (const slot of SLOTS[0] as number[]) slab.slot(slot).fill(0xee);
      sink(content.subarray(0, 40), 0);
      sink(content.subarray(40), 40);
      await Promise.resolve();
    },
  });
  assert.deepEqual(kinds(await run(FETCH)), ['page 4', 'page 5', 'page 6']);
  const bytes = stored(slab);
  assert.ok(bytes.subarray(0, PAGE).every((byte) => byte === 0xee));
  assert.deepEqual(bytes.subarray(PAGE), content.subarray(PAGE));
});

test('a chunk after a gap completes no page', async () => {
  const { run, results } = setUp({
    read: async (sink) => {
      sink(content.subarray(10, PAGE), 10);
      assert.deepEqual(results, []);
      sink(content, 0);
      await Promise.resolve();
    },
  });
  assert.deepEqual(kinds(await run(FETCH)), ['page 4', 'page 5', 'page 6']);
});

test('more bytes than were asked for fail the fetch', async () => {
  const { run } = setUp({
    read: async (sink) => {
      await Promise.resolve();
      sink(Buffer.concat([content, Buffer.alloc(1)]), 0);
    },
  });
  const last = (await run(FETCH)).at(-1);
  assert.equal(last?.kind === 'failed' && last.code, 'io');
});

test('a fetch that fails part of the way ends with one failure', async () => {
  const { run } = setUp({
    read: async (sink) => {
      sink(content.subarray(0, PAGE), 0);
      await Promise.resolve();
      throw new ClusterError('version-changed', 'Another version');
    },
  });
  const results = await run(FETCH);
  assert.deepEqual(kinds(results), ['page 4', 'failed']);
  assert.equal(results[1]?.kind === 'failed' && results[1].code, 'stale');
});

test('every failure of the cluster has a code of the core', async () => {
  const expected: Record<ClusterErrorCode, FsErrorCode> = {
    'not-found': 'not-found',
    'not-a-directory': 'not-a-directory',
    'is-a-directory': 'is-a-directory',
    permission: 'permission',
    exists: 'exists',
    'not-empty': 'not-empty',
    'no-space': 'no-space',
    invalid: 'invalid',
    inexpressible: 'inexpressible',
    'version-changed': 'stale',
    unavailable: 'unavailable',
    timeout: 'timeout',
    cancelled: 'interrupted',
    protocol: 'io',
    unsupported: 'unsupported',
  };
  for (const [code, fsCode] of Object.entries(expected)) {
    const error = new ClusterError(code as ClusterErrorCode, 'why');
    const { run } = setUp({ stat: async () => await Promise.reject(error) });
    const results = await run({ kind: 'stat', id, path: PATH });
    assert.deepEqual(results, [{ kind: 'failed', id, code: fsCode, reason: 'why' }]);
  }
  const { run } = setUp({ stat: async () => await Promise.reject(new RangeError('odd')) });
  const [result] = await run({ kind: 'stat', id, path: PATH });
  assert.equal(result?.kind === 'failed' && result.code, 'io');
});

test('what no path of the under store can name is too long, not missing', async () => {
  const missing = new ClusterError('not-found', 'why');
  const { run } = setUp({ stat: async () => await Promise.reject(missing) });
  const pathOf = (lengthBytes: number) => `/${'n'.repeat(lengthBytes - 1)}` as ByteString;
  const codeOf = async (job: Job) => {
    const result = (await run(job)).at(-1);
    return result?.kind === 'failed' && result.code;
  };
  assert.equal(await codeOf({ kind: 'stat', id, path: pathOf(100) }), 'not-found');
  assert.equal(await codeOf({ kind: 'stat', id, path: pathOf(101) }), 'name-too-long');
  const move = { isExclusive: false, watched: [], keepsTarget: false };
  const rename = { kind: 'rename', id, path: PATH, to: pathOf(101), ...move } as const;
  assert.equal(await codeOf(rename), 'name-too-long');
  assert.equal(pathBytesMax([{ path: '/', ufs: 'file:///data' }]), 4090);
  assert.equal(pathBytesMax([{ path: '/', ufs: 's3://bucket/data' }]), Infinity);
});

test('a listing comes in parts, without names that the kernel would refuse', async () => {
  const named = (...names: string[]): FileStatus[] => {
    return names.map((name) => {
      return { name: name as ByteString, type: 'file', lengthBytes: 1, mtimeMs: 2 };
    });
  };
  const many = Array.from({ length: 2500 }, (_, index) => `n${index}`);
  const { run } = setUp({
    async *list() {
      await Promise.resolve();
      yield named('a', '', '.', '..', 'x/y', 'nul\0', 'x'.repeat(256), 'x'.repeat(255));
      yield named(...many);
    },
  });
  const results = await run({ kind: 'list', id, path: PATH });
  const batches = results.map((result) =>
    result.kind === 'listed' ? Array.from(entriesOf(result.batch), ([name]) => name) : [],
  );
  assert.deepEqual(
    batches.map(({ length }) => length),
    [2, 1000, 1000, 500, 0],
  );
  assert.deepEqual(batches.flat(), ['a', 'x'.repeat(255), ...many]);
});

test('a listing says how long the workers had not heard of changes when it was asked for', async () => {
  let unheardMs = 7;
  const { run } = setUp(
    {
      async *list() {
        await Promise.resolve();
        unheardMs = 0;
        yield [{ name: 'a' as ByteString, type: 'file', lengthBytes: 1, mtimeMs: 2 }];
      },
    },
    { unheardMs: () => unheardMs },
  );
  await run({ kind: 'list', id, path: PATH });
  const results = await run({ kind: 'list', id, path: PATH });
  const told = results.map((result) => result.kind === 'listed' && result.unheardMs);
  assert.deepEqual(told, [7, 7, 0, 0]);
});

test('a job has a deadline and can be cancelled; its final result still comes', async () => {
  let deadlineMs = 0;
  const { run, runner } = setUp({
    read: async (_, context) => {
      ({ deadlineMs } = context);
      await new Promise((_resolve, reject) => {
        context.signal.addEventListener('abort', () => {
          reject(new ClusterError('cancelled', 'Cancelled'));
        });
        runner.run({ kind: 'cancel', id });
      });
    },
  });
  const beforeMs = performance.now();
  const results = await run(FETCH);
  assert.ok(deadlineMs >= beforeMs + 1000 && deadlineMs <= performance.now() + 1000);
  assert.deepEqual(kinds(results), ['failed']);
  assert.equal(results[0]?.kind === 'failed' && results[0].code, 'interrupted');
  assert.equal(runner.runningCount, 0);
  runner.run({ kind: 'cancel', id: 99 as JobId });
});

const ON_DISK = '/cached' as ByteString;

/** Has all of one file. */
function fullDisk(): NonNullable<JobRunnerParts['disk']> {
  const cached = {
    has: () => true,
    isKept: () => true,
    read: async (_: number, pages: readonly unknown[]) =>
      await Promise.resolve(pages.map(() => true)),
    copy: () => assert.fail('It is there'),
    keep: async () => await Promise.resolve(),
    discard: () => undefined,
  };
  return {
    contentOf: (path) => (path === ON_DISK ? cached : undefined),
    findBacking: () => undefined,
  };
}

test('a copy on disk is no word on what the file is now', async () => {
  const told: FileStatus = {
    name: 'cached' as ByteString,
    type: 'file',
    lengthBytes: FETCH.version.lengthBytes,
    mtimeMs: FETCH.version.mtimeMs,
  };
  const pages = SLOTS.map((_, order) => `page ${FETCH.firstPage + order}`);
  const answers: [ends: readonly string[], stat: () => Promise<FileStatus>][] = [
    [pages, async () => await Promise.resolve(told)],
    [['failed stale'], async () => await Promise.resolve({ ...told, mtimeMs: 2 })],
    [['failed not-found'], async () => await Promise.reject(new ClusterError('not-found', ''))],
    // Where nobody can tell, it is served.
    [pages, async () => await Promise.reject(new ClusterError('unavailable', ''))],
  ];
  for (const [ends, stat] of answers) {
    const { run } = setUp({ stat }, { disk: fullDisk() });
    const results = await run({ ...FETCH, path: ON_DISK, mustAsk: true });
    assert.deepEqual(
      results.map((result) =>
        result.kind === 'failed' ? `failed ${result.code}` : kinds([result])[0],
      ),
      ends,
    );
  }
});

test('what lies on the disk of this machine does not wait behind reads of workers that hang', async () => {
  const disk = fullDisk();
  const { runner, results } = setUp({ read: () => new Promise<never>(() => undefined) }, { disk });
  for (let i = 100; i < 200; i++) runner.run({ ...FETCH, id: i as JobId });
  runner.run({ ...FETCH, path: ON_DISK, id });
  const backing = 2 as JobId;
  runner.run({ kind: 'find-backing', id: backing, path: ON_DISK, version: FETCH.version });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(
    results.map(({ kind, id: of }) => `${kind} ${of}`).sort(),
    [`backing ${backing}`, ...SLOTS.map(() => `page ${id}`)].sort(),
  );
  runner.close();
});

test('after close every job ends at once', async () => {
  const { run, runner } = setUp({});
  runner.close();
  const [result] = await run({ kind: 'stat', id, path: PATH });
  assert.equal(result?.kind === 'failed' && result.code, 'interrupted');
});
