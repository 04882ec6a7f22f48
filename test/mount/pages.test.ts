/**
 * Goal: no read at, across or past a page boundary gives wrong bytes, also where the mount has been
 * told another page size than the cluster has; that is found out and reported.
 * Method: every combination of offset and length next to a boundary, against the source.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { CLUSTER_KINDS, skipCluster, startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { repositoryRoot } from '../support/repository.ts';
import { output, run } from '../support/run.ts';
import { boundaryEntries, makeTree } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

const MIB = 1024 * 1024;
const READS_MS = 300_000;
const MISMATCHES = 'alluxio_fuse_page_size_mismatches_total';

async function readAtBoundaries(
  cluster: TestCluster,
  mount: TestMount,
  dir: string,
  pageSizes: readonly number[],
): Promise<void> {
  const script = join(repositoryRoot(), 'test/mount/scripts/boundaries.py');
  const dirs = [join(cluster.sourceDir, dir), mount.path(cluster.name, dir)];
  await output('python3', [script, ...dirs, ...pageSizes.map(String)], { timeoutMs: READS_MS });
}

for (const kind of CLUSTER_KINDS) {
  for (const pageSizeBytes of [MIB, 4 * MIB]) {
    const skip = skipCluster(kind, { pageSizeBytes }) || missingPrograms('python3');
    suite(`pages of ${pageSizeBytes / MIB} MiB on ${kind}`, { skip }, () => {
      const cleanup = lastFirst((undo) => after(undo));
      let cluster: TestCluster;
      const wrongBytes = pageSizeBytes === MIB ? 4 * MIB : MIB;
      const bothSizes = [MIB, 4 * MIB];

      before(async () => {
        cluster = await startCluster(cleanup, kind, { pageSizeBytes });
        for (const dir of ['cold', 'wrong']) await mkdir(join(cluster.sourceDir, dir));
        for (const dir of ['cold', 'wrong']) {
          await makeTree(cluster.sourceDir, {
            entries: {
              ...boundaryEntries(dir, pageSizeBytes),
              // The lengths that matter to the other page size, as far as they differ.
              [`${dir}/other-1`]: wrongBytes - 1,
              [`${dir}/other-2`]: wrongBytes + 1,
              [`${dir}/other-3`]: 2 * wrongBytes,
            },
          });
        }
      });

      test('reads at every boundary, past the end and of length 0 give the source', async () => {
        const mount = await mountForTest(cleanup, cluster.info);
        await readAtBoundaries(cluster, mount, 'cold', [pageSizeBytes]);
        assert.deepEqual((await mount.status()).lastErrors, []);
        assert.equal((await mount.status()).cluster?.pageSizeMismatch, undefined);
        assert.equal(await mount.metric(MISMATCHES), 0);
        await mount.unmount();
      });

      test('the same from the caches of the workers', async () => {
        const mount = await mountForTest(cleanup, cluster.info);
        await readAtBoundaries(cluster, mount, 'cold', [pageSizeBytes]);
        // Enterprise ranges come from the same caches, and are as fast.
        const source = kind === 'devcluster enterprise' ? 'range' : 'page';
        assert.ok((await mount.metric('alluxio_fuse_read_bytes_total', { source })) > 0);
        assert.equal(await mount.metric(MISMATCHES), 0);
        await mount.unmount();
      });

      test('a mount with another page size gives the source, and says what is wrong', async () => {
        // Workers hold the files as they page them.
        const right = await mountForTest(cleanup, cluster.info);
        await output('diff', [
          '-r',
          join(cluster.sourceDir, 'wrong'),
          right.path(cluster.name, 'wrong'),
        ]);
        await right.unmount();

        const mount = await mountForTest(cleanup, cluster.info, { pageSizeBytes: wrongBytes });
        await readAtBoundaries(cluster, mount, 'wrong', bothSizes);
        const dirs = [join(cluster.sourceDir, 'wrong'), mount.path(cluster.name, 'wrong')];
        const { code, out } = await run('diff', ['-r', ...dirs]);
        assert.deepEqual({ code, out }, { code: 0, out: '' });
        // Nothing but pages has a size: ranges, which Enterprise has, are right with any.
        if (kind === 'devcluster enterprise') {
          await mount.unmount();
          return;
        }
        await waitFor(
          'the mismatch to be reported',
          async () => (await mount.status()).cluster?.pageSizeMismatch,
        );
        assert.ok((await mount.metric(MISMATCHES)) > 0);
        assert.match(await mount.logText(), /--page-size/);
        assert.match((await mount.status()).cluster?.pageSizeMismatch ?? '', /--page-size/);
        assert.deepEqual((await mount.status()).lastErrors, []);
        await mount.unmount();
      });
    });
  }
}
