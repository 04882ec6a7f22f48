// `fs`, `info` and `job` as people run them: the real program on a devcluster, in processes of their own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { commandEnvironment, faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { run, type Finished } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SUITE_MS = 450_000;

describe('commands on a cluster', { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
  const cleanup = lastFirst(after);
  let cluster: Devcluster;
  let env: Readonly<Record<string, string>> = {};
  let local = '';

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    local = await makeTempDir(cleanup, 'local');
    env = commandEnvironment(cluster, await makeTempDir(cleanup, 'staging'));
  });

  const cli = (...args: string[]): Promise<Finished> =>
    run(process.execPath, [MAIN, ...args], { env, cwd: local });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await cli(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${err}`);
    return out;
  };

  test('files go up, are listed, read, checked, copied, moved, and come down again', async () => {
    const content = sampleBytes(300_000, 3);
    await mkdir(join(local, 'tree/sub'), { recursive: true });
    await writeFile(join(local, 'tree/big'), content);
    await writeFile(join(local, 'tree/sub/small'), 'small\n');
    await ok('fs', 'mkdir', '-p', '/b/x');
    assert.match(await ok('fs', 'upload', '-r', 'tree', '/b/x'), /^2 files/);
    assert.equal(await ok('fs', 'ls', '/b/x/tree'), 'big\nsub\n');
    assert.equal(await ok('fs', 'cat', '/b/x/tree/sub/small'), 'small\n');
    const md5 = createHash('md5').update(content).digest('hex');
    assert.equal(await ok('fs', 'checksum', '/b/x/tree/big'), `${md5}  /b/x/tree/big\n`);
    assert.match(
      await ok('fs', 'cp', '-r', '--resume', '-T', 'local:tree', '/b/x/tree'),
      /^0 files.* 2 there already/,
    );
    await ok('fs', 'cp', '-r', '/b/x/tree', '/b/copy');
    await ok('fs', 'mv', '/b/copy', '/b/x');
    const listed = await ok('fs', 'find', '/b/x', '--type', 'f', '--min-size', '100KB');
    assert.deepEqual(listed.trim().split('\n').sort(), ['/b/x/copy/big', '/b/x/tree/big']);
    await ok('fs', 'upload', '-r', 'tree/big', '/b/alone');
    await ok('fs', 'download', '-r', '/b/alone', 'alone');
    assert.deepEqual(await readFile(join(local, 'alone')), content);
    await ok('fs', 'download', '-r', '/b/x/copy', 'down');
    assert.deepEqual(await readFile(join(local, 'down/big')), content);
    assert.deepEqual((await readdir(join(local, 'down'))).sort(), ['big', 'sub']);
    const usage = JSON.parse(await ok('fs', 'du', '--json', '/b/x/copy')) as object;
    assert.deepEqual(usage, { path: '/b/x/copy', size: 300_006, files: 2, directories: 1 });
    await ok('fs', 'rm', '-R', '/b/x/copy');
    const missing = await cli('fs', 'stat', '--json', '/b/x/copy');
    assert.equal(missing.code, 1);
    const { error } = JSON.parse(missing.err) as { error: Record<string, string> };
    assert.deepEqual([error['code'], error['path']], ['not-found', '/b/x/copy']);
  });

  test('what was downloaded is left alone by the next one, to the millisecond', async () => {
    await writeFile(join(local, 'dated'), 'dated\n');
    for (const [i, ms] of [
      1_577_934_245_678, 1_577_934_245_679, -300_818_232_482, 3_000,
    ].entries()) {
      await utimes(join(local, 'dated'), new Date(ms), new Date(ms));
      await ok('fs', 'upload', 'dated', `/b/dated-${i}`);
      const down = ['fs', 'download', '--resume', '-T', `/b/dated-${i}`, `dated-${i}`];
      assert.match(await ok(...down), /^1 files/);
      assert.match(await ok(...down), /^0 files, .* 1 there already/, String(ms));
    }
  });

  test('what cannot be read here is told, and the rest is uploaded', async () => {
    await mkdir(join(local, 'odd/sub'), { recursive: true });
    await writeFile(join(local, 'odd/sub/file'), 'file\n');
    await symlink('nowhere', join(local, 'odd/dangling'));
    await symlink('..', join(local, 'odd/sub/loop'));
    await run('mkfifo', [join(local, 'odd/pipe')]);
    const { code, out, err } = await cli('fs', 'upload', '-r', '-T', 'odd', '/b/odd');
    assert.equal(code, 1);
    assert.match(out, /^1 files, .* 3 left out$/m);
    for (const name of ['odd/dangling', 'odd/sub/loop', 'odd/pipe']) {
      assert.ok(err.includes(join(local, name)), `${name} in ${err}`);
    }
    assert.equal(await ok('fs', 'cat', '/b/odd/sub/file'), 'file\n');
    assert.equal(await ok('fs', 'find', '/b/odd'), '/b/odd/sub\n/b/odd/sub/file\n');
  });

  test('of several paths each is done, and the first failure is the exit code', async () => {
    await ok('fs', 'touch', '/b/first', '/b/third');
    const { code, out, err } = await cli('fs', 'cat', '/b/dated-0', '/b/second', '/b/dated-1');
    assert.deepEqual([code, out], [1, 'dated\ndated\n']);
    assert.match(err, /\/b\/second/);
    assert.equal((await cli('fs', 'rm', '/b/first', '/b/second', '/b/third')).code, 1);
    for (const path of ['/b/first', '/b/third']) {
      assert.equal((await cli('fs', 'test', path)).code, 1, path);
    }
    const moved = await cli('fs', 'mv', '/b/dated-0', '/b/no/such');
    assert.match(moved.err, /\/b\/no\/such: The directory \/b\/no does not exist/);
    const made = await cli('fs', 'mkdir', '/b/no/such');
    assert.match(made.err, /\/b\/no\/such: The directory \/b\/no does not exist/);
    for (const args of [
      ['cp', '/b/dated-0', '/b/none/'],
      ['mv', '/b/dated-0', '/b/none/'],
      ['upload', 'dated', '/b/none/'],
      ['download', '/b/dated-0', 'none/'],
    ]) {
      const slash = await cli('fs', ...args);
      assert.deepEqual([slash.code, /none\/: It is not a directory/.test(slash.err)], [1, true]);
    }
  });

  test('directories are listed under their names where there are several', async () => {
    await ok('fs', 'mkdir', '-p', '/l/a/sub', '/l/none');
    await ok('fs', 'touch', '/l/a/f', '/l/single');
    const several = await ok('fs', 'ls', '/l/single', '/l/a', '/l/none');
    assert.equal(several, '/l/single\n\n/l/a:\nf\nsub\n\n/l/none:\n');
    assert.equal(await ok('fs', 'ls', '/l/a'), 'f\nsub\n');
    assert.equal(await ok('fs', 'ls', '/l/a/f'), 'f\n');
    assert.equal(await ok('fs', 'ls', '-R', '/l/a', '/l/none'), '/l/a/f\n/l/a/sub\n');
    const all = JSON.parse(await ok('fs', 'ls', '--json', '/l/a', '/l/single')) as unknown[];
    assert.equal(all.length, 3);
    const lines = (await ok('fs', 'du', '--json', '/l/a', '/l/none')).trim().split('\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { path: string }).path),
      ['/l/a', '/l/none'],
    );
  });

  test('with --json, names that are no text are base64, and whatever goes wrong is an object', async () => {
    const name = Buffer.from([0x78, 0xff]);
    await mkdir(join(cluster.dataDir, 'bytes'));
    await writeFile(Buffer.concat([Buffer.from(`${cluster.dataDir}/bytes/`), name]), 'x');
    const whole = Buffer.concat([Buffer.from('/bytes/'), name]).toString('base64');
    const [listed] = JSON.parse(await ok('fs', 'ls', '--json', '/bytes')) as object[];
    const found = JSON.parse(await ok('fs', 'find', '--json', '/bytes')) as object;
    for (const info of [listed, found]) {
      assert.equal((info as { pathBytes: string }).pathBytes, whole);
    }
    for (const [args, code, key] of [
      [['fs', 'ls', '/', '--json', '--page-size', 'bogus'], 'configuration', 'error'],
      [['fs', 'ls', '/', '--json', '--bogus'], 'usage', 'error'],
      [['fs', 'find', '/', '--json', '--min-size', 'x'], 'usage', 'error'],
      [['fs', 'stat', '/none', '--json'], 'not-found', 'error'],
      [['fs', 'ls', '/', '--json', '--cluster-name', 'Nobody'], undefined, 'warning'],
    ] as const) {
      const { err } = await cli(...args);
      const objects = err
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      assert.equal(objects.length, 1, err);
      const told = (objects[0] as Record<string, { code?: string }>)[key];
      assert.equal(told?.code, code, err);
    }
  });

  test('a wrong cluster name is not taken for an empty cluster', async () => {
    const { code, err } = await cli('fs', 'ls', '/', '--cluster-name', 'Nobody');
    assert.equal(code, 0, err);
    assert.match(err, /No worker of the cluster Nobody is registered; check --cluster-name/);
    assert.equal((await cli('fs', 'ls', '/')).err, '');
  });

  test('output that cannot be written says why', async () => {
    await ok('fs', 'touch', '/l/touched');
    const full = await run('sh', ['-c', `"$0" "$1" fs ls / >/dev/full`, process.execPath, MAIN], {
      env,
    });
    assert.equal(full.code, 1);
    assert.match(full.err, /^alluxio-fuse: Standard output cannot be written: ENOSPC/);
  });

  test('Enterprise copies into a directory that nothing was written to, beside its own store', async () => {
    const other = await startTestDevcluster(cleanup, { workers: 1, personality: 'enterprise' });
    const more = commandEnvironment(other, await makeTempDir(cleanup, 'staging'));
    await writeFile(join(other.dataDir, 'source'), 'source\n');
    for (const args of [
      ['mkdir', '/into'],
      ['cp', '/source', '/into/copy'],
      ['cat', '/into/copy'],
    ]) {
      const { code, out, err } = await run(process.execPath, [MAIN, 'fs', ...args], { env: more });
      assert.equal(code, 0, err);
      assert.doesNotMatch(err, /Warning/);
      if (args[0] === 'cat') assert.equal(out, 'source\n');
    }
  });

  test('without etcd, what the under store has is read from there, soon', async () => {
    const away = { ...env, ALLUXIO_FUSE_ETCD_HOSTS: '127.0.0.1:9' };
    const startedMs = performance.now();
    const { code, out, err } = await run(process.execPath, [MAIN, 'fs', 'cat', '/b/dated-1'], {
      env: away,
    });
    assert.deepEqual([code, out], [0, 'dated\n'], err);
    assert.match(err, /No worker is known/);
    assert.ok(performance.now() - startedMs < 30_000);
    const off = { ...away, ALLUXIO_FUSE_UNDER_STORE_FALLBACK: 'off' };
    const refused = await run(process.execPath, [MAIN, 'fs', 'cat', '/b/dated-1'], { env: off });
    assert.equal(refused.code, 1);
    assert.match(refused.err, /No answer from etcd/);
  });

  test('standard input becomes a file, and its ends are shown', async () => {
    const input = 'one\ntwo\n';
    const written = await run(process.execPath, [MAIN, 'fs', 'write', '/w/f'], { env, input });
    assert.equal(written.code, 0, written.err);
    assert.equal(await ok('fs', 'head', '-c', '3', '/w/f'), 'one');
    assert.equal(await ok('fs', 'tail', '-c', '4', '/w/f'), 'two\n');
    assert.equal(await ok('fs', 'tail', '-c', '4KB', '/w/f'), input);
    assert.equal(await ok('fs', 'tail', '-c', '0', '/w/f'), '');
    assert.equal(await ok('fs', 'head', '-c', '0', '/w/f'), '');
    assert.match(await ok('fs', 'location', '/w/f'), /^path: \/w\/f\nufs: file:.*\nworker: /);
  });

  test('exit codes say what kind of no it was', async () => {
    await ok('fs', 'touch', '/e/f');
    assert.equal((await cli('fs', 'test', '-f', '/e/f')).code, 0);
    assert.equal((await cli('fs', 'test', '-d', '/e/f')).code, 1);
    assert.equal((await cli('fs', 'test', 'relative')).code, 2);
    assert.equal((await cli('fs', 'rm', '--alluxio-only', '/e/f')).code, 3);
    assert.equal((await cli('fs', 'ls', '--page-size', '5', '/')).code, 2);
    const job = await cli('job', 'load', '--path', '/e', '--submit');
    assert.equal(job.code, 3);
    assert.match(job.err, /need a running Alluxio master/);
  });

  test('members, ring and properties are told, also as JSON', async () => {
    const members = JSON.parse(await ok('info', 'members', '--json')) as { isActive: boolean }[];
    assert.deepEqual(
      members.map(({ isActive }) => isActive),
      [true, true, true],
    );
    assert.match(await ok('info', 'ring'), /workers: 3/);
    assert.match(await ok('info', 'properties'), /virtual-nodes +5 +ALLUXIO_FUSE_VIRTUAL_NODES/);
  });

  test('a load by the client is stopped from elsewhere, and goes on where it was', async () => {
    await mkdir(join(cluster.dataDir, 'load'));
    const files = Array.from({ length: 12 }, (_, i) => join(cluster.dataDir, 'load', `f${i}`));
    await Promise.all(files.map((file, i) => writeFile(file, sampleBytes(100_000, i))));
    const args = ['job', 'load', '--client', '--path', '/load'];
    const slow = spawn(
      process.execPath,
      [MAIN, ...args, '--bandwidth', '30KB', '--concurrency', '1'],
      {
        env: { ...process.env, ...env },
        stdio: 'ignore',
      },
    );
    const ended = new Promise<number | null>((resolve) => slow.once('exit', resolve));
    await waitFor('the load to have loaded something', async () => {
      const { code, out } = await cli(...args, '--progress');
      return code === 0 && /RUNNING: [1-9]/.test(out);
    });
    await ok(...args, '--stop');
    assert.equal(await ended, 130);
    assert.match(await ok(...args, '--progress'), /^STOPPED/);
    const rest = await ok(...args, '--verify');
    assert.match(rest, /^SUCCEEDED: \d+ files loaded .*, [1-9]\d* there already, 0 failed/);
    assert.match(await ok(...args), /^SUCCEEDED: 0 files loaded .*, 12 there already/);
    const own = JSON.parse(await ok(...args, '--json')) as { jobState: string };
    assert.deepEqual(JSON.parse(await ok(...args, '--json', '--progress')), own);
    for (const flag of [['--partial-listing'], ['--progress-format', 'json']]) {
      const refused = await cli(...args, ...flag);
      assert.equal(refused.code, 2);
      assert.match(refused.err, /is not for --client/);
    }
  });

  test('a load by the client that failed stays one for those who ask later', async () => {
    await mkdir(join(cluster.dataDir, 'failing'));
    await writeFile(join(cluster.dataDir, 'failing', 'f'), sampleBytes(100_000, 1));
    const rule = { port: 's3', method: 'GET', action: { kind: 'status', status: 500 } } as const;
    await faultsOf(cluster, [rule]);
    const args = ['job', 'load', '--client', '--path', '/failing'];
    assert.equal((await cli(...args)).code, 1);
    await faultsOf(cluster, []);
    const progress = await cli(...args, '--progress');
    assert.deepEqual([progress.code, progress.err], [1, '']);
    assert.match(progress.out, /^FAILED/);
  });
});
