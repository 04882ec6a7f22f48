/**
 * Goal: names that a rule file makes lead to the files of the cluster, in a mount and in commands, and
 * the owner asked is that of the file itself.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { commandEnvironment, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { alluxioFuse, clusterFlags, missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { output, run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('diff', 'getfattr', 'cat', 'ls');

const RULES = {
  rules: [
    { src: '^/views/(\\d{4})-(\\d{2})/(.*)$', dst: '/log/{{ var1 }}/{{ var2 }}/{{ var3 }}' },
    { src: '^/latest$', dst: '/log/2026/11/f' },
  ],
  virtualDirectories: ['/views/2026-11', '/views/2026-10/'],
};

suite('a name space of path rules', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let mount: TestMount;
  let work = '';
  let data = '';
  let rules = '';

  before(async () => {
    work = await makeTempDir(cleanup, 'rules');
    data = join(work, 'data');
    for (const month of ['10', '11']) {
      const dir = join(data, 'log', '2026', month);
      await mkdir(join(dir, 'deep', 'er'), { recursive: true });
      await writeFile(join(dir, 'f'), sampleBytes(300_000, Number(month)));
      await writeFile(join(dir, 'deep', 'er', 'g'), `in ${month}`);
    }
    rules = join(work, 'rules.json');
    await writeFile(rules, JSON.stringify(RULES));
    cluster = await startTestDevcluster(cleanup, { dataDir: data });
    mount = await mountForTest(cleanup, cluster.info, { flags: ['--path-rules', rules] });
  });

  test('virtual directories show, and lead to the real ones', async () => {
    assert.equal(await output('ls', ['-F', mount.mountpoint]), 'log/\nviews/\n');
    assert.equal(await output('ls', ['-F', mount.path('views')]), '2026-10/\n2026-11/\n');
    for (const month of ['10', '11']) {
      await output('diff', [
        '-r',
        join(data, 'log', '2026', month),
        mount.path('views', `2026-${month}`),
      ]);
    }
    await output('cmp', [join(data, 'log', '2026', '11', 'f'), mount.path('latest')]);
    await output('diff', ['-r', join(data, 'log'), mount.path('log')]);
    const { code, err } = await run('cat', [mount.path('views', '2025-01', 'f')]);
    assert.deepEqual([code, /No such file/.test(err)], [1, true]);
  });

  test('files are asked of the owners of what they really are', async () => {
    const attributesOf = async (...parts: string[]): Promise<string> => {
      const pattern = String.raw`user.alluxio.(ufs_path|worker)`;
      const told = await output('getfattr', ['-d', '-m', pattern, mount.path(...parts)]);
      return told.split('\n').slice(1).join('\n');
    };
    const real = await attributesOf('log', '2026', '11', 'f');
    assert.match(real, /file:.*\/log\/2026\/11\/f"/);
    assert.equal(await attributesOf('views', '2026-11', 'f'), real);
    assert.equal(await attributesOf('latest'), real);
    const { cluster: seen } = await mount.status();
    assert.equal(seen?.ufsRootMismatch, undefined);
  });

  test('commands see the same, and change nothing', async () => {
    const staging = await makeTempDir(cleanup, 'staging');
    const env = { ...commandEnvironment(cluster, staging), ALLUXIO_FUSE_PATH_RULES: rules };
    const ls = await alluxioFuse(['fs', 'ls', '/views/2026-11'], { env });
    assert.equal(ls.out, 'deep\nf\n', ls.err);
    const cat = await alluxioFuse(['fs', 'cat', '/views/2026-10/deep/er/g'], { env });
    assert.equal(cat.out, 'in 10', cat.err);
    const touch = await alluxioFuse(['fs', 'touch', '/views/2026-10/new'], { env });
    assert.notEqual(touch.code, 0);
    assert.match(touch.err, /names are only read/);
    for (const flags of [['-r'], ['-r', '--alluxio-only'], ['-r', '--sync-parent-next-time']]) {
      const rm = await alluxioFuse(['fs', 'rm', ...flags, '/views/2026-10'], { env });
      assert.match(rm.err, /names are only read/, flags.join(' '));
    }
  });

  test('what cannot be is refused with its reason', async () => {
    const mountpoint = join(work, 'mnt');
    await mkdir(mountpoint);
    const wrong = join(work, 'wrong.json');
    await writeFile(wrong, '{"rules":[{"src":"^/a$","dst":"b"}]}');
    const flags = clusterFlags(cluster.info);
    const own = ['--state-dir', join(work, 'state'), '--staging-dir', join(work, 'staging')];
    for (const [args, pattern] of [
      [[...flags, '--path-rules', wrong], /--path-rules: Path rule 1 .* begin with a slash/],
      [[...flags, '--path-rules', `${wrong}.none`], /path-rules.*cannot be read/],
      [[...flags, '--no-read-only', '--path-rules', rules], /add --read-only/],
    ] as const) {
      const { code, err } = await alluxioFuse(['mount', mountpoint, ...args, ...own]);
      assert.notEqual(code, 0);
      assert.match(err, pattern);
    }
  });

  test('without workers the under store serves the same names', async () => {
    for (const worker of cluster.workers) await worker.kill();
    const unread = join(data, 'log', '2026', '10', 'unread');
    await writeFile(unread, sampleBytes(100_000, 3));
    await output('cmp', [unread, mount.path('views', '2026-10', 'unread')]);
    assert.ok((await mount.metric('alluxio_fuse_under_store_fallbacks_total')) > 0);
    await mount.unmount();
  });
});
