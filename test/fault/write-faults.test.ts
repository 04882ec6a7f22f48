/**
 * Goal: whatever goes wrong at a step of an upload, the writer is told the truth: close and fsync succeed
 * and the under store has the bytes, or they fail and it has the old ones or the new ones, never
 * something between; the next try succeeds, and `status` says what was the matter. Method: dev workers
 * that refuse, cut, hang, lie or die at one step after the other, and disks without room.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster, FaultAction, FaultRule } from '../../src/devcluster/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { output } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd');

/** What hangs is given up after this, so that a case takes seconds. */
const REQUEST_TIMEOUT_S = 4;
const OLD = randomBytes(100_000);
/** Several chunks: some of them travel before a fault, some after. */
const NEW_BYTES = 400_000;
const HEAL_MS = 60_000;
const FULL_MB = 8;
const STAGING_MB = 16;
const MB = 1024 * 1024;
const SUM_DIGITS = 12;

/** `how`: with fsync before close, or by close alone. Resolves with 'saved', or with the errno. */
async function save(path: string, content: Buffer, how: 'fsync' | 'close'): Promise<string> {
  try {
    const file = await open(path, 'w');
    let failure: unknown;
    try {
      await file.writeFile(content);
      if (how === 'fsync') await file.sync();
    } catch (error) {
      failure = error;
    }
    await file.close();
    if (failure !== undefined) throw failure;
    return 'saved';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function sumOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, SUM_DIGITS);
}

interface Step {
  readonly name: string;
  readonly rule: Omit<FaultRule, 'action'>;
  readonly actions: readonly FaultAction[];
}

const REFUSE: FaultAction = { kind: 'refuse', status: 500 };
const LATE: FaultAction = { kind: 'status', status: 500 };
const CUT: FaultAction = { kind: 'cut', afterBytes: 0 };
const HANG: FaultAction = { kind: 'hang' };
const COPY = 'x-amz-copy-source';
const s3 = (method: string, more: Omit<FaultRule, 'action' | 'method' | 'port'> = {}) => ({
  port: 's3' as const,
  method,
  ...more,
});

/** Through the workers: a hidden file, checked, copied, removed. */
const WORKER_STEPS: readonly Step[] = [
  {
    name: 'the bytes',
    rule: s3('PUT', { withoutHeader: COPY, targetIncludes: '-uploads' }),
    actions: [
      REFUSE,
      LATE,
      CUT,
      HANG,
      { kind: 'cut-request', afterBytes: 150_000 },
      { kind: 'etag', value: '0123456789abcdef0123456789abcdef' },
    ],
  },
  {
    name: 'the copy to its name',
    rule: s3('PUT', { header: COPY }),
    actions: [REFUSE, LATE, CUT, { kind: 'cut-copy', afterBytes: 150_000 }],
  },
  { name: 'the look at it', rule: s3('HEAD'), actions: [REFUSE, CUT] },
  { name: 'the end of the hidden file', rule: s3('DELETE'), actions: [REFUSE, LATE, CUT] },
];

/** Beside the workers, which are told of it. */
const STORE_STEPS: readonly Step[] = [
  { name: 'the word to the workers', rule: s3('PUT'), actions: [REFUSE, LATE, CUT, HANG] },
  { name: 'the look at it', rule: s3('HEAD'), actions: [REFUSE, CUT] },
];

const ROUTES = [
  { route: 'through the workers', fallback: 'off', steps: WORKER_STEPS },
  { route: 'beside the workers', fallback: 'auto', steps: STORE_STEPS },
] as const;

for (const { route, fallback, steps } of ROUTES) {
  suite(`faults of an upload ${route}`, { skip }, () => {
    const cleanup = lastFirst((undo) => after(undo));
    let cluster: Devcluster;
    let mount: TestMount;
    let stored = '';
    /** Files whose writer was told of a failure. */
    const refused = new Set<string>();

    const faults = async (rules: readonly FaultRule[], workers = Infinity): Promise<void> => {
      for (const [i, worker] of cluster.workers.entries()) {
        if (worker.isRunning) await worker.setFaults(i < workers ? rules : []);
      }
    };

    /** A file with old content, that the workers and the mount know. */
    const begin = async (name: string): Promise<string> => {
      const path = mount.path('b', name);
      assert.equal(await save(path, OLD, 'close'), 'saved');
      assert.equal(sumOf(await readFile(join(stored, name))), sumOf(OLD));
      return path;
    };

    const heal = async (name: string, content: readonly Buffer[]): Promise<void> => {
      await faults([]);
      const sums = content.map(sumOf);
      let last = '';
      await waitFor(`${name} to hold ${sums.join(' or ')}`, async () => {
        last = sumOf(await readFile(join(stored, name)).catch(() => Buffer.from('missing')));
        return sums.includes(last);
      }).catch((error: unknown) => assert.fail(`${String(error)}; it holds ${last}`));
    };

    const judge = async (name: string, path: string, outcome: string, content: Buffer) => {
      const allowed = outcome === 'saved' ? [content] : [OLD, content];
      if (outcome !== 'saved') {
        assert.match(outcome, /^(?:EIO|ETIMEDOUT)$/);
        refused.add(name);
      }
      await heal(name, allowed);
      const again = randomBytes(NEW_BYTES + 1);
      assert.equal(await save(path, again, 'close'), 'saved');
      assert.equal(sumOf(await readFile(join(stored, name))), sumOf(again));
      // A program of its own: readFile() takes a read that was cut short for the end of the file.
      const [sum = ''] = (await output('sha256sum', [path])).split(' ');
      assert.equal(sum.slice(0, SUM_DIGITS), sumOf(again));
    };

    before(async () => {
      cluster = await startTestDevcluster(cleanup, { personality: 'oss' });
      stored = join(cluster.dataDir, 'b');
      await mkdir(stored);
      const staging = await makeTempDir(cleanup, 'faults');
      mount = await mountForTest(cleanup, cluster.info, {
        pageSizeBytes: TEST_PAGE_SIZE_BYTES,
        flags: [
          ...writableFlags(staging, 'through'),
          `--under-store-fallback=${fallback}`,
          `--request-timeout=${REQUEST_TIMEOUT_S}s`,
          `--staging-limit=${STAGING_MB}MB`,
        ],
      });
    });

    for (const [i, { name: step, rule, actions }] of steps.entries()) {
      for (const [k, action] of actions.entries()) {
        const what = `${step}: ${action.kind}${'status' in action ? ` ${action.status}` : ''}`;
        test(what, async () => {
          const name = `file-${i}-${k}`;
          const path = await begin(name);
          const content = randomBytes(NEW_BYTES);
          const how = (i + k) % 2 === 0 ? 'close' : 'fsync';
          await faults([{ ...rule, action }]);
          const outcome = await save(path, content, how);
          const held = sumOf(
            await readFile(join(stored, name)).catch(() => Buffer.from('missing')),
          );
          // A worker's copy is not atomic; what it leaves is repaired.
          const isCopy = rule.header === COPY;
          if (outcome === 'saved') assert.equal(held, sumOf(content));
          else if (!isCopy) assert.ok([OLD, content].map(sumOf).includes(held), held);
          await judge(name, path, outcome, content);
        });
      }

      test(`${step}: one worker is well`, async () => {
        const name = `one-${i}`;
        const path = await begin(name);
        const content = randomBytes(NEW_BYTES);
        await faults([{ ...rule, action: actions[0] ?? REFUSE }], 2);
        assert.equal(await save(path, content, 'close'), 'saved');
        await judge(name, path, 'saved', content);
      });
    }

    test('a worker is killed under each step', async () => {
      for (const [i, { rule }] of steps.entries()) {
        const name = `killed-${i}`;
        const path = await begin(name);
        const content = randomBytes(NEW_BYTES);
        const applied = async (worker: (typeof cluster.workers)[number]): Promise<number> =>
          (await worker.stats()).faultsApplied;
        const appliedBefore = await Promise.all(cluster.workers.map(applied));
        await faults([{ ...rule, count: 1, action: { kind: 'delay', ms: 300 } }]);
        const saving = save(path, content, 'fsync');
        let victim: (typeof cluster.workers)[number] | undefined;
        await waitFor(`a worker to be at step ${i}`, async () => {
          for (const [k, worker] of cluster.workers.entries()) {
            if ((await applied(worker)) > (appliedBefore[k] ?? 0)) victim = worker;
          }
          return victim !== undefined;
        });
        await victim?.kill();
        const outcome = await saving;
        await victim?.start();
        await judge(name, path, outcome, content);
      }
    });

    test('the under store is full: ENOSPC or EIO, and what was there stays', async (t) => {
      const small = join(cluster.dataDir, 'small');
      await mkdir(small);
      await output('mount', ['-t', 'tmpfs', '-o', `size=${FULL_MB}m`, 'tmpfs', small]);
      t.after(async () => {
        await output('umount', ['-l', small]);
      });
      const path = mount.path('small', 'file');
      assert.equal(await save(path, OLD, 'close'), 'saved');
      const outcome = await save(path, randomBytes((FULL_MB + 2) * MB), 'close');
      // A worker says 500, whatever its disk said.
      assert.match(outcome, fallback === 'auto' ? /^ENOSPC$/ : /^(?:ENOSPC|EIO|ETIMEDOUT)$/);
      assert.equal(sumOf(await readFile(join(small, 'file'))), sumOf(OLD));
      const uploads = join(small, '.alluxio-fuse-uploads');
      const left = (): string[] => (existsSync(uploads) ? readdirSync(uploads) : []);
      await waitFor('what was uploaded to be gone', () => left().length === 0, HEAL_MS);
      const fits = randomBytes(MB);
      assert.equal(await save(path, fits, 'fsync'), 'saved');
      assert.equal(sumOf(await readFile(join(small, 'file'))), sumOf(fits));
    });

    test('the staging directory is full: ENOSPC for the write, and nothing is lost', async () => {
      const path = await begin('staged');
      const file = await open(path, 'r+');
      await assert.rejects(file.writeFile(randomBytes((STAGING_MB + 4) * MB)), { code: 'ENOSPC' });
      await file.close();
      const outside = join(await makeTempDir(cleanup, 'staged'), 'f');
      await writeFile(outside, OLD);
      // What fitted was written, as on any disk.
      const held = await readFile(join(stored, 'staged'));
      assert.equal(sumOf(await readFile(path)), sumOf(held));
      assert.ok(held.length <= STAGING_MB * MB);
      const again = randomBytes(MB);
      assert.equal(await save(path, again, 'close'), 'saved');
      assert.equal(sumOf(await readFile(join(stored, 'staged'))), sumOf(again));
    });

    test('status says why, and nothing hidden is left behind', async () => {
      const uploads = join(stored, '.alluxio-fuse-uploads');
      const left = (): string[] => (existsSync(uploads) ? readdirSync(uploads) : []);
      await waitFor('temporary files to be gone', () => left().length === 0, HEAL_MS).catch(() =>
        assert.deepEqual(left(), []),
      );
      const { lastErrors, restarts } = await mount.status();
      assert.equal(restarts, 0);
      for (const name of refused) {
        const error = lastErrors.find((each) => each.path?.endsWith(`/${name}`));
        assert.ok(error !== undefined, `status says nothing of ${name}`);
        assert.match(error.reason, /\w+ \w+/);
      }
      await mount.unmount();
    });
  });
}
