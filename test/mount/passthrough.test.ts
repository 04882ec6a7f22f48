/**
 * Goal: files that lie whole in a cache directory are read by the kernel itself, and nobody sees it by
 * anything but the speed: not when the daemon dies, not when the file changes, not when what lies in the
 * cache directory was changed behind our back.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, open, readdir, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { Readers } from '../support/readers.ts';
import { output, run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { makeTree, sampleBytes, sampleBytesOf } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';

const [major = 0, minor = 0] = release().split('.').map(Number);
const isOldKernel = major < 6 || (major === 6 && minor < 9);
const skip =
  skipReason('root', 'fuse', 'etcd') ||
  missingPrograms('python3') ||
  (isOldKernel && 'passthrough needs Linux 6.9');

const PAGE_BYTES = 256 * 1024;
/** Of which the kernel reads the longer ones. */
const LENGTHS = [0, 1, 5000, 110_000, 700_000, 3 * PAGE_BYTES, 2_500_000, 6_000_001];
const BIG = 'tree/big';
const BIG_BYTES = 8_000_001;
const PHASE_MS = 60_000;

/** Holds files open, and does with them what each line says; of bytes it tells the MD5. */
const HOLDER = `
import errno, hashlib, mmap, os, sys
fds = {}
for line in sys.stdin:
    try:
        word, path = line.split()
        if word == "open":
            fds.setdefault(path, []).append(os.open(path, os.O_RDONLY))
            said = "ok"
        elif word == "close":
            os.close(fds[path].pop())
            said = "ok"
        elif word == "stat":
            said = str(os.fstat(fds[path][-1]).st_size)
        elif word == "mmap":
            said = hashlib.md5(mmap.mmap(fds[path][-1], 0, prot=mmap.PROT_READ)).hexdigest()
        else:
            bytes, piece = b"", b"x"
            while piece:
                piece = os.pread(fds[path][0 if word == "first" else -1], 1 << 20, len(bytes))
                bytes += piece
            said = hashlib.md5(bytes).hexdigest()
    except OSError as error:
        said = errno.errorcode[error.errno]
    print(said, flush=True)
`;

suite('files that the kernel reads by itself', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  const names: string[] = [];

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { pageSizeBytes: PAGE_BYTES });
    const entries: Record<string, number> = { [BIG]: BIG_BYTES };
    for (const [i, length] of [...LENGTHS, ...LENGTHS].entries()) {
      entries[`tree/d${i % 3}/f${i}-${length}`] = length;
    }
    await makeTree(cluster.dataDir, { entries });
    names.push(...Object.keys(entries));
  });

  const mountOf = async (undo: Cleanup, cacheDir: string, ...flags: string[]): Promise<TestMount> =>
    await mountForTest(undo, cluster.info, {
      flags: ['--cache-dir', cacheDir, '--cache-free-space', '0%', ...flags],
    });

  const setUp = async (context: TestContext, ...flags: string[]) => {
    const undo = lastFirst((work) => context.after(work));
    const cacheDir = await makeTempDir(undo, 'cache');
    return { undo, cacheDir, mount: await mountOf(undo, cacheDir, ...flags) };
  };

  const compare = async (mount: TestMount): Promise<void> => {
    await output('diff', ['-r', join(cluster.dataDir, 'tree'), mount.path('tree')]);
  };
  const opens = async (mount: TestMount): Promise<number> =>
    await mount.metric('alluxio_fuse_passthrough_opens_total');
  const fallbacks = async (mount: TestMount): Promise<number> =>
    await mount.metric('alluxio_fuse_passthrough_fallbacks_total');
  const md5 = async (bytes: Buffer): Promise<string> =>
    (await output('md5sum', ['-'], { input: bytes })).split(' ')[0] ?? '';

  /** Reads a file until the kernel does it by itself. */
  const warm = async (mount: TestMount, name: string): Promise<void> => {
    const known = await opens(mount);
    await waitFor(
      `${name} to be read by the kernel`,
      async () => {
        await output('cmp', [mount.path(name), join(cluster.dataDir, name)]);
        return (await opens(mount)) > known;
      },
      PHASE_MS,
    );
  };

  /** A program that has files open. */
  const holderOf = (undo: Cleanup) => {
    const child = spawn('python3', ['-c', HOLDER], {
      cwd: '/',
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    undo(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      say: async (word: string, path: string): Promise<string> => {
        child.stdin.write(`${word} ${path}\n`);
        return String((await lines.next()).value);
      },
      end: async (): Promise<void> => {
        child.stdin.end();
        await ended;
      },
    };
  };

  /** In the cache directory, where files are as long as what they are a copy of. */
  const copyOf = async (cacheDir: string, lengthBytes: number): Promise<string> => {
    const paths = (await readdir(cacheDir, { recursive: true })).map((name) =>
      join(cacheDir, name),
    );
    for (const path of paths) if ((await stat(path)).size === lengthBytes) return path;
    throw new Error(`No copy among ${paths.join(' ')}`);
  };

  test('a tree is the same cold, from copies, after a restart and by a new mount', async (context) => {
    const { undo, cacheDir, mount } = await setUp(context);
    await compare(mount);
    const isLong = (name: string): boolean => Number(name.split('-')[1] ?? BIG_BYTES) > 650_000;
    const long = names.filter(isLong);
    for (const name of long) await warm(mount, name);
    const known = await opens(mount);
    await compare(mount);
    assert.equal(await opens(mount), known + long.length);
    const { passthrough, daemonPid, inodes } = await mount.status();
    assert.deepEqual(passthrough, { state: 'on', opens: known + long.length, fallbacks: 0 });
    assert.equal(inodes.openHandles, 0);

    process.kill(daemonPid ?? 0, 'SIGKILL');
    await waitFor('another daemon', async () => (await mount.status()).restarts === 1, PHASE_MS);
    await compare(mount);
    await warm(mount, BIG);
    await compare(mount);
    assert.deepEqual((await mount.status()).lastErrors, []);
    await mount.unmount();

    const again = await mountOf(undo, cacheDir);
    await compare(again);
    await warm(again, BIG);
    await compare(again);
    await again.unmount();
  });

  test('mapped memory, times and lengths are those of the file', async (context) => {
    const { undo, mount } = await setUp(context);
    await warm(mount, BIG);
    const holder = holderOf(undo);
    const path = mount.path(BIG);
    const expected = await md5(sampleBytesOf(BIG, BIG_BYTES));
    const known = await opens(mount);
    assert.equal(await holder.say('open', path), 'ok');
    assert.equal(await opens(mount), known + 1);
    assert.equal(await holder.say('mmap', path), expected);
    assert.equal(await holder.say('stat', path), String(BIG_BYTES));
    const shown = await output('stat', ['-c', '%s %Y', path]);
    assert.equal(shown, await output('stat', ['-c', '%s %Y', join(cluster.dataDir, BIG)]));
    await holder.end();
    await mount.unmount();
  });

  test('an inode stays in the mode of those that have it open', async (context) => {
    const { undo, mount } = await setUp(context);
    const path = mount.path(BIG);
    const expected = await md5(sampleBytesOf(BIG, BIG_BYTES));
    const holder = holderOf(undo);
    // Opened before there is a copy.
    assert.equal(await holder.say('open', path), 'ok');
    assert.equal(await holder.say('read', path), expected);
    await waitFor(
      'the copy to be written',
      async () => (await mount.metric('alluxio_fuse_disk_cache_pages')) >= BIG_BYTES / PAGE_BYTES,
      PHASE_MS,
    );
    await output('cmp', [path, join(cluster.dataDir, BIG)]);
    assert.equal(await opens(mount), 0, 'the first handle is of the other mode');
    assert.equal(await holder.say('close', path), 'ok');
    await warm(mount, BIG);
    // Many programs at once, whatever mode it is in when each of them comes.
    const script = `
import concurrent.futures, sys
def read(_):
    with open(sys.argv[1], "rb") as file: return file.read() == expected
expected = open(sys.argv[2], "rb").read()
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    assert all(pool.map(read, range(200)))
`;
    const args = ['-c', script, path, join(cluster.dataDir, BIG)];
    await Promise.all([output('python3', args), output('python3', args)]);
    assert.equal((await mount.status()).inodes.openHandles, 0);
    await mount.unmount();
  });

  test('who has an old version open reads it to the end; who opens the file sees the new one', async (context) => {
    const { undo, mount } = await setUp(context, '--attr-timeout', '1s', '--entry-timeout', '1s');
    const staging = join(await makeTempDir(undo, 'staging'), 'staging');
    const other = await mountForTest(undo, cluster.info, {
      flags: writableFlags(staging, 'through'),
    });
    const name = 'changing/file';
    const old = sampleBytes(4 * PAGE_BYTES, 1);
    const changed = sampleBytes(4 * PAGE_BYTES + 5, 2);
    await mkdir(join(cluster.dataDir, 'changing'), { recursive: true });
    await writeFile(join(cluster.dataDir, name), old);
    await warm(mount, name);
    const holder = holderOf(undo);
    const path = mount.path(name);
    const known = await opens(mount);
    assert.equal(await holder.say('open', path), 'ok');
    assert.equal(await opens(mount), known + 1);
    await output('dd', [`of=${other.path(name)}`, 'bs=1M'], { input: changed });
    await waitFor(
      'the new version',
      async () => (await run('cmp', ['-', path], { input: changed })).code === 0,
      PHASE_MS,
    );
    assert.equal(await holder.say('read', path), await md5(old));
    assert.equal(await holder.say('stat', path), String(old.length));
    // Both versions at once, in one program.
    assert.equal(await holder.say('open', path), 'ok');
    assert.equal(await holder.say('read', path), await md5(changed));
    assert.equal(await holder.say('first', path), await md5(old));
    await holder.end();
    await waitFor(
      'handles to be closed',
      async () => (await mount.status()).inodes.openHandles === 0,
      PHASE_MS,
    );
    await other.unmount();
    await mount.unmount();
  });

  test('a copy that somebody has changed is not read', async (context) => {
    const { cacheDir, mount } = await setUp(context);
    const harm: Record<string, (path: string) => Promise<void>> = {
      'a byte is changed': async (path) => {
        const { atime, mtime } = await stat(path);
        const file = await open(path, 'r+');
        await file.write(Buffer.from('harm'), 0, 4, 4_000_000);
        await file.close();
        // Times can be set; the one that tells cannot.
        await utimes(path, atime, mtime);
      },
      'it is cut': async (path) => await truncate(path, 1_000_000),
      'another file lies there': async (path) => {
        await output('sh', [
          '-c',
          'cp "$0" "$0.new" && printf harm >"$0.new" && mv "$0.new" "$0"',
          path,
        ]);
      },
    };
    for (const [i, [what, act]] of Object.entries(harm).entries()) {
      const name = `harm/f${i}`;
      const lengthBytes = 4_100_001 + i;
      await makeTree(cluster.dataDir, { entries: { [name]: lengthBytes } });
      await warm(mount, name);
      const known = await fallbacks(mount);
      await act(await copyOf(cacheDir, lengthBytes));
      await output('cmp', [mount.path(name), join(cluster.dataDir, name)]);
      assert.ok((await fallbacks(mount)) > known, what);
    }
    await mount.unmount();
  });

  test('programs read on while the daemon is killed', async (context) => {
    const { undo, mount } = await setUp(context, '--memory-limit', '16MB');
    await compare(mount);
    await warm(mount, BIG);
    const holder = holderOf(undo);
    const path = mount.path(BIG);
    const expected = await md5(sampleBytesOf(BIG, BIG_BYTES));
    assert.equal(await holder.say('open', path), 'ok');
    const readers = new Readers(undo, {
      count: 4,
      sourceDir: cluster.dataDir,
      mountedDir: mount.mountpoint,
      files: names,
      seed: 5,
    });
    await readers.progress(5, PHASE_MS);
    for (let kills = 1; kills <= 3; kills++) {
      process.kill((await mount.status()).daemonPid ?? 0, 'SIGKILL');
      // Between two daemons, too.
      for (let i = 0; i < 5; i++) assert.equal(await holder.say('read', path), expected);
      await waitFor(
        'another daemon',
        async () => (await mount.status()).restarts === kills,
        PHASE_MS,
      );
      await readers.progress(5, PHASE_MS);
    }
    assert.equal(await holder.say('read', path), expected);
    await holder.end();
    await readers.stop();
    context.diagnostic(readers.describe());
    readers.assertNoErrors();
    await warm(mount, BIG);
    await mount.unmount();
  });

  test('it can be switched off, and is off where it would be wrong', async (context) => {
    const undo = lastFirst((work) => context.after(work));
    const staging = join(await makeTempDir(undo, 'staging'), 'staging');
    for (const [flags, reason] of [
      [['--passthrough', 'off'], /--passthrough/],
      [['--immutable'], /--immutable/],
      [writableFlags(staging, 'through'), /--read-only/],
    ] as const) {
      const mount = await mountOf(undo, await makeTempDir(undo, 'cache'), ...flags);
      await output('cmp', [mount.path(BIG), join(cluster.dataDir, BIG)]);
      await waitFor(
        'the copy',
        async () => (await mount.metric('alluxio_fuse_disk_cache_pages')) >= BIG_BYTES / PAGE_BYTES,
        PHASE_MS,
      );
      await output('cmp', [mount.path(BIG), join(cluster.dataDir, BIG)]);
      const { passthrough } = await mount.status();
      assert.equal(passthrough?.state, 'off');
      assert.match(passthrough.reason ?? '', reason);
      assert.equal(await opens(mount), 0);
      await mount.unmount();
    }
  });
});
