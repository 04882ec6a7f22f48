/** Warming with files from a script into a tier over a temporary directory. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { makeDirectory, openTier, PAGE } from '../cache/disk/testing/tier.ts';
import type { DiskTier, DiskTierOptions } from '../cache/disk/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { CallContext } from '../cluster/index.ts';
import type { NodeStatus } from '../store/index.ts';
import { warm } from './warm.ts';
import type { WarmParts } from './warm.ts';

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

async function setUp(
  context: TestContext,
  script: Script,
  options: Partial<DiskTierOptions> = {},
): Promise<{ tier: DiskTier; run: (changes?: Partial<WarmParts>) => Promise<Line[]> }> {
  const tier = await openTier([await makeDirectory(context)], options);
  context.after(() => tier.close());
  const run = async (changes: Partial<WarmParts> = {}): Promise<Line[]> => {
    const lines: Line[] = [];
    await warm([DIRECTORY], {
      tier,
      files: filesOf(script),
      pageSizeBytes: PAGE,
      requestTimeoutMs: 10_000,
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
