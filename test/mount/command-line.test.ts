/**
 * The commands as people use them, on one devcluster: what mounting, unmounting and asking do, and
 * what a mount answers to those who want more than reading.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { skipCluster, startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { lastFirst } from '../support/last-first.ts';
import {
  alluxioFuse,
  clusterFlags,
  freePort,
  isAlive,
  isMounted,
  missingPrograms,
  mountForTest,
  programArguments,
} from '../support/mount.ts';
import { output, run } from '../support/run.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';

const MIB = 1024 * 1024;
const NOBODY = 65534;
const END_MS = 20_000;
const ownMounts = readlinkSync('/proc/self/ns/mnt');

suite('the command line', { skip: skipCluster('devcluster oss') }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: TestCluster;

  before(async () => {
    cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes: MIB });
    await mkdir(join(cluster.sourceDir, 'dir'));
    await writeFile(join(cluster.sourceDir, 'dir', 'file'), 'content\n'.repeat(1000));
    await symlink('dir/file', join(cluster.sourceDir, 'link'));
  });

  /** Directories for a command that this file starts itself, and what it may not leave. */
  async function scratch(): Promise<{ mountpoint: string; flags: string[]; stateDir: string }> {
    const dir = await makeTempDir(cleanup, 'command');
    const mountpoint = join(dir, 'mnt');
    const stateDir = join(dir, 'state');
    await mkdir(mountpoint);
    cleanup(async () => {
      if (isMounted(mountpoint)) await run('umount', ['-l', mountpoint]);
    });
    const more = ['--state-dir', stateDir, '--log-file', join(dir, 'log'), '--metrics-port', '0'];
    return { mountpoint, stateDir, flags: [...clusterFlags(cluster.info), ...more] };
  }

  /** Waits for a file system that is served from this process's children only. */
  const mountAnswers = async (mountpoint: string): Promise<boolean> =>
    isMounted(mountpoint) && (await run('stat', ['--file-system', mountpoint])).code === 0;

  test('mount returns when the mount answers, and says what it did', async () => {
    const { mountpoint, flags, stateDir } = await scratch();
    const { code, out, err } = await alluxioFuse(['mount', mountpoint, ...flags]);
    assert.equal(code, 0, err);
    assert.match(out, /^Mounted file:.* at .*driver device, pid \d+/);
    const read = await output('cat', [join(mountpoint, cluster.name, 'dir/file')]);
    assert.equal(read, 'content\n'.repeat(1000));
    const pid = Number(/pid (\d+)/.exec(out)?.[1]);
    assert.ok(isAlive(pid));
    const ended = await alluxioFuse(['umount', mountpoint, '--state-dir', stateDir]);
    assert.deepEqual([ended.code, ended.out, ended.err], [0, '', '']);
    assert.ok(!isAlive(pid));
    assert.ok(!isMounted(mountpoint));
  });

  test('mount without an etcd says so, exits with 1 and leaves nothing', async () => {
    const { mountpoint, flags: given, stateDir } = await scratch();
    const { etcdHost, etcdPort } = cluster.info;
    const nobody = `127.0.0.1:${await freePort()}`;
    const flags = given.map((flag) => (flag === `${etcdHost}:${etcdPort}` ? nobody : flag));
    assert.ok(flags.includes(nobody));
    const { code, err } = await alluxioFuse(['mount', mountpoint, ...flags]);
    assert.equal(code, 1);
    assert.match(err, /could not mount .*: No answer from etcd.*--etcd-hosts/s);
    assert.ok(!isMounted(mountpoint));
    await waitFor('the state to go', async () => (await names(stateDir)).length === 0, END_MS);
  });

  test('mount with another --ufs than the workers have says so, and reads nothing from there', async () => {
    const { mountpoint, flags, stateDir } = await scratch();
    const wrong = await makeTempDir(cleanup, 'wrong-ufs');
    await mkdir(join(wrong, cluster.name, 'dir'), { recursive: true });
    // A name that workers leave out of listings, and that the under store is asked for.
    await writeFile(join(wrong, cluster.name, 'dir', 'decoy?'), '');
    const { ufs } = cluster.info;
    const args = [...flags, '--ufs', `file://${wrong}`];
    const { code, err } = await alluxioFuse(['mount', mountpoint, ...args]);
    assert.equal(code, 0, err);
    const advice = `set --ufs (alluxio.dora.client.ufs.root) to ${ufs}`;
    assert.match(err, /^alluxio-fuse: warning: The under store root of worker-/);
    assert.ok(err.includes(advice), err);
    assert.equal(await output('ls', [join(mountpoint, cluster.name, 'dir')]), 'file\n');
    const read = await output('cat', [join(mountpoint, cluster.name, 'dir/file')]);
    assert.equal(read, 'content\n'.repeat(1000));
    const status = await alluxioFuse(['status', mountpoint, '--state-dir', stateDir]);
    assert.match(status.out, /WARNING +wrong under store: The under store root/);
    assert.match(status.out, /under store +fallback off/);
    const ended = await alluxioFuse(['umount', mountpoint, '--state-dir', stateDir]);
    assert.equal(ended.code, 0, ended.err);
  });

  test('mount says what is wrong with a mount point, and exits with 1', async () => {
    const { mountpoint, flags } = await scratch();
    const file = join(mountpoint, 'file');
    await writeFile(file, '');
    for (const [path, reason] of [
      [join(mountpoint, 'missing'), /does not exist/],
      [file, /is not a directory/],
    ] as const) {
      const { code, err } = await alluxioFuse(['mount', path, ...flags]);
      assert.equal(code, 1);
      assert.match(err, reason);
    }
  });

  test('mount refuses a mount point that is in use, and leaves that mount alone', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    const { flags } = await scratch();
    const { code, err } = await alluxioFuse(['mount', mount.mountpoint, ...flags]);
    assert.equal(code, 1);
    assert.match(err, /already has a mount/);
    await output('ls', [mount.path(cluster.name)]);
    await mount.unmount();
  });

  test('mount refuses a bad option with 2, naming it', async () => {
    const { mountpoint, flags } = await scratch();
    const { code, err } = await alluxioFuse(['mount', mountpoint, ...flags, '--page-size', '5']);
    assert.equal(code, 2);
    assert.match(err, /page-size \(--page-size\): "5" is too small/);
    assert.ok(!isMounted(mountpoint));
  });

  for (const [program, args] of [
    ['umount', []],
    ['fusermount3', ['-u']],
  ] as const) {
    test(
      `${program} from outside ends the processes`,
      {
        skip: missingPrograms(program),
      },
      async () => {
        const mount = await mountForTest(cleanup, cluster.info);
        const { daemonPid } = await mount.status();
        await output(program, [...args, mount.mountpoint]);
        await mount.ended();
        assert.ok(!isAlive(daemonPid ?? 0));
        assert.deepEqual(await names(mount.stateDir), []);
        assert.doesNotMatch(await mount.logText(), /"level":"(error|fatal)"/);
      },
    );
  }

  test('umount of a busy mount fails and says so; --lazy waits for the last user', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    const reader = holdOpen(mount.path(cluster.name, 'dir/file'));
    try {
      await reader.ready;
      const args = ['umount', mount.mountpoint, '--state-dir', mount.stateDir];
      const busy = await alluxioFuse(args);
      assert.equal(busy.code, 1);
      assert.match(busy.err, /busy.*--lazy/s);
      await output('ls', [mount.path(cluster.name)]);
      assert.equal((await mount.status()).state, 'serving');
      const { daemonPid } = await mount.status();
      const lazy = await alluxioFuse([...args, '--lazy']);
      assert.equal(lazy.code, 0, lazy.err);
      assert.ok(!isMounted(mount.mountpoint));
      assert.ok(isAlive(daemonPid ?? 0));
      assert.equal(await reader.readAll(), 'content\n'.repeat(1000));
    } finally {
      reader.end();
    }
    await mount.ended();
  });

  test(
    'a copy of the mount in another name space is served until umount is asked again',
    { skip: missingPrograms('unshare', 'nsenter') },
    async () => {
      const mount = await mountForTest(cleanup, cluster.info);
      const file = mount.path(cluster.name, 'dir/file');
      const other = spawn('unshare', ['-m', '--propagation', 'private', 'sleep', '60']);
      try {
        const otherMounts = `/proc/${other.pid}/ns/mnt`;
        await waitFor('the name space', () => readlinkSync(otherMounts) !== ownMounts);
        const args = ['umount', mount.mountpoint, '--state-dir', mount.stateDir];
        const first = await alluxioFuse(args);
        assert.equal(first.code, 1);
        assert.match(first.err, /still in use.*unmount again to end it/s);
        assert.equal((await mount.status()).state, 'detached');
        const there = ['-t', String(other.pid), '-m', 'cat', file];
        assert.equal(await output('nsenter', there), 'content\n'.repeat(1000));
        assert.equal((await alluxioFuse(args)).code, 0);
        await mount.ended();
      } finally {
        other.kill();
      }
    },
  );

  test('closing is no failure in the metrics of a read-only mount', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    await output('cat', [mount.path(cluster.name, 'dir/file')]);
    const flushes = { method: 'Fuse.Flush' };
    await waitFor('the close to be counted', async () => {
      return (await mount.metric('alluxio_fuse_result_total', flushes)) > 0;
    });
    const failed = { ...flushes, state: 'FAILURE' };
    assert.equal(await mount.metric('alluxio_fuse_result_total', failed), 0);
    await mount.unmount();
  });

  test('devcluster says when a worker or etcd of it dies', async () => {
    const child = spawn(process.execPath, [...programArguments, 'devcluster', '--workers', '1'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exit = new Promise((resolve) => child.once('close', resolve));
    cleanup(async () => {
      child.kill('SIGTERM');
      await exit;
    });
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.out += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.err += chunk));
    await waitFor('the cluster', () => text.out.includes('\n'), END_MS);
    const find = async (pattern: string): Promise<number> =>
      Number(await output('pgrep', ['-P', String(child.pid), '-f', pattern]));
    process.kill(await find('worker/main'), 'SIGKILL');
    await waitFor('word of the worker', () => /Worker 127\.0\.0\.1 ended/.test(text.err), END_MS);
    const guard = await find('etcd-guard');
    process.kill(Number(await output('pgrep', ['-P', String(guard)])), 'SIGKILL');
    await waitFor('word of etcd', () => /etcd ended/.test(text.err), END_MS);
    child.kill('SIGTERM');
    await exit;
    assert.equal(text.err.trim().split('\n').length, 2, text.err);
  });

  test('umount of what is not mounted fails and says so', async () => {
    const { mountpoint, stateDir } = await scratch();
    const { code, err } = await alluxioFuse(['umount', mountpoint, '--state-dir', stateDir]);
    assert.equal(code, 1);
    assert.match(err, /Nothing is mounted/);
  });

  test('in the foreground SIGTERM unmounts and ends with 0', async () => {
    const { mountpoint, flags, stateDir } = await scratch();
    const child = spawn(
      process.execPath,
      [...programArguments, 'mount', mountpoint, ...flags, '--foreground'],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
    cleanup(async () => {
      child.kill('SIGKILL');
      await exit;
    });
    await waitFor('the mount', async () => await mountAnswers(mountpoint), END_MS);
    assert.equal(
      await output('cat', [join(mountpoint, cluster.name, 'dir/file')]),
      'content\n'.repeat(1000),
    );
    child.kill('SIGTERM');
    assert.equal(await exit, 0);
    assert.ok(!isMounted(mountpoint));
    assert.deepEqual(await names(stateDir), []);
  });

  test('status tells processes, cluster, ring, cache and inodes', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    await output('cat', [mount.path(cluster.name, 'dir/file')]);
    // Figures of the kernel thread are some moments old.
    const status = await waitFor('the page to be counted', async () => {
      const now = await mount.status();
      return now.cache.slotsUsed > 0 && now;
    });
    assert.equal(status.state, 'serving');
    assert.equal(status.driver, 'device');
    assert.equal(status.restarts, 0);
    assert.ok(isAlive(status.supervisorPid) && isAlive(status.daemonPid ?? 0));
    assert.ok(status.uptimeMs > 0 && status.uptimeMs < 120_000);
    assert.equal(status.cluster?.view.workers.length, 3);
    assert.ok(status.cluster.viewAgeMs >= 0);
    assert.ok(status.cluster.virtualNodes > 0);
    assert.equal(status.cluster.pageSizeBytes, MIB);
    assert.equal(status.cluster.underStoreFallback, 'available');
    assert.ok(status.inodes.known >= 4);
    assert.ok(status.cache.hits + status.cache.misses > 0);
    assert.ok(status.fuse.requestsTotal > 0);
    assert.deepEqual(status.lastErrors, []);
    const text = await alluxioFuse(['status', '--state-dir', mount.stateDir]);
    assert.ok(text.out.startsWith(mount.mountpoint), text.out);
    assert.match(text.out, /3 workers/);
    const elsewhere = await alluxioFuse(['status', '/', '--state-dir', mount.stateDir]);
    assert.equal(elsewhere.code, 1);
    await mount.unmount();
  });

  test('/metrics, /health and /ready answer', async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    await output('cat', [mount.path(cluster.name, 'dir/file')]);
    const url = `http://127.0.0.1:${mount.metricsPort}`;
    for (const path of ['/health', '/ready']) {
      const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(END_MS) });
      assert.equal(response.status, 200, path);
      await response.text();
    }
    assert.ok((await mount.metric('alluxio_http_server_result_total', { state: 'ok' })) > 0);
    assert.ok((await mount.metric('alluxio_http_server_call_latency_ms_count')) > 0);
    assert.equal(await mount.metric('alluxio_fuse_membership_workers'), 3);
    const reads = { method: 'Fuse.Read', state: 'SUCCESS' };
    await waitFor('the read to be counted', async () => {
      return (await mount.metric('alluxio_fuse_result_total', reads)) > 0;
    });
    assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
    await mount.unmount();
  });

  test(
    'extended attributes tell worker, path and what is cached',
    {
      skip: missingPrograms('getfattr'),
    },
    async () => {
      const mount = await mountForTest(cleanup, cluster.info);
      const file = mount.path(cluster.name, 'dir/file');
      const attribute = async (name: string, path = file): Promise<string> =>
        await output('getfattr', ['--only-values', '--absolute-names', '-n', name, path]);
      assert.equal(await attribute('user.alluxio.cached'), '0/1');
      await output('cat', [file]);
      assert.equal(await attribute('user.alluxio.cached'), '1/1');
      const ufsPath = `${cluster.info.ufs}/${cluster.name}/dir/file`;
      assert.equal(await attribute('user.alluxio.ufs_path'), ufsPath);
      const worker = await attribute('user.alluxio.worker');
      assert.ok(
        cluster.info.workers.some(({ id }) => worker === id),
        worker,
      );
      const listed = await output('getfattr', ['--absolute-names', '-m', '-', file]);
      assert.deepEqual(
        listed
          .split('\n')
          .filter((line) => line.startsWith('user.'))
          .sort(),
        ['user.alluxio.cached', 'user.alluxio.ufs_path', 'user.alluxio.worker'],
      );
      assert.notEqual((await run('getfattr', ['-n', 'user.other', file])).code, 0);
      await mount.unmount();
    },
  );

  test(
    'whatever would write fails at once with EROFS',
    {
      skip: missingPrograms('python3'),
    },
    async () => {
      const mount = await mountForTest(cleanup, cluster.info);
      const script = `
import errno, os, sys
d = sys.argv[1]; f = d + '/file'
tries = [
  lambda: os.open(f, os.O_WRONLY), lambda: os.open(f, os.O_RDWR),
  lambda: os.open(f, os.O_RDONLY | os.O_TRUNC), lambda: os.open(d + '/new', os.O_CREAT | os.O_WRONLY),
  lambda: os.unlink(f), lambda: os.rmdir(d), lambda: os.mkdir(d + '/m'), lambda: os.rename(f, f + '2'),
  lambda: os.symlink('x', d + '/s'), lambda: os.link(f, d + '/l'), lambda: os.mkfifo(d + '/p'),
  lambda: os.chmod(f, 0o600), lambda: os.chown(f, 1, 1), lambda: os.utime(f, (1, 1)),
  lambda: os.truncate(f, 1), lambda: os.setxattr(f, 'user.x', b'x'), lambda: os.removexattr(f, 'user.alluxio.worker'),
]
for i, attempt in enumerate(tries):
    try:
        attempt()
        print(i, 'worked')
    except OSError as e:
        if e.errno != errno.EROFS: print(i, errno.errorcode[e.errno])
assert not os.access(f, os.W_OK) and os.access(f, os.R_OK)
`;
      assert.equal(await output('python3', ['-c', script, mount.path(cluster.name, 'dir')]), '');
      await mount.unmount();
    },
  );

  test('a file that a stale listing shows as it was is opened as it is', async () => {
    const sizes = { small: 100, empty: 0, large: 3 * MIB };
    // More than are needed: where one worker owns most paths, it may list and take the first ones alike.
    const dirs = Array.from({ length: 30 }, (_, index) => join('stale', String(index)));
    for (const dir of dirs) {
      await mkdir(join(cluster.sourceDir, dir), { recursive: true });
      for (const [name, size] of Object.entries(sizes)) {
        await writeFile(join(cluster.sourceDir, dir, name), Buffer.alloc(size));
      }
    }
    const flags = ['--attr-timeout', '100ms', '--entry-timeout', '100ms'];
    const mount = await mountForTest(cleanup, cluster.info, { flags });
    const listed = async (dir: string, name: string): Promise<number> => {
      const line = await output('ls', ['-l', mount.path(cluster.name, dir)]);
      return Number(new RegExp(`(\\d+) \\S+ +\\d+ \\S+ ${name}$`, 'm').exec(line)?.[1]);
    };
    for (const dir of dirs) await listed(dir, 'small');
    const kinds = Object.keys(sizes) as (keyof typeof sizes)[];
    const { host, s3Port } = cluster.info.workers[0] ?? assert.fail('No worker');
    let stale = 0;
    for (const [index, dir] of dirs.entries()) {
      if (index >= 2 * kinds.length && stale > 0) break;
      const name = kinds[index % kinds.length] ?? assert.fail('No name');
      const body = 'x'.repeat(sizes[name] + 1);
      const key = `${cluster.name}/${dir}/${name}`;
      const answer = await fetch(`http://${host}:${s3Port}/${key}`, { method: 'PUT', body });
      assert.equal(answer.status, 200);
      // The worker that lists the directory is seldom the one that took the file.
      if ((await listed(dir, name)) === sizes[name]) stale++;
      assert.equal(await output('cat', [mount.path(key)]), body);
    }
    assert.ok(stale > 0, 'Every listing was new: nothing was shown');
    await mount.unmount();
  });

  test('statfs, seeking for holes and links', { skip: missingPrograms('python3') }, async () => {
    const mount = await mountForTest(cleanup, cluster.info);
    const script = `
import errno, os, sys
root = sys.argv[1]; f = os.open(root + '/dir/file', os.O_RDONLY); size = 8000
v = os.statvfs(root); assert v.f_namemax == 255 and v.f_bavail > 0 and v.f_flag & os.ST_RDONLY
assert os.lseek(f, 10, os.SEEK_DATA) == 10 and os.lseek(f, 10, os.SEEK_HOLE) == size
for offset in (size, size + 1):
    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
        try:
            os.lseek(f, offset, whence); print(offset, whence, 'worked')
        except OSError as e:
            if e.errno != errno.ENXIO: print(errno.errorcode[e.errno])
assert os.lseek(f, -1, os.SEEK_END) == size - 1 and os.read(f, 10) == b'\\n' and os.read(f, 10) == b''
# The cluster knows no links: a link of the under store is what it leads to.
assert os.stat(root + '/link').st_size == size
`;
    assert.equal(await output('python3', ['-c', script, mount.path(cluster.name)]), '');
    await mount.unmount();
  });

  test(
    'another user reads with --allow-other, and is kept out without',
    {
      skip: missingPrograms('setpriv'),
    },
    async () => {
      const asNobody = { uid: NOBODY, gid: NOBODY };
      const read = async (flags: readonly string[]): Promise<{ code: number; err: string }> => {
        const mount = await mountForTest(cleanup, cluster.info, { flags });
        await output('chmod', ['755', join(mount.mountpoint, '..')]);
        const result = await run('cat', [mount.path(cluster.name, 'dir/file')], asNobody);
        await mount.unmount();
        return result;
      };
      assert.equal((await read(['--allow-other'])).code, 0);
      const kept = await read(['--no-allow-other']);
      assert.notEqual(kept.code, 0);
      assert.match(kept.err, /Permission denied/);
      const byMode = await read(['--allow-other', '--file-mode', '600']);
      assert.match(byMode.err, /Permission denied/);
      const owned = ['--file-mode', '400', '--uid', String(NOBODY), '--gid', String(NOBODY)];
      assert.equal((await read(['--allow-other', ...owned])).code, 0);
    },
  );
});

async function names(dir: string): Promise<string[]> {
  const found = await readdir(dir).catch(() => []);
  return found.filter((name) => !name.endsWith('.log'));
}

/** A process that has the file open, and reads it when told. */
function holdOpen(path: string): {
  ready: Promise<void>;
  readAll(): Promise<string>;
  end(): void;
} {
  const script = 'exec 3<"$1"; echo open; read -r _; cat <&3';
  const child: ChildProcess = spawn('bash', ['-c', script, 'bash', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    ready: waitFor('the file to be open', () => text.startsWith('open\n'), END_MS).then(
      () => undefined,
    ),
    async readAll() {
      child.stdin?.end('\n');
      await closed;
      return text.slice('open\n'.length);
    },
    end: () => child.kill('SIGKILL'),
  };
}
