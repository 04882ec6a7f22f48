/**
 * Goal: what programs write into a directory that is being renamed, which takes as long as copying it,
 * is under the new name afterwards, and only there. Method: one thread renames, another one writes,
 * closes and creates meanwhile; then the mount and the under store are read.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { output, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { storedAs, WRITE_MODES, writableFlags } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');
/** They are copied one by one, so that the rename takes its time. */
const FILES = 200;

/** Prints whether the rename was under way when the file was closed, and how everything ended. */
const WRITE_WHILE_MOVED = `
import errno, os, sys, threading, time
old, new = sys.argv[1:]
for name in ('gone', 'private'):
    with open(f'{old}/{name}', 'w') as file:
        file.write(name)
private = os.open(f'{old}/private', os.O_RDONLY)
log = os.open(f'{old}/log', os.O_WRONLY | os.O_CREAT, 0o644)
os.write(log, b'before')
os.fsync(log)
results = {}
def tried(name, act):
    try:
        act()
        results[name] = 'ok'
    except OSError as error:
        results[name] = errno.errorcode[error.errno]
rename = threading.Thread(target=lambda: tried('rename', lambda: os.rename(old, new)))
directory = os.open(old, os.O_RDONLY)
rename.start()
time.sleep(0.1)
results['moving'] = str(rename.is_alive())
os.ftruncate(log, 0)
os.pwrite(log, b'after', 0)
def create():
    fd = os.open('made', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=directory)
    os.write(fd, b'new')
    os.close(fd)
def count():
    names = os.listdir(directory)
    if len(names) < ${FILES}:
        raise OSError(errno.ENODATA, f'{len(names)} names')
beside = {
    'create': create,
    'mkdir': lambda: os.mkdir('sub', dir_fd=directory),
    'symlink': lambda: os.symlink('made', 'link', dir_fd=directory),
    'unlink': lambda: os.unlink('gone', dir_fd=directory),
    'chmod': lambda: os.fchmod(private, 0o600),
    'list': count,
}
threads = [threading.Thread(target=tried, args=each) for each in beside.items()]
for thread in threads:
    thread.start()
tried('close', lambda: os.close(log))
for thread in [*threads, rename]:
    thread.join()
print(*(results[name] for name in ('moving', 'rename', 'close', *beside)))
`;

/** A file that is closed while it is unlinked, in a directory whose time a program has set. */
const UNLINK_WHILE_CLOSED = `
import os, sys, threading
directory = sys.argv[1]
os.mkdir(directory)
for number in range(40):
    path = f'{directory}/{number}'
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(file, b'content')
    os.utime(directory, ns=(10**18, 10**18))
    unlink = threading.Thread(target=os.unlink, args=[path])
    unlink.start()
    os.close(file)
    unlink.join()
print(os.listdir(directory))
`;

/** Ranges behind the end of the file: nothing is there to take away. */
const PUNCH_BEHIND_END = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
os.write(file, b'x' * 50)
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
ends = []
for mode in (PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE):
    failed = libc.fallocate(file, mode, ctypes.c_long(1000), ctypes.c_long(10))
    ends.append((ctypes.get_errno() if failed else 0, os.fstat(file).st_size))
os.close(file)
with open(sys.argv[1], 'rb') as again:
    print(*ends, again.read() == b'x' * 50 + bytes(960))
`;

for (const mode of WRITE_MODES) {
  suite(`writers in a directory that moves, write mode ${mode}`, { skip, timeout: 300_000 }, () => {
    const cleanup = lastFirst(after);
    let cluster: TestCluster;
    let mount: TestMount;

    before(async () => {
      const pageSizeBytes = TEST_PAGE_SIZE_BYTES;
      cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes });
      const work = await makeTempDir(cleanup, 'moving');
      const flags = [
        ...writableFlags(join(work, 'staging'), mode),
        '--upload-strategy',
        'temporary-and-copy',
      ];
      mount = await mountForTest(cleanup, cluster.info, { flags });
    });

    test('everything is under the new name', async () => {
      const [old, moved] = ['old', 'new'].map((name) => mount.path(cluster.name, name));
      assert.ok(old !== undefined && moved !== undefined);
      await shell(`mkdir "$1"; for i in $(seq ${FILES}); do echo $i >"$1/$i"; done; sync "$1"`, [
        old,
      ]);
      const said = await output('python3', ['-c', WRITE_WHILE_MOVED, old, moved]);
      assert.equal(said.trim(), 'True ok ok ok ok ok ok ok ok');
      const look =
        'cat "$1/log" "$1/link"; ls "$1" | wc -l; stat -c %a "$1/private"; ' +
        'test -d "$1/sub" && test ! -e "$1/gone" && test ! -e "$2"';
      const told = await output('sh', ['-c', look, '-', moved, old]);
      // With log, made, sub, link and private.
      assert.equal(told.replace(/\s/g, ''), `afternew${FILES + 5}600`);
    });

    test('a file that is removed while it is closed does not come back', async () => {
      const directory = mount.path(cluster.name, 'removed');
      assert.equal(await output('python3', ['-c', UNLINK_WHILE_CLOSED, directory]), '[]\n');
    });

    test('a range behind the end of a file is zeros, or nothing', async () => {
      const path = mount.path(cluster.name, 'punched');
      const said = await output('python3', ['-c', PUNCH_BEHIND_END, path]);
      assert.equal(said, '(0, 50) (0, 1010) True\n');
    });

    test('the under store has what the mount shows', async () => {
      const sums = await storedAs(mount, mount.path(cluster.name), cluster.sourceDir);
      assert.equal(sums.stored, sums.mounted);
      await mount.unmount();
    });
  });
}
