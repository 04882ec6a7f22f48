/**
 * Goal: whatever happens to single workers and to etcd, readers never get a wrong byte, never an
 * error where somebody else could have served, and never hang over the deadline.
 * Method: 8 readers verify files without a pause while workers are killed, stopped, slowed and made
 * to lie one after the other.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { takeKeys } from '../support/etcd-keys.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { Readers } from '../support/readers.ts';
import { skipReason } from '../support/skip.ts';
import { FAULT_MEMORY_LIMIT, FAULT_PAGE_BYTES, makeFaultTree } from './fault-tree.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const READERS = 8;
/** Files that each reader reads through in each phase: some hundred requests under each fault. */
const FILES = 8;
/** Short, so that a phase that waits for one to end takes seconds. */
const LEASE_TTL_S = 4;
const REQUEST_TIMEOUT_S = 8;
/**
 * What never comes back is ended by the core 5 s after the timeout. One call is several requests of
 * the kernel, one after the other: each directory on the way, or the parts of a read.
 */
const SLOWEST_MS = 3 * (REQUEST_TIMEOUT_S + 6) * 1000;
const PHASE_MS = 120_000;
/** A full minute in the environment; some lease lengths are enough to lose every lease. */
const ETCD_AWAY_MS = Number(process.env['ALLUXIO_FUSE_TEST_ETCD_AWAY_S'] ?? '15') * 1000;

interface Variant {
  readonly personality: 'oss' | 'enterprise';
  /** Open-source workers point to a dead owner while its lease lives; Enterprise ones read for it. */
  readonly underStoreFallback: 'auto' | 'off';
}

for (const { personality, underStoreFallback } of [
  { personality: 'oss', underStoreFallback: 'auto' },
  { personality: 'enterprise', underStoreFallback: 'off' },
] as const satisfies readonly Variant[]) {
  suite(
    `faults of ${personality} workers, under-store fallback ${underStoreFallback}`,
    { skip },
    () => {
      const cleanup = lastFirst((undo) => after(undo));
      let cluster: Devcluster;
      let mount: TestMount;
      let readers: Readers;

      const workersInView = async (count: number): Promise<void> =>
        await readers.until(
          `${count} workers in the view`,
          async () => (await mount.metric('alluxio_fuse_membership_workers')) === count,
          PHASE_MS,
        );

      const setFaults = async (rules: readonly FaultRule[], indexes: number[]): Promise<void> => {
        for (const [i, worker] of cluster.workers.entries()) {
          if (worker.isRunning) await worker.setFaults(indexes.includes(i) ? rules : [], 1 + i);
        }
      };

      /** All is well again: readers are back at the workers. */
      const recovered = async (): Promise<void> => {
        await readers.until(
          'closed breakers',
          async () => {
            const closed = await mount.metric('alluxio_fuse_breakers', { state: 'closed' });
            return closed === (await mount.metric('alluxio_fuse_breakers'));
          },
          PHASE_MS,
        );
        readers.assertNoErrors();
        // No file changed, so no open file may be refused as changed.
        assert.deepEqual(readers.reopened, []);
      };

      before(async () => {
        cluster = await startTestDevcluster(cleanup, {
          personality,
          pageSizeBytes: FAULT_PAGE_BYTES,
          leaseTtlS: LEASE_TTL_S,
        });
        const files = await makeFaultTree(cluster.dataDir);
        mount = await mountForTest(cleanup, cluster.info, {
          flags: [
            `--memory-limit=${FAULT_MEMORY_LIMIT}`,
            `--under-store-fallback=${underStoreFallback}`,
            `--request-timeout=${REQUEST_TIMEOUT_S}s`,
            // So that names and attributes are asked for under every fault, too.
            '--attr-timeout=1s',
            '--entry-timeout=1s',
            '--membership-refresh=2s',
          ],
        });
        readers = new Readers(cleanup, {
          count: READERS,
          sourceDir: cluster.dataDir,
          mountedDir: mount.mountpoint,
          files,
          seed: 1,
        });
        await readers.progress(2, PHASE_MS);
      });

      test('nothing is wrong to begin with, and the bytes come from workers', async () => {
        await readers.progress(FILES, PHASE_MS);
        readers.assertNoErrors();
        assert.equal(
          await mount.metric('alluxio_fuse_read_bytes_total', { source: 'under-store' }),
          0,
        );
      });

      for (const index of [0, 1, 2]) {
        test(`worker ${index} is killed, its lease ends, it comes back`, async () => {
          const worker = cluster.workers[index];
          assert.ok(worker !== undefined);
          await worker.kill();
          await readers.progress(FILES, PHASE_MS);
          readers.assertNoErrors();
          await workersInView(2);
          await readers.progress(FILES, PHASE_MS);
          await worker.start();
          await workersInView(3);
          await readers.progress(FILES, PHASE_MS);
          await recovered();
        });
      }

      test('a worker is killed and comes back before its lease ends', async () => {
        const worker = cluster.workers[1];
        await worker?.kill();
        await readers.progress(1, PHASE_MS);
        await worker?.start();
        await readers.progress(FILES, PHASE_MS);
        await recovered();
      });

      test('etcd is away', async () => {
        await cluster.etcd?.down();
        const endMs = performance.now() + ETCD_AWAY_MS;
        do await readers.progress(4, PHASE_MS);
        while (performance.now() < endMs);
        readers.assertNoErrors();
        assert.equal(await mount.metric('alluxio_fuse_membership_workers'), 3);
        await cluster.etcd?.up();
        await readers.until(
          'a fresh view',
          async () => (await mount.metric('alluxio_fuse_membership_age_seconds')) < 2,
          PHASE_MS,
        );
        await workersInView(3);
        await readers.progress(FILES, PHASE_MS);
        await recovered();
      });

      test('a worker joins, another leaves', async () => {
        const added = await cluster.addWorker();
        await workersInView(4);
        await readers.progress(FILES, PHASE_MS);
        readers.assertNoErrors();
        await added.leave();
        await workersInView(3);
        await readers.progress(FILES, PHASE_MS);
        await recovered();
      });

      test('a worker hangs as a whole', async () => {
        const pid = cluster.workers[2]?.pid;
        assert.ok(pid !== undefined);
        process.kill(pid, 'SIGSTOP');
        try {
          await readers.progress(FILES, PHASE_MS);
          readers.assertNoErrors();
        } finally {
          process.kill(pid, 'SIGCONT');
        }
        await workersInView(3);
        await readers.progress(FILES, PHASE_MS);
        await recovered();
      });

      const faults: readonly (readonly [string, readonly number[], readonly FaultRule[]])[] = [
        ['one is slow', [0], [{ action: { kind: 'delay', ms: 300 } }]],
        ['one hangs now and then', [1], [{ probability: 0.05, action: { kind: 'hang' } }]],
        [
          'all cut connections in heads and bodies',
          [0, 1, 2],
          [
            { probability: 0.05, action: { kind: 'cut', afterBytes: 100 } },
            { probability: 0.1, action: { kind: 'cut', afterBytes: 50_000 } },
            { probability: 0.1, action: { kind: 'cut', afterBytes: 300_001 } },
          ],
        ],
        [
          'all tell a wrong length',
          [0, 1, 2],
          [
            { probability: 0.02, action: { kind: 'content-length', deltaBytes: 1_000 } },
            { probability: 0.1, action: { kind: 'content-length', deltaBytes: -1_000 } },
            { probability: 0.02, action: { kind: 'content-length', deltaBytes: 1 } },
            { probability: 0.05, action: { kind: 'content-length', deltaBytes: -1 } },
          ],
        ],
        ['one answers 500', [2], [{ action: { kind: 'status', status: 500 } }]],
        [
          'all answer 500 and 503 now and then',
          [0, 1, 2],
          [
            { probability: 0.1, action: { kind: 'status', status: 500 } },
            { probability: 0.1, action: { kind: 'status', status: 503 } },
          ],
        ],
      ];
      for (const [what, indexes, rules] of faults) {
        test(`workers misbehave: ${what}`, async () => {
          await setFaults(rules, [...indexes]);
          try {
            await readers.progress(FILES, PHASE_MS);
            const applied = await Promise.all(
              cluster.workers.filter((w) => w.isRunning).map((w) => w.stats()),
            );
            assert.ok(applied.reduce((sum, stats) => sum + stats.faultsApplied, 0) > 0);
            readers.assertNothingWrong();
            if (underStoreFallback === 'auto') readers.assertNoErrors();
          } finally {
            await setFaults([], []);
          }
          // Faults in all workers at once leave nobody who could have served.
          readers.errors.length = 0;
          await readers.progress(FILES, PHASE_MS);
          await recovered();
        });
      }

      test('etcd says that there is no worker', async () => {
        const { etcdHost, etcdPort, clusterName } = cluster.info;
        const url = `http://${etcdHost}:${etcdPort}`;
        const putBack = await takeKeys(url, `/ServiceDiscovery/${clusterName}/`);
        try {
          await readers.progress(FILES, PHASE_MS);
          await readers.until(
            'the mount to hear of it twice',
            async () => (await mount.logText()).includes('No worker is alive, says etcd'),
            PHASE_MS,
          );
          await readers.progress(FILES, PHASE_MS);
          readers.assertNoErrors();
        } finally {
          await putBack();
        }
        await workersInView(3);
        await readers.progress(FILES, PHASE_MS);
        await recovered();
      });

      test('no call took longer than the deadline, and nothing is left behind', async (context) => {
        await readers.stop();
        context.diagnostic(readers.describe());
        readers.assertNothingWrong();
        assert.ok(readers.slowestMs < SLOWEST_MS, readers.describe());
        const { cache, inodes, restarts } = await mount.status();
        assert.equal(restarts, 0);
        assert.equal(inodes.openHandles, 0);
        assert.ok(cache.slotsUsed <= cache.slotsTotal);
        assert.equal(await mount.metric('alluxio_fuse_slab_slots', { state: 'filling' }), 0);
        assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
        await mount.unmount();
      });
    },
  );
}
