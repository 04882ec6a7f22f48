/**
 * Goal: kill and restart each real worker in turn, and lose etcd, while 8 readers verify: no wrong
 * byte, no error, no call over the deadline.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { portsTaken, startRealAlluxio } from '../support/real-alluxio.ts';
import type { RealAlluxio } from '../support/real-alluxio.ts';
import { Readers } from '../support/readers.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { FAULT_MEMORY_LIMIT, FAULT_PAGE_BYTES, makeFaultTree } from './fault-tree.ts';

const WORKERS = 3;
const skip =
  skipReason('root', 'fuse', 'real-alluxio') ||
  missingPrograms('python3') ||
  (await portsTaken(WORKERS));

const READERS = 8;
const FILES = 12;
const REQUEST_TIMEOUT_S = 15;
/** As in the suite of the dev workers. */
const SLOWEST_MS = 3 * (REQUEST_TIMEOUT_S + 6) * 1000;
const PHASE_MS = 180_000;
/** Leases of real workers live 120 s; to lose one takes longer than a test run gives by default. */
const ETCD_AWAY_MS = Number(process.env['ALLUXIO_FUSE_TEST_ETCD_AWAY_S'] ?? '20') * 1000;

suite('faults of real workers', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: RealAlluxio;
  let mount: TestMount;
  let readers: Readers;

  before(async () => {
    const ufsDir = await makeTempDir(cleanup, 'ufs');
    const files = await makeFaultTree(ufsDir);
    cluster = await startRealAlluxio(cleanup, {
      workers: WORKERS,
      pageSizeBytes: FAULT_PAGE_BYTES,
      ufsDir,
    });
    mount = await mountForTest(cleanup, cluster.info, {
      flags: [
        `--memory-limit=${FAULT_MEMORY_LIMIT}`,
        `--request-timeout=${REQUEST_TIMEOUT_S}s`,
        '--attr-timeout=1s',
        '--entry-timeout=1s',
      ],
    });
    readers = new Readers(cleanup, {
      count: READERS,
      sourceDir: ufsDir,
      mountedDir: mount.mountpoint,
      files,
      seed: 4,
    });
    await readers.progress(FILES, PHASE_MS);
    readers.assertNoErrors();
  });

  for (const index of [0, 1, 2]) {
    test(`real worker ${index} is killed and comes back`, async () => {
      await cluster.killWorker(index);
      await readers.progress(FILES, PHASE_MS);
      await cluster.startWorker(index);
      await readers.progress(FILES, PHASE_MS);
      readers.assertNoErrors();
    });
  }

  test('etcd is away', async () => {
    await cluster.etcd.down();
    const endMs = performance.now() + ETCD_AWAY_MS;
    do await readers.progress(4, PHASE_MS);
    while (performance.now() < endMs);
    await cluster.etcd.up();
    await readers.until(
      'a fresh view',
      async () => (await mount.metric('alluxio_fuse_membership_age_seconds')) < 5,
      PHASE_MS,
    );
    await readers.progress(FILES, PHASE_MS);
    readers.assertNoErrors();
  });

  test('no call took longer than the deadline, and nothing is left behind', async (context) => {
    await readers.stop();
    context.diagnostic(readers.describe());
    readers.assertNoErrors();
    assert.ok(readers.slowestMs < SLOWEST_MS, readers.describe());
    assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
    await mount.unmount();
  });
});
