/**
 * Goal: programs of one mount that read what others of it write, move and remove see a file system: whole
 * files, or that a name is gone. Nobody is told ESTALE, or waits until a worker is given up.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
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
  storedAs,
  writableFlags,
  WRITE_MODES,
} from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');
const SECONDS = amount('ALLUXIO_FUSE_TEST_SHARING_S', 15);
const SEED = amount('ALLUXIO_FUSE_TEST_SEED', 1);
/** What is said last may have waited for a worker that is given up. */
const LIMIT_MS = (SECONDS + 120) * 1000;

for (const mode of WRITE_MODES) {
  suite(`files that others change, write mode ${mode}`, { skip, timeout: 2 * LIMIT_MS }, () => {
    const cleanup = lastFirst(after);

    test(`${SECONDS} s of writers and readers`, async () => {
      const pageSizeBytes = TEST_PAGE_SIZE_BYTES;
      const cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes });
      const work = await makeTempDir(cleanup, 'sharing');
      const mount = await mountForTest(cleanup, cluster.info, {
        flags: writableFlags(join(work, 'staging'), mode),
        deadlineMs: 2 * LIMIT_MS,
        hasDiskCache: hasDiskCache(mode),
      });
      const shared = join(mount.path(cluster.name), 'shared');
      const args = ['-B', mountScript('sharing.py'), shared, String(SECONDS), String(SEED)];
      const { code, out, err } = await run('python3', args, { timeoutMs: LIMIT_MS });
      assert.equal(code, 0, `${out}${err}`);
      const { writes, reads } = JSON.parse(out) as { writes: number; reads: number };
      // A run in which little succeeds tests little.
      assert.ok(writes >= SECONDS && reads >= SECONDS, out);
      const { mounted, stored } = await storedAs(mount, shared, join(cluster.sourceDir, 'shared'));
      assert.equal(stored, mounted);
      assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
      await mount.unmount();
    });
  });
}
