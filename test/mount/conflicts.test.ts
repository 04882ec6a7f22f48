/**
 * Goal: two mounts of one cluster that change one file never make a mix of both, and never lose what
 * the other was told is safe; and names that are kept for the mount cannot be taken.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { after, before, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { output } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { hasDiskCache, writableFlags, WRITE_MODES } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');
const TURNS = 6;
/** An upload that failed is tried again after two seconds, and after four. */
const RETRIES_MS = 7_000;

/** Opens FILE with the flags, writes TEXT at OFFSET (-1: where the flags say), and says how it ended. */
const WRITE = `
import errno, os, sys
path, flags, offset, text = sys.argv[1:]
try:
    fd = os.open(path, eval(flags), 0o644)
    data = text.encode()
    os.write(fd, data) if offset == '-1' else os.pwrite(fd, data, int(offset))
    os.close(fd)
    print('ok')
except OSError as error:
    print(errno.errorcode[error.errno])
`;
/** Keeps MINE open over a change that is lost, while others go on with the file; one word a step. */
const HOLD = `
import errno, os, sys
mine, theirs, spare = sys.argv[1:]
def tried(act):
    try:
        return act() or 'ok'
    except OSError as error:
        return errno.errorcode[error.errno]
def read():
    with open(mine) as file:
        return file.read()
fd = os.open(mine, os.O_WRONLY)
os.pwrite(fd, b'Z', 3)
with open(theirs, 'w') as file:
    file.write('abcdefghijkl')
steps = [tried(lambda: os.fsync(fd)), tried(lambda: os.fsync(fd)), tried(lambda: os.pwrite(fd, b'Y', 4) and None)]
steps.append(tried(lambda: os.chmod(mine, 0o600)))
seen = tried(read)
steps.append(tried(read) if seen == 'ESTALE' else seen)
steps.append(oct(os.stat(mine).st_mode & 0o777))
with open(spare, 'w') as file:
    file.write('new')
steps.append(tried(lambda: os.rename(spare, mine)))
steps.append(tried(read))
steps.append(tried(lambda: os.close(fd)))
print(' '.join(steps))
`;
const FSYNC = 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDONLY))';

for (const mode of WRITE_MODES) {
  suite(`two mounts of one cluster, write mode ${mode}`, { skip, timeout: 600_000 }, () => {
    const cleanup = lastFirst(after);
    let cluster: TestCluster;
    let one: TestMount;
    let other: TestMount;

    before(async () => {
      const pageSizeBytes = TEST_PAGE_SIZE_BYTES;
      cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes });
      const work = await makeTempDir(cleanup, 'conflicts');
      one = await mountForTest(cleanup, cluster.info, {
        flags: writableFlags(join(work, 'one'), mode),
        hasDiskCache: hasDiskCache(mode),
      });
      other = await mountForTest(cleanup, cluster.info, {
        flags: writableFlags(join(work, 'other'), 'through'),
      });
    });

    const write = async (path: string, flags: string, offset: number, text: string) =>
      (await output('python3', ['-c', WRITE, path, flags, String(offset), text])).trim();
    const stored = (name: string): string => readFileSync(join(cluster.sourceDir, name), 'utf8');

    test('attributes of the root are kept where no mount was before', async () => {
      const directory = one.path('dated');
      await output('mkdir', [directory]);
      await output('touch', ['-d', '2001-01-01', directory]);
      await output('chmod', ['700', one.path()]);
      await output('python3', ['-c', FSYNC, one.path()]);
      const root = join(cluster.sourceDir, '..', '.alluxio-fuse', 'attributes');
      assert.match(readFileSync(root, 'utf8'), /"dated"/);
      await output('chmod', ['755', one.path()]);
    });

    test('what was begun from a version that is gone is refused, and not tried again', async () => {
      const begun = { change: [] as string[], append: [] as string[] };
      for (let turn = 0; turn < TURNS; turn += 1) {
        for (const what of ['change', 'append'] as const) {
          const name = `${what}-${turn}`;
          const [mine, theirs] = [one, other].map((mount) => mount.path(cluster.name, name));
          assert.ok(mine !== undefined && theirs !== undefined);
          assert.equal(await write(mine, 'os.O_CREAT | os.O_WRONLY', -1, '0123456789'), 'ok');
          await output('sync', [mine]);
          await output('cat', [theirs]);
          assert.equal(await write(theirs, 'os.O_WRONLY | os.O_TRUNC', -1, 'abcdefghijkl'), 'ok');
          const outcome =
            what === 'change'
              ? await write(mine, 'os.O_WRONLY', 3, 'Z')
              : await write(mine, 'os.O_WRONLY | os.O_APPEND', -1, '###');
          begun[what].push(outcome);
        }
      }
      await pause(RETRIES_MS);
      for (let turn = 0; turn < TURNS; turn += 1) {
        // Where it was told that all is well, it had seen the other's bytes; it never mixes the two.
        const changed = begun.change[turn] === 'ok' ? 'abcZefghijkl' : 'abcdefghijkl';
        assert.equal(stored(`change-${turn}`), changed, begun.change[turn]);
        const appended = begun.append[turn] === 'ok' ? 'abcdefghijkl###' : 'abcdefghijkl';
        assert.equal(stored(`append-${turn}`), appended, begun.append[turn]);
        for (const mount of [one, other]) {
          const path = mount.path(cluster.name, `append-${turn}`);
          assert.equal(await output('cat', [path]).catch(() => output('cat', [path])), appended);
        }
      }
      // Else nothing was shown here.
      assert.ok([...begun.change, ...begun.append].includes('ESTALE'), JSON.stringify(begun));
    });

    test('whoever lost a change is told at every turn, and nobody else', async () => {
      const [mine, theirs, spare] = [
        one.path(cluster.name, 'held'),
        other.path(cluster.name, 'held'),
        one.path(cluster.name, 'spare'),
      ];
      assert.equal(await write(mine, 'os.O_CREAT | os.O_WRONLY', -1, '0123456789'), 'ok');
      await output('sync', [mine]);
      await output('cat', [theirs]);
      const said = (await output('python3', ['-c', HOLD, mine, theirs, spare])).trim();
      assert.equal(said, 'ESTALE ESTALE ESTALE ok abcdefghijkl 0o600 ok new ESTALE');
    });

    test('names of the mount itself are refused when they are opened, and nothing stays', async () => {
      for (const name of ['.alluxio-fuse-attributes', '.alluxio-fuse-uploads']) {
        const path = one.path(cluster.name, name);
        assert.equal(await write(path, 'os.O_CREAT | os.O_WRONLY', -1, 'x'), 'EACCES');
      }
      assert.equal(
        await write(one.path('.alluxio-fuse'), 'os.O_CREAT | os.O_WRONLY', -1, 'x'),
        'EACCES',
      );
      const { writes } = await one.status();
      assert.equal(writes?.unsavedFiles, 0);
    });

    test('both are taken away without a word', async () => {
      for (const mount of [one, other]) {
        assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
        await mount.unmount();
      }
    });
  });
}
