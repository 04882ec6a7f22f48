/**
 * Goal: what a mount has read is served from its cache directory by the next one and by a daemon that
 * takes over, with no worker alive; nothing that happens to the directory reaches a reader.
 */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { CacheLine } from '../../src/cli/daemon-api.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { alluxioFuse, mountForTest } from '../support/mount.ts';
import type { MountForTest, TestMount } from '../support/mount.ts';
import { output, run, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { FAULT_MEMORY_LIMIT, FAULT_PAGE_BYTES, makeFaultTree } from './fault-tree.ts';

const skip = skipReason('root', 'fuse', 'etcd');
const MIB = 1024 * 1024;

/** Backing files in a cache directory. */
function backingFiles(cacheDir: string): string[] {
  const files = join(cacheDir, 'alluxio-fuse-cache', 'files');
  return readdirSync(files, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

suite('a cache directory', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { pageSizeBytes: FAULT_PAGE_BYTES });
    await makeFaultTree(cluster.dataDir);
  });

  /** Mounts that follow each other with the same cache directory. */
  async function mountsOf(context: TestContext, flags: readonly string[] = []) {
    const undo = lastFirst((work) => context.after(work));
    const directory = await makeTempDir(undo, 'mount');
    const options: MountForTest = { directory, hasDiskCache: true, flags };
    return { undo, directory, mount: async () => await mountForTest(undo, cluster.info, options) };
  }

  /** Every byte, not those that the kernel still has. */
  async function readAll(mount: TestMount): Promise<void> {
    await shell('find "$1" -type f -exec dd if={} iflag=nocache count=0 status=none ";"', [
      mount.path('tree'),
    ]);
    await output('diff', ['-r', join(cluster.dataDir, 'tree'), mount.path('tree')]);
  }

  const fetched = async (mount: TestMount): Promise<number> =>
    await mount.metric('alluxio_fuse_read_bytes_total');

  /** Reads all until it is all on disk: what is read faster than the disk writes is not kept. */
  async function fill(mount: TestMount): Promise<void> {
    await waitFor(
      'all to be on disk',
      async () => {
        await readAll(mount);
        await waitFor(
          'the queue to be empty',
          async () => (await mount.metric('alluxio_fuse_disk_cache_queued_bytes')) === 0,
        );
        const files = await mount.metric('alluxio_fuse_disk_cache_files');
        return files === countOfFiles();
      },
      120_000,
    );
  }
  /** The empty one has no page. */
  const countOfFiles = (): number =>
    readdirSync(join(cluster.dataDir, 'tree'), { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && statSync(join(entry.parentPath, entry.name)).size > 0,
    ).length;

  async function withoutWorkers(work: () => Promise<void>): Promise<void> {
    await Promise.all(cluster.workers.map((worker) => worker.kill()));
    try {
      await work();
    } finally {
      await Promise.all(cluster.workers.map((worker) => worker.start()));
    }
  }

  test('serves the next mount with all workers dead, also after kill -9', async (context) => {
    const { mount: mountAgain } = await mountsOf(context);
    const first = await mountAgain();
    await fill(first);
    await first.unmount();
    const second = await mountAgain();
    await withoutWorkers(async () => {
      // Names come from the under store, which could serve content as well; none is asked of it.
      await readAll(second);
      assert.equal(await fetched(second), 0);
      const { daemonPid } = await second.status();
      assert.ok(daemonPid !== undefined);
      process.kill(daemonPid, 'SIGKILL');
      await waitFor('another daemon', async () => {
        const status = await second.status();
        return status.state === 'serving' && status.daemonPid !== daemonPid;
      });
      await readAll(second);
      assert.equal(await fetched(second), 0);
    });
    assert.equal(await second.metric('alluxio_fuse_disk_cache_corrupt_files_total'), 0);
    await second.unmount();
  });

  test('survives kill -9 in the middle of filling it', async (context) => {
    const { mount: mountAgain } = await mountsOf(context);
    const mount = await mountAgain();
    for (let kills = 0; kills < 3; kills++) {
      // A file that is open while its daemon dies may have to be opened again.
      let isRead = false;
      const reading = readAll(mount)
        .catch(() => undefined)
        .finally(() => {
          isRead = true;
        });
      await waitFor('something to be written', async () => {
        const written = await mount.metric('alluxio_fuse_disk_cache_written_bytes_total');
        return isRead || written > 4 * MIB;
      });
      const { daemonPid } = await mount.status();
      if (daemonPid !== undefined) process.kill(daemonPid, 'SIGKILL');
      await reading;
      await waitFor('a daemon', async () => (await mount.status()).state === 'serving');
    }
    await fill(mount);
    assert.equal(await mount.metric('alluxio_fuse_disk_cache_corrupt_files_total'), 0);
    await mount.unmount();
  });

  test('changed, cut, foreign and missing files never reach a reader', async (context) => {
    const { directory, mount: mountAgain } = await mountsOf(context);
    const first = await mountAgain();
    await fill(first);
    await first.unmount();
    const files = backingFiles(join(directory, 'cache'));
    for (const [index, path] of files.entries()) {
      const bytes = await readFile(path);
      if (index % 4 === 0) {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 255;
        await writeFile(path, bytes);
      } else if (index % 4 === 1) await truncate(path, bytes.length >> 1);
      else if (index % 4 === 2) await writeFile(path, await readFile(files[index - 2] as string));
    }
    const foreign = join(directory, 'cache', 'foreign');
    await writeFile(foreign, 'theirs');
    const second = await mountAgain();
    await readAll(second);
    const corrupt = await second.metric('alluxio_fuse_disk_cache_corrupt_files_total');
    assert.ok(corrupt >= files.length / 2, `${corrupt} of ${files.length}`);
    assert.equal(await readFile(foreign, 'utf8'), 'theirs');
    // While it is mounted, too.
    for (const path of backingFiles(join(directory, 'cache'))) {
      await truncate(path, statSync(path).size >> 1).catch(() => undefined);
    }
    await readAll(second);
    assert.deepEqual((await second.status()).lastErrors, []);
    await second.unmount();
  });

  test('a disk that is full or fails costs speed only', async (context) => {
    const flags = ['--cache-free-space', '0', '--memory-limit', FAULT_MEMORY_LIMIT];
    const { undo, directory, mount: mountAgain } = await mountsOf(context, flags);
    const cacheDir = join(directory, 'cache');
    await mkdir(cacheDir);
    await output('mount', ['-t', 'tmpfs', '-o', 'size=20m,mode=700', 'tmpfs', cacheDir]);
    undo(async () => void (await run('umount', ['-l', cacheDir])));
    const mount = await mountAgain();
    await readAll(mount);
    const written = await mount.metric('alluxio_fuse_disk_cache_written_bytes_total');
    assert.ok(written > 10 * MIB, `${written}`);
    // Others take what is left, while files are written.
    const theirs = join(cacheDir, 'theirs');
    for (let round = 0; round < 3; round++) {
      const filling = shell('head -c 30000000 /dev/zero >"$1" 2>/dev/null || rm "$1"', [theirs]);
      await readAll(mount);
      await filling;
    }
    await run('rm', ['-f', theirs]);
    // Nothing can be opened there any more: the directory is given up.
    await shell('rm -rf "$1" && touch "$1"', [join(cacheDir, 'alluxio-fuse-cache', 'files')]);
    await waitFor(
      'the directory to be retired',
      async () => {
        await readAll(mount);
        const labels = { state: 'retired' };
        return (await mount.metric('alluxio_fuse_disk_cache_directories', labels)) === 1;
      },
      60_000,
    );
    const { diskCache, lastErrors } = await mount.status();
    assert.equal(diskCache?.directories[0]?.state, 'retired');
    assert.match(diskCache.directories[0].reason ?? '', /ENOTDIR/);
    assert.deepEqual(lastErrors, []);
    await readAll(mount);
    await mount.unmount();
  });

  test('commands look at it, check it, fill and empty it, mounted or not', async (context) => {
    const { directory, mount: mountAgain } = await mountsOf(context);
    const cacheDir = join(directory, 'cache');
    const first = await mountAgain();
    const cache = async (verb: string, ...args: string[]) => {
      const flags = ['--state-dir', first.stateDir, '--json'];
      const { code, out, err } = await alluxioFuse([...verb.split(' '), ...args, ...flags]);
      const lines = out
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as CacheLine);
      return { code, err, lines, last: lines.at(-1) };
    };
    const warmed = await cache('warmup', first.path('tree', 'd1'), first.path('tree', 'none'));
    assert.equal(warmed.code, 1);
    assert.deepEqual(
      warmed.lines.filter(({ kind }) => kind === 'failed').map(({ path }) => path),
      ['/tree/none'],
    );
    const again = await cache('cache warm', first.mountpoint, '/tree/d1');
    assert.equal(again.code, 0, again.err);
    assert.equal(again.last?.fetchedBytes, 0, 'all was there');
    assert.ok((again.last?.cachedBytes ?? 0) > MIB);
    const earlier = await fetched(first);
    const d1 = [join(cluster.dataDir, 'tree', 'd1'), first.path('tree', 'd1')];
    await output('diff', ['-r', ...d1]);
    assert.equal(await fetched(first), earlier);
    // By its directory, of which the daemon is asked.
    const listed = await cache('cache ls', cacheDir);
    assert.equal(listed.lines.length, warmed.last?.files, JSON.stringify(warmed.last));
    assert.ok(listed.lines.every(({ isComplete }) => isComplete === true));
    assert.ok(listed.lines.every(({ path }) => path?.startsWith('/tree/d1/')));
    await first.unmount();
    const [path] = backingFiles(cacheDir);
    assert.ok(path !== undefined);
    await truncate(path, 1);
    const verified = await cache('cache verify', cacheDir);
    assert.equal(verified.code, 1);
    assert.equal(verified.last?.corrupt, 1);
    assert.equal((await cache('cache verify', cacheDir)).code, 0);
    const stat = await cache('cache stat', cacheDir);
    assert.equal(stat.last?.meant?.files, listed.lines.length - 1);
    assert.equal((await cache('cache drop', cacheDir)).code, 2, 'neither paths nor --all');
    const dropped = await cache('cache drop', cacheDir, '--all');
    assert.equal(dropped.last?.files, listed.lines.length - 1);
    assert.deepEqual(backingFiles(cacheDir), []);
    assert.equal((await cache('cache ls', join(directory, 'none'))).code, 1);
  });

  test('warmup into a cache that is too small says what is missing, and fails', async (context) => {
    const flags = ['--cache-limit', '16MB', '--cache-free-space', '0'];
    const { mount: mountAgain } = await mountsOf(context, flags);
    const mount = await mountAgain();
    const flag = ['--state-dir', mount.stateDir];
    const { code, out, err } = await alluxioFuse(['warmup', mount.path('tree'), ...flag]);
    assert.equal(code, 1);
    assert.doesNotMatch(out, /all in the cache/);
    assert.match(err, /[1-9]\d* of \d+ files .* not in the cache: --cache-limit allows 16 MiB/);
    assert.equal(await mount.metric('alluxio_fuse_disk_cache_misses_total'), 0);
    await mount.unmount();
  });

  test('a second mount with the same directory is refused with a reason', async (context) => {
    const { directory, mount: mountAgain } = await mountsOf(context);
    const first = await mountAgain();
    const undo = lastFirst((work) => context.after(work));
    const flags = ['--cache-dir', join(directory, 'cache')];
    await assert.rejects(mountForTest(undo, cluster.info, { flags }), /in use by process \d+/);
    await readAll(first);
    await first.unmount();
  });
});
