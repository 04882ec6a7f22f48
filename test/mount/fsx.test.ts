/**
 * Goal: one file keeps every byte through random reads, writes, truncates and maps, in both write
 * modes. Method: a program that compares each read with a copy in memory, and the file in the under
 * store after each fsync. ALLUXIO_FUSE_TEST_FSX_OPS: how many operations (the full figure is 200000).
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import { run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import {
  amount,
  hasDiskCache,
  mountScript,
  python,
  storedAs,
  writableFlags,
  WRITE_MODES,
} from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const OPERATIONS = amount('ALLUXIO_FUSE_TEST_FSX_OPS', 4_000);
const SEED = amount('ALLUXIO_FUSE_TEST_SEED', 1);
const LIMIT_MS = 180_000 + OPERATIONS * 30;
const SCRIPT = mountScript('fsx.py');

suite('random input and output on one file', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: TestCluster;
  let work = '';

  before(async () => {
    const pageSizeBytes = TEST_PAGE_SIZE_BYTES;
    cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes });
    work = await makeTempDir(cleanup, 'fsx');
  });

  test('the program finds a byte that is wrong', async () => {
    const args = ['-B', SCRIPT, join(work, 'planted'), '1', '2000', '--plant'];
    const { code, out } = await run('python3', args);
    assert.equal(code, 1, out);
    assert.match(out, /^Seed 1: Wrong\('byte \d+ is/);
  });

  for (const mode of WRITE_MODES) {
    test(`${OPERATIONS} operations, write mode ${mode}`, { timeout: LIMIT_MS }, async (context) => {
      const flags = writableFlags(join(work, `staging-${mode}`), mode);
      const mount = await mountForTest(
        lastFirst((undo) => context.after(undo)),
        cluster.info,
        { flags, deadlineMs: LIMIT_MS, hasDiskCache: hasDiskCache(mode) },
      );
      const file = mount.path(cluster.name, `file-${mode}`);
      const stored = join(cluster.sourceDir, `file-${mode}`);
      // fsync waits for the under store in both modes; close only in one.
      const args = [file, String(SEED), String(OPERATIONS), '--stored', stored];
      if (mode === 'back') args.push('--late');
      context.diagnostic(await python(SCRIPT, args, LIMIT_MS));
      const sums = await storedAs(mount, mount.path(cluster.name), cluster.sourceDir);
      assert.equal(sums.stored, sums.mounted);
      await mount.unmount();
    });
  }
});
