/**
 * Goal: what a program that waits for a slow cluster sees. Signals do not make changes fail, a program that is
 * killed ends at once, a walk of a tree waits for few of its listings, and a reader with a pattern for
 * few of its pages. Method: real programs on
 * workers that answer late, or not at all.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import { run, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { mountScript, python, writableFlags } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3', 'find');

const DELAY_MS = 10;
const DIRECTORIES = 40;
const BELOW = 3;

suite('waiting for a slow cluster', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;

  const faults = async (...rules: FaultRule[]): Promise<void> => {
    await Promise.all(cluster.workers.map((worker) => worker.setFaults(rules, 1)));
  };

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    const tree = join(cluster.dataDir, 'tree');
    for (let outer = 0; outer < DIRECTORIES; outer++) {
      for (let inner = 0; inner < BELOW; inner++) {
        const directory = join(tree, `d${outer}`, `e${inner}`);
        await mkdir(directory, { recursive: true });
        await writeFile(join(directory, 'file'), `${outer} ${inner}\n`);
      }
    }
    await mkdir(join(cluster.dataDir, 'changes'));
  });

  test('a walk lists ahead, shows all there is, and asks for every directory once', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    await faults({ action: { kind: 'delay', ms: DELAY_MS } });
    try {
      const { out } = await run('find', [mount.path('tree')]);
      assert.equal(out.trim().split('\n').length, 1 + DIRECTORIES * (1 + 2 * BELOW));
    } finally {
      await faults();
    }
    const directories = 1 + DIRECTORIES * (1 + BELOW);
    const ahead = await mount.metric('alluxio_fuse_listings_ahead_total');
    const used = await mount.metric('alluxio_fuse_listings_ahead_used_total');
    assert.ok(used > directories * 0.7, `${used} of ${directories} were listed ahead`);
    // What a stalled machine came too late for is let go.
    assert.ok(ahead <= used * 1.2, `${ahead} were listed ahead, ${used} of them used`);
    await mount.unmount();
  });

  test('opening directories here and there lists next to nothing ahead', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    const ask =
      'ls "$1"; for n in 7 31 2 19 38 11 27; do ls "$1/d$n/e2"; ls "$1/d$n/e0"; ls "$1/d$n"; done';
    await shell(ask, [mount.path('tree')]);
    const ahead = await mount.metric('alluxio_fuse_listings_ahead_total');
    assert.ok(ahead <= 7, `${ahead} were listed ahead`);
    await mount.unmount();
  });

  test('a program that reads one record in so many finds the next on its way', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    const read = (file: string): Promise<string> =>
      python(mountScript('strided.py'), [file], 60_000);
    const source = join(cluster.dataDir, 'tree', 'records');
    await shell(
      'truncate -s 400M "$1"; for i in $(seq 0 39); do echo "$i" | dd of="$1" bs=1M seek="$((i * 10))" conv=notrunc status=none; done',
      [source],
    );
    const expected = await read(source);
    await faults({ action: { kind: 'delay', ms: DELAY_MS } });
    try {
      assert.equal(await read(mount.path('tree', 'records')), expected);
    } finally {
      await faults();
    }
    const ahead = await mount.metric('alluxio_fuse_read_ahead_bytes_total');
    const used = await mount.metric('alluxio_fuse_read_ahead_used_bytes_total');
    assert.ok(used >= 30 * TEST_PAGE_SIZE_BYTES, `${used} bytes were of use`);
    // A read at the beginning is taken for one in order, with a window of 1 MiB.
    const besides = ahead - 1024 * 1024;
    assert.ok(besides <= used + 8 * TEST_PAGE_SIZE_BYTES, `${ahead} bytes ahead, ${used} of use`);
    await mount.unmount();
  });

  test('a timer of the program makes no change fail', async () => {
    const flags = writableFlags(await makeTempDir(cleanup, 'staging'), 'through');
    const mount = await mountForTest(cleanup, cluster.info, { flags });
    await faults({ action: { kind: 'delay', ms: DELAY_MS } });
    try {
      const script = mountScript('signals.py');
      const { out } = await run('python3', ['-B', script, mount.path('changes'), '20']);
      assert.equal(out.trim(), '0 failed [] enough True');
    } finally {
      await faults();
    }
    await mount.unmount();
  });

  test('a program that is killed while it waits ends', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    await faults({ action: { kind: 'hang' } });
    try {
      const script = 'timeout --signal=KILL 1 cat "$1" || echo $?';
      const startedMs = performance.now();
      const out = await shell(script, [mount.path('tree', 'd0', 'e0', 'file')]);
      assert.equal(out.trim(), '137');
      assert.ok(performance.now() - startedMs < 15_000, 'it took as long as the cluster');
    } finally {
      await faults();
    }
    await mount.unmount();
  });
});
