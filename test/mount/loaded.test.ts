/**
 * Goal: what was loaded, by the cluster's master or by a client, is read by a mount through the page
 * endpoint alone: the workers hold it, and nobody has to ask the under store again.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { ClusterKind, TestCluster } from '../support/clusters.ts';
import { skipCluster, startCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import type { TestMount } from '../support/mount.ts';
import { clusterFlags, mountForTest, programArguments } from '../support/mount.ts';
import { startRealMaster } from '../support/real-alluxio.ts';
import { output } from '../support/run.ts';
import { sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

const FILES = 40;
/** Three pages and a part of one. */
const FILE_BYTES = 3 * TEST_PAGE_SIZE_BYTES + 1_234;
/** A real master takes jobs some 40 s after its start, alone on the machine. */
const MASTER_MS = 300_000;
/** What real workers are started with; learning it would cost the first reads a redirect. */
const VIRTUAL_NODES = '5';
const KINDS: readonly ClusterKind[] = ['devcluster oss', 'real Alluxio'];

for (const kind of KINDS) {
  const skip = skipCluster(kind, { pageSizeBytes: TEST_PAGE_SIZE_BYTES });
  suite(`loaded files on ${kind}`, { skip, timeout: 900_000 }, () => {
    const cleanup = lastFirst(after);
    const isReal = kind === 'real Alluxio';
    let cluster: TestCluster;
    let mount: TestMount;

    const directory = (name: string): string => `/${cluster.name}/${name}`;
    const job = (...args: string[]): Promise<string> => {
      const forAll = clusterFlags(cluster.info).filter((flag) => flag !== '--read-only');
      const flags = [...forAll, '--virtual-nodes', VIRTUAL_NODES];
      return output(process.execPath, [...programArguments, 'job', 'load', ...args, ...flags]);
    };
    const bytesBy = (source: string): Promise<number> =>
      mount.metric('alluxio_fuse_read_bytes_total', { source });

    /** Reads all of a directory with a program of its own, and says who gave the bytes. */
    async function readBack(name: string): Promise<Record<string, number>> {
      const sources = ['page', 's3', 'range', 'under-store'];
      const earlier = await Promise.all(sources.map(bytesBy));
      await output('diff', ['-r', join(cluster.sourceDir, name), mount.path(cluster.name, name)]);
      const now = await Promise.all(sources.map(bytesBy));
      return Object.fromEntries(
        sources.map((source, i) => [source, (now[i] ?? 0) - (earlier[i] ?? 0)]),
      );
    }
    const onlyPages = { page: FILES * FILE_BYTES, s3: 0, range: 0, 'under-store': 0 };

    before(async () => {
      cluster = await startCluster(cleanup, kind, { pageSizeBytes: TEST_PAGE_SIZE_BYTES });
      if (isReal) await startRealMaster(cleanup, cluster.info);
      for (const name of ['by-client', 'by-master', 'stopped']) {
        await mkdir(join(cluster.sourceDir, name));
        for (let i = 0; i < FILES; i += 1) {
          await writeFile(join(cluster.sourceDir, name, `f${i}`), sampleBytes(FILE_BYTES, i));
        }
      }
      mount = await mountForTest(cleanup, cluster.info, {
        flags: ['--virtual-nodes', VIRTUAL_NODES],
      });
    });

    test('by the client: each page comes from a worker that holds it', async () => {
      const said = await job('--client', '--path', directory('by-client'), '--verify');
      assert.match(said, new RegExp(`^SUCCEEDED: ${FILES} files loaded`));
      assert.deepEqual(await readBack('by-client'), onlyPages);
    });

    test('by the master', { skip: !isReal && 'needs a master' }, async () => {
      const path = directory('by-master');
      let refusal: unknown;
      const said = await waitFor(
        'the master to take a load',
        () =>
          job('--path', path, '--submit', '--wait').catch((error: unknown) => {
            refusal = error;
            return undefined;
          }),
        MASTER_MS,
      ).catch(() => assert.fail(String(refusal)));
      assert.match(said, /^state: SUCCEEDED$/m);
      assert.deepEqual(await readBack('by-master'), onlyPages);
    });

    test('one that is stopped says so', { skip: !isReal && 'needs a master' }, async () => {
      const path = directory('stopped');
      // A byte a second: it would take hours.
      await job('--path', path, '--submit', '--bandwidth', '1');
      await job('--path', path, '--stop');
      await waitFor(
        'the load to be stopped',
        async () => /STOPPED/.test(await job('--path', path, '--progress')),
        MASTER_MS,
      );
    });

    test('nothing failed on the way, and umount takes it away', async () => {
      assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
      for (const reason of [
        'no-workers',
        'workers-failed',
        'owner-dead',
        'inexpressible',
        'list-supplement',
      ]) {
        assert.equal(
          await mount.metric('alluxio_fuse_under_store_fallbacks_total', { reason }),
          0,
          reason,
        );
      }
      await mount.unmount();
    });
  });
}
