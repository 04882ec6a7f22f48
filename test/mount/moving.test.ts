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
maker = threading.Thread(target=lambda: tried('create', create))
maker.start()
tried('close', lambda: os.close(log))
maker.join()
rename.join()
print(*(results[name] for name in ('moving', 'rename', 'close', 'create')))
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
      assert.equal(said.trim(), 'True ok ok ok');
      const read = [
        '-c',
        'cat "$1/log" "$1/made"; ls "$1" | wc -l; test ! -e "$2"',
        '-',
        moved,
        old,
      ];
      assert.equal((await output('sh', read)).replace(/\s/g, ''), `afternew${FILES + 2}`);
      const sums = await storedAs(mount, mount.path(cluster.name), cluster.sourceDir);
      assert.equal(sums.stored, sums.mounted);
      await mount.unmount();
    });
  });
}
