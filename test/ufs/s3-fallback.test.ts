/**
 * Goal: a cluster over a bucket whose workers are all gone is read from the bucket itself, within
 * the rate limit and counted; and from workers again once they are back.
 */
import assert from 'node:assert/strict';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import type { TestMount } from '../support/mount.ts';
import { mountForTest } from '../support/mount.ts';
import { output, run } from '../support/run.ts';
import type { S3Server } from '../support/s3-server.ts';
import { s3Missing, startS3Server } from '../support/s3-server.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';

const skip = skipReason('root', 'fuse', 'etcd') || s3Missing();

const PAGE_BYTES = 64 * 1024;
const FILES = 24;
/** A second. With a burst of one second, more than twice as many requests cannot pass at once. */
const RATE = 5;
/** S3 tells whole seconds; files of a real bucket have no others. */
const MTIME_S = 1_700_000_000;
const PHASE_MS = 60_000;

const contentOf = (index: number): Buffer => Buffer.alloc(100_000 + index, `${index},`);

suite('workers over a bucket are all gone', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let server: S3Server;
  let cluster: Devcluster;
  let mount: TestMount;

  const underStoreBytes = (): Promise<number> =>
    mount.metric('alluxio_fuse_read_bytes_total', { source: 'under-store' });
  const fallbacks = (): Promise<number> => mount.metric('alluxio_fuse_under_store_fallbacks_total');
  const sumOf = (content: string | Buffer): Promise<string> =>
    run('sha256sum', [], { input: content }).then(({ out }) => out.split(' ')[0] ?? '');
  const readSum = (name: string): Promise<string> =>
    output('sha256sum', [mount.path(name)]).then((text) => text.split(' ')[0] ?? '');

  before(async () => {
    const top = await makeTempDir(cleanup, 'buckets');
    const dataDir = join(top, 'bucket', 'pre');
    await mkdir(join(dataDir, 'd', 'sub'), { recursive: true });
    for (let index = 0; index < FILES; index += 1) {
      const file = join(dataDir, 'd', `f${index}`);
      await writeFile(file, contentOf(index));
      await utimes(file, MTIME_S, MTIME_S);
    }
    server = await startS3Server(cleanup, { directory: top });
    cluster = await startTestDevcluster(cleanup, {
      dataDir,
      ufsUri: 's3://bucket/pre',
      pageSizeBytes: PAGE_BYTES,
      leaseTtlS: 3,
    });
    const { credentials } = server.options;
    process.env['AWS_ACCESS_KEY_ID'] = credentials?.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = credentials?.secretAccessKey;
    mount = await mountForTest(cleanup, cluster.info, {
      flags: [
        `--s3-endpoint=${server.endpoint}`,
        `--under-store-fallback-rate=${RATE}`,
        '--memory-limit=16MB',
        '--virtual-nodes=5',
        '--attr-timeout=0s',
        '--entry-timeout=0s',
        '--request-timeout=40s',
        '--membership-refresh=2s',
      ],
    });
  });

  test('to begin with, the workers serve, and agree about where the files lie', async () => {
    assert.equal(await readSum('d/f0'), await sumOf(contentOf(0)));
    const isThere = async (): Promise<boolean> =>
      (await mount.status()).cluster?.underStoreFallback === 'available';
    await waitFor('the bucket to be reached', isThere, PHASE_MS);
    assert.deepEqual([await underStoreBytes(), await fallbacks()], [0, 0]);
  });

  test('without them, the bucket does: cat, ls and stat, within the limit and counted', async () => {
    await Promise.all(cluster.workers.map((worker) => worker.kill()));
    const startMs = performance.now();
    const asked0 = await fallbacks();
    for (let index = 1; index <= 8; index += 1) {
      assert.equal(await readSum(`d/f${index}`), await sumOf(contentOf(index)), `f${index}`);
    }
    const names = (await output('ls', [mount.path('d')])).trim().split('\n');
    const expected = Array.from({ length: FILES }, (_, index) => `f${index}`);
    assert.deepEqual(names.sort(), [...expected, 'sub'].sort());
    const size = await output('stat', ['-c', '%s %Y', mount.path('d', 'f9')]);
    assert.equal(size.trim(), `${contentOf(9).length} ${MTIME_S}`);
    const missing = await run('cat', [mount.path('d', 'nothing')]);
    assert.match(missing.err, /No such file or directory/);
    const seconds = (performance.now() - startMs) / 1000;
    const asked = (await fallbacks()) - asked0;
    assert.ok(asked >= 20, `${asked} fallbacks`);
    assert.ok(asked <= RATE * (seconds + 2), `${asked} fallbacks in ${seconds} s`);
    assert.ok((await underStoreBytes()) >= 8 * 100_000);
    const limited = { outcome: 'waited' };
    const metric = 'alluxio_fuse_under_store_fallbacks_limited_total';
    assert.ok((await mount.metric(metric, limited)) > 0);
  });

  test('without the server as well, an error says why', async () => {
    await server.stop();
    await waitFor(
      'the store to be unreachable',
      async () => {
        await run('cat', [mount.path('d', 'f10')]);
        return (await mount.status()).cluster?.underStoreFallback === 'unreachable';
      },
      PHASE_MS,
    );
    assert.match(await mount.logText(), /ECONNREFUSED.*The under store cannot be reached/);
    await server.start();
    await waitFor(
      'the store to be back',
      async () => (await run('cat', [mount.path('d', 'f10')])).code === 0,
      PHASE_MS,
    );
  });

  test('once they are back, they serve again', async () => {
    await Promise.all(cluster.workers.map((worker) => worker.start()));
    await cluster.settled();
    await waitFor(
      'closed breakers',
      async () => {
        await output('cat', [mount.path('d', 'f11')]);
        const closed = await mount.metric('alluxio_fuse_breakers', { state: 'closed' });
        return closed === 3;
      },
      PHASE_MS,
    );
    const earlier = [await underStoreBytes(), await fallbacks()];
    for (const index of [1, 12, 13]) {
      assert.equal(await readSum(`d/f${index}`), await sumOf(contentOf(index)), `f${index}`);
    }
    assert.deepEqual([await underStoreBytes(), await fallbacks()], earlier);
    assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
    await mount.unmount();
  });
});
