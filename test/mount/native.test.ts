/**
 * Goal: the second kernel driver shows the same bytes as the first. Method: the real program with
 * `--driver fuse-native` over dev workers; programs judge the mount and the source alike.
 */
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { loadPackage } from '../../src/fuse/native/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { output, run, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { AWKWARD_NAMES, boundaryEntries, makeTree } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';

const MANY = 3000;
const BIG_BYTES = 40 * TEST_PAGE_SIZE_BYTES + 123;
const REPLACEMENT_NAME = 'caf\u{fffd}';
/** As bash spells it: the byte 0xe9, as Latin-1 has the letter. */
const LATIN1_NAME = String.raw`$'caf\xe9'`;

async function packageProblem(): Promise<string | false> {
  try {
    await loadPackage();
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const skip = skipReason('root', 'fuse', 'etcd') || (await packageProblem());

suite('the fuse-native driver', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let mount: TestMount;
  let source = '';
  let mounted = '';

  before(
    async () => {
      cluster = await startTestDevcluster(cleanup);
      source = join(cluster.dataDir, 'tree');
      await makeTree(source, {
        entries: {
          ...boundaryEntries('bounds', TEST_PAGE_SIZE_BYTES),
          ...Object.fromEntries(AWKWARD_NAMES.map((name, index) => [`names/${name}`, 10 + index])),
          ...Object.fromEntries(AWKWARD_NAMES.map((name) => [`dirs/${name}/inside`, 7])),
          [`deep/${'x/'.repeat(12)}leaf`]: 99,
          'empty/': 0,
          big: BIG_BYTES,
        },
      });
      await mkdir(join(source, 'many'));
      for (let i = 0; i < MANY; i++) await writeFile(join(source, 'many', `entry-${i}`), '');
      await mkdir(join(source, 'latin'));
      await writeFile(join(source, 'latin', REPLACEMENT_NAME), 'spelled with U+FFFD');
      mount = await mountForTest(cleanup, cluster.info, {
        flags: ['--driver', 'fuse-native', '--read-only'],
      });
      mounted = mount.path('tree');
    },
    { timeout: 120_000 },
  );

  test('is the one that serves', async () => {
    assert.match(await mount.logText(), /"driver":"fuse-native"[^\n]*Serving the mount/);
    const mounts = await output('cat', ['/proc/mounts']);
    assert.match(
      mounts,
      new RegExp(`^\\S+ ${mount.mountpoint} fuse\\.alluxio ro,nosuid,nodev`, 'm'),
    );
  });

  test('status says what is known of the protocol', async () => {
    const { fuse, driver } = await mount.status();
    assert.deepEqual([driver, fuse.protocol], ['fuse-native', 'libfuse 2']);
    assert.ok(fuse.requestsTotal > 0);
  });

  test('lists names, types, sizes and times as the source', async () => {
    const list = async (dir: string): Promise<string> =>
      await shell(
        `cd "$1" && find . -path ./latin -prune -o -type f -printf '%y %s %Ts %P\\n' \\
           -o -type d -printf '%y %P\\n' | sort`,
        [dir],
      );
    assert.equal(await list(mounted), await list(source));
  });

  test('reads every file as the source, at every length and name', async () => {
    const sums = async (dir: string): Promise<string> =>
      await shell(
        `cd "$1" && find bounds names dirs deep big -type f -print0 | sort -z | xargs -0 sha256sum`,
        [dir],
      );
    assert.equal(await sums(mounted), await sums(source));
  });

  test('gives four readers at once the right bytes', async () => {
    const sum = async (dir: string): Promise<string> =>
      (await output('sha256sum', ['--', join(dir, 'big')])).split(' ')[0] ?? '';
    const expected = await sum(source);
    const readers = [mounted, mounted, mounted, mounted].map(async (dir) => await sum(dir));
    assert.deepEqual(
      await Promise.all(readers),
      Array.from({ length: 4 }, () => expected),
    );
  });

  test('reads at page boundaries, past the end and nothing', async () => {
    const script = `
import os, sys
mounted, source = (os.open(p, os.O_RDONLY) for p in sys.argv[1:3])
page = ${TEST_PAGE_SIZE_BYTES}
size = os.fstat(source).st_size
assert os.fstat(mounted).st_size == size
for at in [0, 1, page - 1, page, page + 1, 2 * page - 1, size - 1, size, size + page]:
    for length in [0, 1, 2, page, 3 * page]:
        assert os.pread(mounted, length, at) == os.pread(source, length, at), (at, length)
`;
    await output('python3', ['-c', script, join(mounted, 'big'), join(source, 'big')]);
  });

  test('says ENOENT for what is not there, and ENOTDIR below a file', async () => {
    const missing = await run('cat', [join(mounted, 'no such file')]);
    assert.equal(missing.code, 1);
    assert.match(missing.err, /No such file or directory/);
    assert.match((await run('cat', [join(mounted, 'big', 'x')])).err, /Not a directory/);
    assert.match((await run('cat', [join(mounted, 'many')])).err, /Is a directory/);
    assert.match((await run('readlink', ['-v', join(mounted, 'big')])).err, /Invalid argument/);
  });

  test('refuses every change with EROFS and changes nothing', async () => {
    const file = join(mounted, 'big');
    const commands = [
      ['touch', join(mounted, 'new')],
      ['touch', '-c', file],
      ['mkdir', join(mounted, 'new')],
      ['rm', '-f', file],
      ['rmdir', join(mounted, 'empty')],
      ['mv', file, join(mounted, 'moved')],
      ['ln', file, join(mounted, 'link')],
      ['ln', '-s', 'big', join(mounted, 'symlink')],
      ['chmod', '600', file],
      ['chown', '1:1', file],
      ['truncate', '-s', '0', file],
      ['mkfifo', join(mounted, 'fifo')],
      ['bash', '-c', 'echo x >> "$1"', 'bash', file],
      ['python3', '-c', 'import os, sys; os.setxattr(sys.argv[1], "user.x", b"y")', file],
      ['python3', '-c', 'import os, sys; os.removexattr(sys.argv[1], "user.x")', file],
    ];
    for (const [program = '', ...args] of commands) {
      const { code, err } = await run(program, args);
      assert.notEqual(code, 0, `${program} ${args.join(' ')}`);
      assert.match(err, /Read-only file system/, `${program} ${args.join(' ')}`);
    }
    assert.equal(await output('stat', ['-c', '%s', file]), `${BIG_BYTES}\n`);
  });

  test('shows extended attributes, and tells a buffer that is too small', async () => {
    const script = `
import ctypes, errno, os, sys
path = sys.argv[1]
names = os.listxattr(path)
assert sorted(names) == ['user.alluxio.cached', 'user.alluxio.ufs_path', 'user.alluxio.worker'], names
print(os.getxattr(path, 'user.alluxio.ufs_path').decode())
assert os.getxattr(path, 'user.alluxio.worker')
try:
    os.getxattr(path, 'user.none')
    sys.exit('no error')
except OSError as error:
    assert error.errno == errno.ENODATA, error
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(b'?' * 64)
for call in [lambda: libc.getxattr(path.encode(), b'user.alluxio.ufs_path', buffer, 3),
             lambda: libc.listxattr(path.encode(), buffer, 3)]:
    assert call() == -1
    assert ctypes.get_errno() == errno.ERANGE, ctypes.get_errno()
assert buffer.raw[:64] == b'?' * 64
assert libc.listxattr(path.encode(), None, 0) == sum(len(name) + 1 for name in names)
`;
    const printed = await output('python3', ['-c', script, join(mounted, 'big')]);
    assert.equal(printed, `${cluster.info.ufs.replace(/\/$/, '')}/tree/big\n`);
  });

  test('has the size of a petabyte', async () => {
    const [blocks, size] = (await output('stat', ['-f', '-c', '%b %S', mounted])).split(' ');
    assert.equal(Number(blocks) * Number(size), 2 ** 50);
  });

  test('never takes a name that is not UTF-8 for another', async () => {
    const dir = join(mounted, 'latin');
    assert.equal(await output('ls', ['--literal', dir]), `${REPLACEMENT_NAME}\n`);
    const latin1 = await run('bash', ['-c', `cat "$1"/${LATIN1_NAME}`, 'bash', dir]);
    assert.equal(latin1.out, '');
    assert.match(latin1.err, /Input\/output error/);
    // The package delivers both as the same text, so both are refused.
    const replacement = await run('cat', [join(dir, REPLACEMENT_NAME)]);
    assert.equal(replacement.out, '');
    assert.match(replacement.err, /Input\/output error/);
    assert.match(await mount.logText(), /fuse-native driver/);
  });

  test('counts what it was asked', async () => {
    const { fuse, inodes } = await mount.status();
    assert.ok(fuse.requestsTotal > MANY, String(fuse.requestsTotal));
    assert.equal(inodes.openHandles, 0);
  });

  test('ends when it is unmounted from outside', async () => {
    await output('umount', [mount.mountpoint]);
    await mount.ended();
  });
});

test('the fuse-native driver is mounted anew when its daemon dies', { skip }, async (t) => {
  const cleanup = lastFirst((undo) => t.after(undo));
  const cluster = await startTestDevcluster(cleanup, { workers: 1 });
  await makeTree(cluster.dataDir, { entries: { 'dir/file': 1000 } });
  const mount = await mountForTest(cleanup, cluster.info, {
    flags: ['--driver', 'fuse-native', '--read-only'],
  });
  const sum = async (path: string): Promise<string> => await shell('sha256sum < "$1"', [path]);
  const expected = await sum(join(cluster.dataDir, 'dir', 'file'));
  assert.equal(await sum(mount.path('dir', 'file')), expected);
  const { daemonPid } = await mount.status();
  assert.ok(daemonPid !== undefined);
  process.kill(daemonPid, 'SIGKILL');
  // Between two lives there is no mount, and nobody to ask for a status. What is asked in the very
  // moment of mounting must be answered too.
  await waitFor('a new mount', async () => {
    const { code, out } = await run('sha256sum', [mount.path('dir', 'file')]);
    return code === 0 && out.startsWith(expected.split(' ')[0] ?? '');
  });
  assert.notEqual((await mount.status()).daemonPid, daemonPid);
  await mount.unmount();
});

test('the fuse-native driver re-reads immutable data from the kernel', { skip }, async (t) => {
  const cleanup = lastFirst((undo) => t.after(undo));
  const cluster = await startTestDevcluster(cleanup, { workers: 1 });
  const entries = { 'dir/file': 300_000, 'dir/sub/other': 5 };
  await makeTree(cluster.dataDir, { entries });
  const mount = await mountForTest(cleanup, cluster.info, {
    flags: ['--driver', 'fuse-native', '--immutable'],
  });
  const compare = async (): Promise<void> => {
    for (const name of Object.keys(entries)) {
      await output('cmp', [mount.path(name), join(cluster.dataDir, name)]);
    }
  };
  const reads = async (): Promise<number> =>
    await mount.metric('alluxio_fuse_result_total', { method: 'Fuse.Read' });
  await compare();
  const first = await reads();
  assert.ok(first > 0);
  await compare();
  assert.equal(await reads(), first);
  await mount.unmount();
});

test(
  'where the device driver cannot mount, fuse-native does, and the log says why',
  { skip },
  async (t) => {
    const cleanup = lastFirst((undo) => t.after(undo));
    const cluster = await startTestDevcluster(cleanup, { workers: 1 });
    await makeTree(cluster.dataDir, { entries: { 'dir/file': 1000 } });
    // A machine without mount(8), on which libfuse does it by itself.
    const programs = await makeTempDir(cleanup, 'programs');
    for (const name of ['stat', 'umount']) {
      const path = await output('sh', ['-c', `command -v ${name}`]);
      await symlink(path.trim(), join(programs, name));
    }
    const mount = await mountForTest(cleanup, cluster.info, { env: { PATH: programs } });
    assert.equal((await mount.status()).driver, 'fuse-native');
    assert.match(await mount.logText(), /spawn mount ENOENT.*falling back to --driver fuse-native/);
    const [seen, source] = [mount.path('dir', 'file'), join(cluster.dataDir, 'dir', 'file')];
    await output('cmp', [seen, source]);
    await mount.unmount();
  },
);

suite('a writable mount of the fuse-native driver', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let mount: TestMount;
  let stored = '';
  let mounted = '';

  before(
    async () => {
      cluster = await startTestDevcluster(cleanup, { workers: 1 });
      const staging = join(await makeTempDir(cleanup, 'native'), 'staging');
      const flags = ['--driver', 'fuse-native', ...writableFlags(staging, 'through')];
      mount = await mountForTest(cleanup, cluster.info, { flags });
      mounted = mount.path('work');
      stored = join(cluster.dataDir, 'work');
      await output('mkdir', [mounted]);
    },
    { timeout: 120_000 },
  );

  let tries = 0;
  /** In a new directory of each. */
  const both = async (script: string): Promise<string> => {
    const name = `try-${++tries}`;
    const directories = [await makeTempDir(cleanup, 'local'), join(mounted, name)];
    await output('mkdir', [join(mounted, name)]);
    const ends = [];
    for (const dir of directories) {
      const { code, out, err } = await run('bash', ['-c', script], { cwd: dir });
      ends.push({ code, out: out.replaceAll(dir, 'DIR'), err: err.replaceAll(dir, 'DIR') });
    }
    assert.deepEqual(ends[1], ends[0]);
    return name;
  };

  test('programs that write do as in a local directory, and the under store has it', async () => {
    const name = await both(`
      mkdir dir && echo one > dir/a && echo two >> dir/a && cp dir/a dir/b && mv dir/b dir/c
      head -c 300000 /dev/zero | tr '\\0' x > dir/big && truncate -s 200001 dir/big
      printf middle | dd of=dir/big bs=1 seek=100 conv=notrunc status=none
      cat dir/a dir/c; md5sum < dir/big; stat -c '%n %s %F %a' dir/*
      mkdir dir/sub && rmdir dir/sub; rmdir dir; echo x > dir/gone && rm dir/gone; ls dir
      echo new > dir/tmp && mv dir/tmp dir/a && cat dir/a; : > dir/c; stat -c %s dir/c`);
    const sum = await shell('md5sum < "$1"', [join(stored, name, 'dir', 'big')]);
    assert.equal(sum, await shell('md5sum < "$1"', [join(mounted, name, 'dir', 'big')]));
    assert.equal(await output('cat', [join(stored, name, 'dir', 'a')]), 'new\n');
    assert.equal(await output('ls', [join(stored, name, 'dir')]), 'a\nbig\nc\n');
  });

  test('modes, both times, links and extended attributes are kept', async () => {
    await both(`
      echo x > f && chmod 640 f && stat -c %a f
      touch -d '2001-02-03 04:05:06 UTC' f && stat -c '%X %Y' f
      touch -a -d '2011-02-03 UTC' -r f f2; echo y > g
      python3 -c 'import os; os.utime("g", (1000000000, 1200000000))'; stat -c '%X %Y' g
      cp -p g h && stat -c '%X %Y' h; ln -s f link && readlink link && cat link
      python3 -c 'import os; os.setxattr("f", "user.k", b"v"); print(os.getxattr("f", "user.k")); os.removexattr("f", "user.k")'
      mkfifo p && stat -c %F p; rm link p; ls`);
  });

  test('tar, python and an editor that renames do as in a local directory', async () => {
    await both(`
      mkdir t && for i in 1 2 3 4 5; do echo $i > t/$i; done; 
      tar cf t.tar t && rm -r t && tar xf t.tar && cat t/*
      python3 - <<'P'
import mmap, os
with open("m", "wb") as f: f.truncate(70000)
with open("m", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[65530:65540] = b"0123456789"
    m.flush(); m.close()
    os.fsync(f.fileno())
    f.seek(65530); print(f.read(10))
fd = os.open("a", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
os.write(fd, b"abc"); os.rename("a", "b"); os.write(fd, b"def"); os.close(fd)
print(open("b").read())
try: os.open("b", os.O_CREAT | os.O_EXCL)
except OSError as e: print(e.errno)
fd = os.open("b", os.O_RDWR); os.unlink("b"); print(os.path.exists("b"), os.read(fd, 6)); os.close(fd)
P
      ls`);
  });

  test('what it cannot do is refused by name', async () => {
    const file = join(mounted, 'one');
    await output('touch', [file]);
    const link = await run('ln', [file, join(mounted, 'two')]);
    assert.match(link.err, /Operation not permitted/);
    const allocated = await run('fallocate', ['-l', '10', file]);
    assert.match(allocated.err, /not supported/);
    // libfuse drops a time that comes alone, and says that it is set.
    await output('touch', ['-d', '@1500000000', file]);
    await output('touch', ['-m', '-d', '@1600000000', file]);
    assert.equal(await output('stat', ['-c', '%Y', file]), '1500000000\n');
  });

  test('a close whose upload fails tells it, and unmounting waits for what is not saved', async () => {
    await Promise.all(cluster.workers.map((worker) => worker.kill()));
    const failed = await run('dd', [
      'if=/dev/zero',
      'bs=4',
      'count=1',
      `of=${join(mounted, 'late')}`,
    ]);
    assert.notEqual(failed.code, 0);
    await Promise.all(cluster.workers.map((worker) => worker.start()));
    await mount.unmount();
    assert.equal(await output('stat', ['-c', '%s', join(stored, 'late')]), '4\n');
  });
});
