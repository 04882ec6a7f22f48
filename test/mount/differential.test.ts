/**
 * Goal: the mount behaves as a local directory. Method: several processes do random operations on
 * the mount and on a local directory at once and compare results, bytes and errno after each one.
 * ALLUXIO_FUSE_TEST_DIFFERENTIAL_OPS: how many in all; ALLUXIO_FUSE_TEST_SEED: the first seed;
 * ALLUXIO_FUSE_TEST_WRITE_MODE: through or back.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { run, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import {
  amount,
  hasDiskCache,
  mountScript,
  python,
  storedAs,
  writableFlags,
} from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const OPERATIONS = amount('ALLUXIO_FUSE_TEST_DIFFERENTIAL_OPS', 8_000);
const SEED = amount('ALLUXIO_FUSE_TEST_SEED', 1);
const WRITE_MODE = process.env['ALLUXIO_FUSE_TEST_WRITE_MODE'] === 'back' ? 'back' : 'through';
const PROCESSES = 4;
/** 1,000 operations in a minute for each process are the least that is worth the name. */
const LIMIT_MS = 240_000 + (OPERATIONS / PROCESSES) * 60;
const SCRIPT = mountScript('differential.py');

suite('random operations, on the mount and on a local directory', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: TestCluster;
  let mount: TestMount;
  let work = '';
  let mounted = '';

  before(async () => {
    cluster = await startCluster(cleanup, 'devcluster oss', {
      pageSizeBytes: TEST_PAGE_SIZE_BYTES,
    });
    work = await makeTempDir(cleanup, 'differential');
    const flags = writableFlags(join(work, 'staging'), WRITE_MODE);
    mount = await mountForTest(cleanup, cluster.info, {
      flags,
      deadlineMs: 2 * LIMIT_MS,
      hasDiskCache: hasDiskCache(WRITE_MODE),
    });
    mounted = mount.path(cluster.name);
  });

  for (const plant of ['bytes', 'rmdir', 'modes']) {
    test(`the comparison finds what is planted: ${plant}`, async () => {
      const pair = [join(work, `${plant}-a`), join(work, `${plant}-b`)];
      for (const dir of pair) await mkdir(dir);
      const args = ['-B', SCRIPT, ...pair, '1', '8000', '--shrink', '5', '--plant', plant];
      const { code, out } = await run('python3', args, { timeoutMs: LIMIT_MS });
      assert.equal(code, 1, out);
      assert.match(out, /^Seed 1 .*\n.*\n\d+ operations suffice/);
    });
  }

  test('the comparison finds nothing in two local directories', async () => {
    const pair = [join(work, 'nothing-a'), join(work, 'nothing-b')];
    for (const dir of pair) await mkdir(dir);
    await python(SCRIPT, [...pair, '1', '8000', '--plant', 'nothing'], LIMIT_MS);
  });

  test(`${OPERATIONS} operations from ${PROCESSES} processes`, { timeout: LIMIT_MS }, async () => {
    const shared = join(mounted, 'shared');
    await python(mountScript('shared_files.py'), [shared], LIMIT_MS);
    const each = Math.ceil(OPERATIONS / PROCESSES);
    const works = Array.from({ length: PROCESSES }, async (_, index) => {
      const pair = [join(mounted, 'own', `p${index}`), join(work, 'local', `p${index}`)];
      await shell('mkdir -p "$@"', pair);
      const args = [...pair, String(SEED + index), String(each), '--shared', shared];
      const { code, out, err } = await run('python3', ['-B', SCRIPT, ...args], {
        timeoutMs: LIMIT_MS,
      });
      // One that was killed says nothing.
      const isDone = code === 0 && out.includes(`"operations": ${each}`);
      return isDone ? '' : `exit code ${code}\n${out}${err}`;
    });
    const problems = await Promise.all(works);
    assert.equal(problems.join('').slice(0, 20_000), '');
  });

  test('the under store has what the mount shows, and nothing else', async () => {
    const { mounted: shown, stored } = await storedAs(mount, mounted, cluster.sourceDir);
    assert.equal(stored, shown);
    assert.equal((await mount.status()).restarts, 0);
    assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
    await mount.unmount();
  });
});
