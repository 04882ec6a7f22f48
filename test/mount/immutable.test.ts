/**
 * Goal: a mount of data that does not change tells us nothing of opens, answers re-reading without a
 * message, and still gives no wrong byte: not after a restart of the daemon, and not where the data was
 * changed all the same.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
import { makeTempDir } from '../support/temp-dir.ts';
import { makeTree, sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const PAGE_BYTES = 256 * 1024;
const FILES = 60;
const MANY = 2500;
const PHASE_MS = 60_000;

/** Reads a piece at the start of a file, waits for a sign, reads another; prints how that went. */
const READER = `
import errno, os, sys, time
path, offset = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
os.pread(fd, 4096, 0)
print("read", flush=True)
while not os.path.exists(sys.argv[3]):
    time.sleep(0.02)
try:
    print(len(os.pread(fd, 4096, offset)))
except OSError as error:
    print(errno.errorcode[error.errno])
`;

const calls = async (mount: TestMount, method: string): Promise<number> =>
  await mount.metric('alluxio_fuse_result_total', { method: `Fuse.${method}` });

suite('a mount of immutable data', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  const names: string[] = [];

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { pageSizeBytes: PAGE_BYTES });
    const entries: Record<string, number> = { 'tree/empty': 0 };
    for (let i = 0; i < FILES; i++) entries[`tree/d${i % 4}/f${i}`] = 1000 + i * 23_456;
    for (let i = 0; i < MANY; i++) entries[`many/f${i}`] = 1;
    await makeTree(cluster.dataDir, { entries });
    names.push(...Object.keys(entries).filter((name) => name.startsWith('tree/d')));
  });

  const mountOf = async (context: TestContext, ...flags: string[]): Promise<TestMount> => {
    const undo = lastFirst((work) => context.after(work));
    return await mountForTest(undo, cluster.info, { flags: ['--immutable', ...flags] });
  };

  const compare = async (mount: TestMount): Promise<void> => {
    await output('diff', ['-r', join(cluster.dataDir, 'tree'), mount.path('tree')]);
  };

  test('the second reading of a tree costs no open, no read and no close', async (context) => {
    const mount = await mountOf(context);
    await compare(mount);
    // Only the first open of a file is asked for: its answer holds for all.
    const opens = await calls(mount, 'Open');
    assert.ok(opens <= 4, `${opens} opens`);
    const first = { reads: await calls(mount, 'Read'), lookups: await calls(mount, 'Lookup') };
    await compare(mount);
    assert.equal(await calls(mount, 'Open'), opens);
    assert.equal(await calls(mount, 'Read'), first.reads);
    assert.equal(await calls(mount, 'Lookup'), first.lookups);
    assert.equal(await calls(mount, 'Release'), 0);
    const { inodes, lastErrors } = await mount.status();
    assert.deepEqual(
      { openHandles: inodes.openHandles, lastErrors },
      { openHandles: 0, lastErrors: [] },
    );
    await mount.unmount();
  });

  test('it is read-only, and what reads other than a read works', async (context) => {
    const mount = await mountOf(context);
    const { code, err } = await run('touch', [mount.path('tree', 'new')]);
    assert.notEqual(code, 0);
    assert.match(err, /Read-only file system/);
    const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(fd).st_size
os.fsync(fd)
assert os.lseek(fd, 5, os.SEEK_DATA) == 5 and os.lseek(fd, 5, os.SEEK_HOLE) == size
assert mmap.mmap(fd, 0, prot=mmap.PROT_READ)[:] == open(sys.argv[2], "rb").read()
`;
    const name = names.at(-1) ?? '';
    await output('python3', ['-c', script, mount.path(name), join(cluster.dataDir, name)]);
    await mount.unmount();
  });

  test('files are found again after the daemon was killed', async (context) => {
    const undo = lastFirst((work) => context.after(work));
    const mount = await mountForTest(undo, cluster.info, { flags: ['--immutable'] });
    await compare(mount);
    const readers = new Readers(undo, {
      count: 4,
      sourceDir: cluster.dataDir,
      mountedDir: mount.mountpoint,
      files: names,
      seed: 3,
    });
    await readers.progress(10, PHASE_MS);
    for (let kills = 0; kills < 3; kills++) {
      const { restarts, daemonPid } = await mount.status();
      process.kill(daemonPid ?? 0, 'SIGKILL');
      await waitFor(
        'another daemon',
        async () => {
          const status = await mount.status();
          return status.restarts === restarts + 1 && status.cluster !== undefined;
        },
        PHASE_MS,
      );
      await readers.progress(10, PHASE_MS);
      await compare(mount);
    }
    await readers.stop();
    context.diagnostic(readers.describe());
    readers.assertNoErrors();
    // The kernel still knows that nobody wants to hear of opens.
    assert.equal(await calls(mount, 'Release'), 0);
    await mount.unmount();
  });

  test('a file that changes is stale to who reads it, new to who opens it, and reported', async (context) => {
    const undo = lastFirst((work) => context.after(work));
    const name = 'changing/file';
    const old = sampleBytes(8 * PAGE_BYTES, 1);
    const changed = sampleBytes(8 * PAGE_BYTES, 2);
    await mkdir(join(cluster.dataDir, 'changing'), { recursive: true });
    await writeFile(join(cluster.dataDir, name), old);
    const mount = await mountOf(context, '--max-read-ahead', '0');
    // Changes that go through Alluxio are seen; those behind its back are seen by nobody.
    const staging = join(await makeTempDir(undo, 'staging'), 'staging');
    const other = await mountForTest(undo, cluster.info, {
      flags: writableFlags(staging, 'through'),
    });
    const go = join(await makeTempDir(undo, 'go'), 'go');
    const args = [READER, mount.path(name), String(6 * PAGE_BYTES), go];
    const reading = run('python3', ['-c', ...args]);
    await waitFor('the first read', async () => (await calls(mount, 'Read')) > 0, PHASE_MS);
    await output('dd', [`of=${other.path(name)}`, 'bs=1M'], { input: changed });
    await writeFile(go, '');
    const { out, err } = await reading;
    assert.deepEqual(out.trim().split('\n'), ['read', 'ESTALE'], err);
    const shown = mount.path(name);
    await waitFor(
      'the new version',
      async () => (await run('cmp', ['-', shown], { input: changed })).code === 0,
      PHASE_MS,
    );
    const { lastErrors } = await mount.status();
    assert.ok(
      lastErrors.some(({ reason }) => reason.includes('immutable')),
      JSON.stringify(lastErrors),
    );
    await other.unmount();
    await mount.unmount();
  });

  test('the kernel still gives inodes back past --max-inodes', async (context) => {
    const mount = await mountOf(context, '--max-inodes', '1000');
    const list = async (): Promise<string> =>
      await output('bash', ['-c', 'cat -- * | wc -c'], { cwd: mount.path('many') });
    assert.equal((await list()).trim(), String(MANY));
    await waitFor(
      'inodes to be given back',
      async () => (await mount.status()).inodes.known <= 1000,
      PHASE_MS,
    );
    assert.equal((await list()).trim(), String(MANY));
    await compare(mount);
    await mount.unmount();
  });
});
