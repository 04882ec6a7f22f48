/**
 * Goal: taking a writable mount away loses nothing that a program was told is kept, and nothing else
 * without a word. Method: workers are killed under the mount, the commands are run as people run them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { TestContext } from 'node:test';
import { skipCluster } from '../support/clusters.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { alluxioFuse, isMounted, mountForTest, programArguments } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import type { Finished } from '../support/run.ts';
import { run, shell } from '../support/run.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';
import type { WriteMode } from '../support/writable.ts';

const END_MS = 30_000;
/** Deadlines of a mount whose workers are dead: short, so that failures come soon. */
const IMPATIENT = ['--request-timeout', '3s', '--connect-timeout', '500ms'];

interface World {
  readonly cluster: Devcluster;
  readonly mount: TestMount;
  /** One more mount at the same place, after the other has ended. */
  readonly again: () => Promise<TestMount>;
  readonly umount: (...flags: readonly string[]) => Promise<Finished>;
}

async function begin(t: TestContext, mode: WriteMode): Promise<World> {
  const cleanup: Cleanup = lastFirst((undo) => t.after(undo));
  const cluster = await startTestDevcluster(cleanup, { workers: 1 });
  const directory = await makeTempDir(cleanup, 'unmount');
  const flags = [...writableFlags(join(directory, 'staging'), mode), ...IMPATIENT];
  const again = (): Promise<TestMount> => mountForTest(cleanup, cluster.info, { flags, directory });
  const mount = await again();
  await shell('mkdir "$1"', [mount.path('dir')]);
  const umount = async (...more: readonly string[]): Promise<Finished> =>
    await alluxioFuse(['umount', mount.mountpoint, '--state-dir', mount.stateDir, ...more]);
  return { cluster, mount, again, umount };
}

const killWorkers = async ({ workers }: Devcluster): Promise<void> => {
  await Promise.all(workers.map((worker) => worker.kill()));
};
const startWorkers = async ({ workers }: Devcluster): Promise<void> => {
  await Promise.all(workers.map((worker) => worker.start()));
};

suite('taking a writable mount away', { skip: skipCluster('devcluster oss') }, () => {
  test('what is in the journal is waited for, and --force leaves it to the next mount', async (t) => {
    const { cluster, mount, again, umount } = await begin(t, 'back');
    await killWorkers(cluster);
    await shell('printf kept > "$1"', [mount.path('dir', 'file')]);
    const waiting = await waitFor('a failed upload', async () => {
      const { writes } = await mount.status();
      return writes?.lastError !== undefined && writes;
    });
    assert.equal(waiting.uploadsPending, 1);
    assert.equal(waiting.uploadBytesPending, 4);
    assert.ok(waiting.staging.usedBytes >= 4);
    assert.ok(waiting.oldestAgeMs > 0);
    assert.match(waiting.lastError ?? '', /^Uploading \/dir\/file: /);
    assert.equal(await mount.metric('alluxio_fuse_backlog_files'), 1);
    assert.ok((await mount.metric('alluxio_fuse_uploads_total')) > 0);

    const impatient = await umount('--timeout', '3s');
    assert.equal(impatient.code, 1);
    assert.match(impatient.err, /saving: .*1 file \(4 B\) in the journal/);
    assert.match(impatient.err, /Not everything is saved.*Uploading \/dir\/file.*The mount stays/s);
    assert.ok(isMounted(mount.mountpoint));

    const forced = await umount('--force');
    assert.equal(forced.code, 0, forced.err);
    assert.match(forced.err, /1 file \(4 bytes\), .* stay in the journal in .*staging/);
    await mount.ended();

    await startWorkers(cluster);
    const next = await again();
    const last = await umount();
    assert.deepEqual([last.code, last.out], [0, ''], last.err);
    await next.ended();
    assert.equal(await readFile(join(cluster.dataDir, 'dir', 'file'), 'utf8'), 'kept');
  });

  test('an unmount that is interrupted leaves the mount; one that waits ends with the upload', async (t) => {
    const { cluster, mount } = await begin(t, 'back');
    await killWorkers(cluster);
    await shell('printf kept > "$1"', [mount.path('dir', 'file')]);
    const start = () => {
      const args = ['umount', mount.mountpoint, '--state-dir', mount.stateDir, '--timeout', '1h'];
      const child = spawn(process.execPath, [...programArguments, ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      t.after(() => child.kill('SIGKILL'));
      let err = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        err += text;
      });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      const waits = waitFor('it to wait', () => err.includes('saving: '), END_MS);
      return { child, ended, waits, err: () => err };
    };
    const first = start();
    await first.waits;
    first.child.kill('SIGINT');
    assert.equal(await first.ended, 1);
    assert.match(first.err(), /Interrupted: the mount stays/);
    assert.equal((await mount.status()).state, 'serving');
    assert.equal(await shell('cat "$1"', [mount.path('dir', 'file')]), 'kept');

    const second = start();
    await second.waits;
    await startWorkers(cluster);
    assert.equal(await second.ended, 0, second.err());
    await mount.ended();
    assert.equal(await readFile(join(cluster.dataDir, 'dir', 'file'), 'utf8'), 'kept');
  });

  test('what nobody has but the mount is dropped only where both words are said', async (t) => {
    const { cluster, mount, umount } = await begin(t, 'through');
    await killWorkers(cluster);
    const failed = await run('dd', [
      'if=/dev/zero',
      'bs=4',
      'count=1',
      `of=${mount.path('dir', 'x')}`,
    ]);
    assert.notEqual(failed.code, 0);
    const { writes } = await mount.status();
    assert.deepEqual([writes?.unsavedFiles, writes?.unsavedBytes], [1, 4]);
    assert.match(writes?.lastError ?? '', /\/dir\/x: The file could not be saved: /);
    const refused = await umount('--force');
    assert.equal(refused.code, 1);
    assert.match(refused.err, /would lose 1 file \(4 bytes\) .*--drop-unsaved drops them/);
    assert.ok(isMounted(mount.mountpoint));
    const dropped = await umount('--force', '--drop-unsaved');
    assert.equal(dropped.code, 0, dropped.err);
    assert.match(dropped.err, /dropped 1 file \(4 bytes\)/);
    await mount.ended();
    assert.match(await mount.logText(), /"unsavedFiles":1[^\n]*is lost/);
  });

  test('--force takes a mount that is in use and has nothing to save', async (t) => {
    const { mount, umount } = await begin(t, 'through');
    const child = spawn('sleep', ['600'], { cwd: mount.path('dir'), stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    await waitFor('the directory to be in use', async () => (await umount()).code === 1, END_MS);
    const forced = await umount('--force');
    assert.deepEqual([forced.code, forced.err], [0, '']);
    await mount.ended();
  });

  test('status and umount find a mount without being told its state directory', async (t) => {
    const { mount } = await begin(t, 'through');
    const status = await alluxioFuse(['status', mount.mountpoint, '--json']);
    assert.equal(status.code, 0, status.err);
    assert.equal((JSON.parse(status.out) as { state: string }).state, 'serving');
    const { code, err } = await alluxioFuse(['umount', mount.mountpoint]);
    assert.deepEqual([code, err], [0, '']);
    await mount.ended();
  });
});
