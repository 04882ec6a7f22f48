/**
 * Goal: a cluster with several under stores, as Enterprise has them, is one name space: each file is
 * found at its owner, under the id that the workers know, and its under store serves it without them.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AlluxioFileSystem } from '../../src/client/index.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { commandEnvironment, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { alluxioFuse, clusterFlags, missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { output, run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SECRET = 'devcluster-secret-key';
const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('diff', 'getfattr', 'cat', 'ls');

suite('a cluster with two under stores and none at the root', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let mount: TestMount;
  let work = '';
  let env: Readonly<Record<string, string>> = {};

  before(async () => {
    work = await makeTempDir(cleanup, 'mounts');
    for (const name of ['one', 'two', 'local']) {
      const dir = join(work, name, 'sub');
      await mkdir(dir, { recursive: true });
      await writeFile(join(dir, 'f'), sampleBytes(200_000, name.length));
      await writeFile(join(work, name, `in ${name}`), name);
    }
    cluster = await startTestDevcluster(cleanup, {
      personality: 'enterprise',
      mounts: { '/s3': join(work, 'one'), '/data': join(work, 'two') },
    });
    env = commandEnvironment(cluster, await makeTempDir(cleanup, 'staging'));
    mount = await mountForTest(cleanup, cluster.info);
    // So that commands find the mount.
    env = { ...env, ALLUXIO_FUSE_STATE_DIR: mount.stateDir };
  });

  const cli = (...args: string[]) => run(process.execPath, [MAIN, ...args], { env });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await cli(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${err}`);
    assert.ok(!`${out}${err}`.includes(SECRET));
    return out;
  };

  test('the root holds the mount points, and each of them its files', async () => {
    assert.equal(await output('ls', ['-F', mount.mountpoint]), 'data/\ns3/\n');
    await output('diff', ['-r', join(work, 'one'), mount.path('s3')]);
    await output('diff', ['-r', join(work, 'two'), mount.path('data')]);
    for (const missing of [['nowhere'], ['s3', 'nowhere'], ['nowhere', 'at', 'all']]) {
      const { code, err } = await run('cat', [mount.path(...missing)]);
      assert.deepEqual([code, /No such file/.test(err)], [1, true]);
    }
  });

  test('files are found at their owners under their ids', async () => {
    const file = mount.path('s3', 'sub', 'f');
    const attributeOf = async (name: string): Promise<string> =>
      await output('getfattr', ['--only-values', '-n', `user.alluxio.${name}`, file]);
    assert.equal(await attributeOf('ufs_path'), `file://${join(work, 'one', 'sub', 'f')}`);
    const query = new URLSearchParams({ path: `file://${join(work, 'one', 'sub', 'f')}` });
    const { host, httpPort } = cluster.info.workers[0] ?? { host: '', httpPort: 0 };
    const node = await fetch(`http://${host}:${httpPort}/v1/node?${query.toString()}`);
    const { Host: owner } = (await node.json()) as { Host: string };
    const { id } = cluster.info.workers.find((worker) => worker.host === owner) ?? {};
    assert.equal(await attributeOf('worker'), id);
    for (const name of ['under_store_fallbacks', 'inexpressible_names']) {
      assert.equal(await mount.metric(`alluxio_fuse_${name}_total`), 0, name);
    }
    const { cluster: seen } = await mount.status();
    assert.equal(seen?.ufsRootMismatch, undefined);
    const root = await run('getfattr', ['-n', 'user.alluxio.ufs_path', mount.mountpoint]);
    assert.match(root.err, /No such attribute/);
  });

  test('a mount in the wrong place is found out, and its under store left alone', async () => {
    const map = `/s3=file://${join(work, 'local')},/data=file://${join(work, 'two')}`;
    const wrong = await mountForTest(cleanup, cluster.info, { map });
    const right = `--map /s3=file://${join(work, 'one')}`;
    const mismatch = async () => (await wrong.status()).cluster?.ufsRootMismatch;
    // Nobody has to read a file before.
    const seen = await waitFor('the mismatch to be seen', mismatch);
    assert.ok(seen.endsWith(right), seen);
    await output('diff', ['-r', join(work, 'one'), wrong.path('s3')]);
    await wrong.unmount();
  });

  test('the mounts can be left to the cluster, whose secrets stay with it', async () => {
    const told = await mountForTest(cleanup, cluster.info, { map: 'cluster' });
    await output('diff', ['-r', join(work, 'two'), told.path('data')]);
    const { daemonPid = 0 } = await told.status();
    // The next daemon knows them from the one before it.
    process.kill(daemonPid, 'SIGKILL');
    await waitFor('a new daemon', async () => (await told.status()).daemonPid !== daemonPid);
    assert.equal(await output('ls', [told.mountpoint]), 'data\ns3\n');
    assert.ok(!(await told.logText()).includes(SECRET));
    assert.equal((await told.status()).cluster?.ufsRootMismatch, undefined);
    await told.unmount();
  });

  test('what the cluster mounts, moves and unmounts later is followed', async () => {
    const flags = ['--map-refresh=1s', '--attr-timeout=1s', '--entry-timeout=1s'];
    const timeouts = [...flags, '--negative-timeout=0s'];
    const told = await mountForTest(cleanup, cluster.info, { map: 'cluster', flags: timeouts });
    const fs = await AlluxioFileSystem.open({
      etcdHosts: `${cluster.info.etcdHost}:${cluster.info.etcdPort}`,
      mounts: 'cluster',
      env: { ...env, ALLUXIO_FUSE_MAP: undefined, ALLUXIO_FUSE_MAP_REFRESH: '1s' },
    });
    cleanup(() => fs.close());
    const { daemonPid } = await told.status();
    const [one, two, local] = ['one', 'two', 'local'].map((name) => join(work, name));
    const first = { '/s3': one ?? '', '/data': two ?? '' };
    assert.equal((await run('ls', [told.path('more')])).code, 2);
    const waitForList = async (names: string): Promise<void> => {
      // A directory that is open while the daemon is replaced may be stale once.
      const list = async () => (await run('ls', [told.mountpoint])).out === names;
      await waitFor(`${names.trim()} to show`, list);
    };

    // Something new: everybody goes on, with what they have cached.
    await cluster.setMounts({ ...first, '/more': local ?? '' });
    await waitForList('data\nmore\ns3\n');
    await output('diff', ['-r', local ?? '', told.path('more')]);
    assert.equal((await told.status()).daemonPid, daemonPid);
    const paths = async (): Promise<string[]> => await fs.ls('/', { detail: false });
    await waitFor('the library to know', async () => (await paths()).includes('/more'));
    assert.equal(String(await fs.read('/more/in local')), 'local');

    // The same path, elsewhere: the files have the same length and time, and other bytes.
    const [here, there] = [join(one ?? '', 'sub', 'f'), join(local ?? '', 'sub', 'f')];
    await output('touch', ['-r', here, there]);
    assert.equal((await run('cmp', [here, told.path('s3', 'sub', 'f')])).code, 0);
    await cluster.setMounts({ '/s3': local ?? '', '/data': two ?? '' });
    await waitForList('data\ns3\n');
    const isOther = async () => (await run('cmp', [there, told.path('s3', 'sub', 'f')])).code === 0;
    await waitFor('the other file', isOther);
    await output('diff', ['-r', local ?? '', told.path('s3')]);
    const status = await told.status();
    assert.notEqual(status.daemonPid, daemonPid);
    assert.equal(status.cluster?.ufsRootMismatch, undefined);
    await waitFor('the library to know', async () => !(await paths()).includes('/more'));
    assert.deepEqual(fs.client.mounts(), [
      { path: '/data', ufs: `file://${two}` },
      { path: '/s3', ufs: `file://${local}` },
    ]);
    assert.ok(!(await told.logText()).includes(SECRET));

    await cluster.setMounts(first);
    await fs.close();
    await told.unmount();
  });

  test('without a root there is no place for what only a writable mount needs', async () => {
    const mountpoint = join(work, 'mnt');
    await mkdir(mountpoint);
    const flags = clusterFlags(cluster.info).filter((flag) => flag !== '--read-only');
    const args = ['mount', mountpoint, ...flags, '--staging-dir', join(work, 'staging')];
    const { code, err } = await alluxioFuse([...args, '--state-dir', join(work, 'state')]);
    assert.notEqual(code, 0);
    assert.match(err, /without an under store mounted at \/ can only be mounted with --read-only/);
  });

  test('commands see the same name space, and change it', async () => {
    assert.equal(await ok('fs', 'ls', '/'), 'data\ns3\n');
    const table = JSON.parse(await ok('info', 'mounts', '--json')) as object;
    const ufs = (name: string): string => `file://${join(work, name)}`;
    const mounts = [
      { path: '/data', ufs: ufs('two') },
      { path: '/s3', ufs: ufs('one') },
    ];
    assert.deepEqual(table, { from: 'cluster', mounts });
    const uri = `file://${join(work, 'two', 'sub', 'f')}`;
    const mounted = mount.path('data', 'sub', 'f');
    for (const given of ['/data/sub/f', uri, mounted]) {
      const location = await ok('fs', 'location', given);
      const expected = `^path: /data/sub/f\nufs: ${uri}\nmount: ${mounted}\nworker: `;
      assert.match(location, new RegExp(expected));
    }
    await ok('fs', 'upload', join(work, 'local', 'sub', 'f'), '/s3/up/f');
    await output('cmp', [join(work, 'local', 'sub', 'f'), join(work, 'one', 'up', 'f')]);
    await ok('fs', 'mv', '/s3/up/f', '/data/f');
    assert.deepEqual(
      await readFile(join(work, 'two', 'f')),
      await readFile(join(work, 'local', 'sub', 'f')),
    );
    assert.equal((await cli('fs', 'test', '/s3/up/f')).code, 1);
    const refused = [
      ['rm', '-r', '/s3'],
      ['rm', '-r', '--sync-parent-next-time', '/s3'],
      ['mv', '/s3', '/data/s3'],
      ['mkdir', '/new'],
      ['touch', '/s3'],
      ['touch', '/new'],
    ];
    for (const args of refused) {
      const { code, err } = await cli('fs', ...args);
      assert.notEqual(code, 0, `${args.join(' ')}\n${err}`);
    }
    // Nothing of it is left to be done: the next change is quick, and says nothing.
    const next = await cli('fs', 'mkdir', '/s3/next');
    assert.deepEqual([next.code, next.err], [0, '']);
    assert.equal(await readFile(join(work, 'one', 'in one'), 'utf8'), 'one');
    const elsewhere = await cli('fs', 'cat', `file://${join(work, 'local', 'in local')}`);
    assert.match(elsewhere.err, /none of the under stores/);
  });

  test('without any worker, each under store serves what lies below its mount', async () => {
    await Promise.all(cluster.workers.map((worker) => worker.kill()));
    const without = await mountForTest(cleanup, cluster.info, {
      flags: ['--request-timeout', '20s'],
    });
    assert.equal(await output('cat', [without.path('s3', 'in one')]), 'one');
    assert.equal(await output('cat', [without.path('data', 'in two')]), 'two');
    assert.equal(await output('ls', [without.mountpoint]), 'data\ns3\n');
    await without.unmount();
    await mount.unmount();
  });
});
