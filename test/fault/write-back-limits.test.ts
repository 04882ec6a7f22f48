/**
 * Goal: --write-mode back keeps its two promises at their edges: no more than --staging-limit lies on this disk,
 * also where a part of a large file is overwritten, and close does not wait for a cluster that is away.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { mountForTest } from '../support/mount.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';

const MIB = 1024 * 1024;
const LIMIT_BYTES = 16 * MIB;
const LARGE_BYTES = 40 * MIB;
const DRAIN_MS = 60_000;
/** Two questions of two seconds at the most, on a busy machine; the cluster hangs for longer. */
const CLOSE_MS_MAX = 15_000;

const BLOCK_BYTES = 512;

async function usedBytes(directory: string): Promise<number> {
  const names = await readdir(directory);
  const stats = await Promise.all(
    names.map((name) => stat(join(directory, name)).catch(() => undefined)),
  );
  return stats.reduce((sum, each) => sum + (each?.isFile() ? each.blocks * BLOCK_BYTES : 0), 0);
}

suite('the edges of --write-mode back', { skip: skipReason('root', 'fuse', 'etcd') }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;

  const faults = async (...rules: FaultRule[]): Promise<void> => {
    for (const worker of cluster.workers) await worker.setFaults(rules);
  };

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
  });

  test('a part of a file that is larger than the limit goes through', async () => {
    const staging = await makeTempDir(cleanup, 'staging');
    const bytes = randomBytes(LARGE_BYTES);
    const stored = join(cluster.dataDir, 'large');
    await writeFile(stored, bytes);
    const flags = [...writableFlags(staging, 'back'), `--staging-limit=${LIMIT_BYTES}`];
    const mount = await mountForTest(cleanup, cluster.info, { flags });
    const file = await open(mount.path('large'), 'r+');
    await file.write(Buffer.from('x'), 0, 1, 12 * MIB);
    let most = 0;
    const closing = file.close();
    let isClosed = false;
    void closing.finally(() => (isClosed = true)).catch(() => undefined);
    await waitFor(
      'the file to be closed',
      async () => {
        most = Math.max(most, await usedBytes(staging));
        return isClosed;
      },
      DRAIN_MS,
    );
    await closing;
    assert.ok(most <= LIMIT_BYTES, `${most} bytes were staged`);
    bytes[12 * MIB] = 'x'.charCodeAt(0);
    assert.ok(bytes.equals(await readFile(stored)));
    await mount.unmount();
  });

  test('close returns while no worker answers, and the files arrive', async () => {
    const staging = await makeTempDir(cleanup, 'staging');
    await writeFile(join(cluster.dataDir, 'old'), 'what was there before');
    const flags = [...writableFlags(staging, 'back'), '--under-store-fallback=off'];
    const mount = await mountForTest(cleanup, cluster.info, { flags });
    const files = [await open(mount.path('new'), 'w'), await open(mount.path('old'), 'w')];
    for (const file of files) await file.write('what is new');
    await faults({ action: { kind: 'hang' } });
    const startedMs = performance.now();
    await Promise.all(files.map((file) => file.close()));
    const tookMs = performance.now() - startedMs;
    await faults();
    assert.ok(tookMs < CLOSE_MS_MAX, `close took ${tookMs} ms`);
    await waitFor(
      'the backlog to travel',
      async () => (await mount.metric('alluxio_fuse_backlog_files')) === 0,
      DRAIN_MS,
    );
    for (const name of ['new', 'old']) {
      assert.equal(await readFile(join(cluster.dataDir, name), 'utf8'), 'what is new', name);
    }
    await mount.unmount();
  });
});
