// SIGKILL, or Ctrl-C, in the middle of each command that moves bytes: nothing half is under a final
// name, and the same command again completes it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PART_PREFIX } from '../../src/client/part-file.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { commandEnvironment, faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { output } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SUITE_MS = 300_000;
/** To start, connect and move some bytes, on a machine that does other things as well. */
const INSIDE_MS = 90_000;
const UPLOADS = '.alluxio-fuse-uploads';

describe('commands that are killed', { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
  const cleanup = lastFirst(after);
  let cluster: Devcluster;
  let env: Readonly<Record<string, string>> = {};
  let local = '';

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    local = await makeTempDir(cleanup, 'local');
    await mkdir(join(cluster.dataDir, 'b'));
    env = {
      ...commandEnvironment(cluster, await makeTempDir(cleanup, 'staging')),
      // Through the workers alone: there the steps are many.
      ALLUXIO_FUSE_UNDER_STORE_FALLBACK: 'off',
    };
  });
  afterEach(() => faults([]));

  const faults = (rules: readonly FaultRule[]): Promise<void> => faultsOf(cluster, rules);

  async function killedOnce(
    args: readonly string[],
    isInside: () => boolean | Promise<boolean>,
    signal: 'SIGKILL' | 'SIGINT' = 'SIGKILL',
  ): Promise<unknown> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: local,
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    const ended = new Promise<unknown>((resolve) => child.once('exit', resolve));
    try {
      await waitFor(
        'the command to be in the middle',
        () => {
          assert.equal(child.exitCode, null, 'It ended too soon');
          return isInside();
        },
        INSIDE_MS,
      );
    } finally {
      child.kill(signal);
      await ended;
    }
    return child.exitCode;
  }

  const cli = (...args: string[]): Promise<string> =>
    output(process.execPath, [MAIN, ...args], { env, cwd: local });
  const inStore = (path: string): string => join(cluster.dataDir, 'b', path);
  const uploads = (): string[] =>
    existsSync(inStore(UPLOADS)) ? readdirSync(inStore(UPLOADS)) : [];

  test('download', async () => {
    const content = sampleBytes(24 * 1024 * 1024, 1);
    await writeFile(inStore('down'), content);
    await faults([{ port: 's3', method: 'GET', action: { kind: 'delay', ms: 300 } }]);
    const part = (): string | undefined => {
      return readdirSync(local).find((name) => name.startsWith(PART_PREFIX));
    };
    const partBytes = (): number =>
      statSync(join(local, part() ?? ''), { throwIfNoEntry: false })?.size ?? 0;
    const args = ['fs', 'download', '/b/down', 'down'];
    await killedOnce(args, () => part() !== undefined && partBytes() > 0);
    assert.equal(existsSync(join(local, 'down')), false);
    const done = partBytes();
    assert.ok(done > 0 && done < content.length, `${done}`);
    await cli(...args);
    assert.deepEqual(await readFile(join(local, 'down')), content);
    assert.equal(part(), undefined);
  });

  test('upload', async () => {
    const content = sampleBytes(300_000, 2);
    await writeFile(join(local, 'up'), content);
    // The bytes are there under their hidden name, and the step to the final one does not come back.
    await faults([{ port: 's3', header: 'x-amz-copy-source', action: { kind: 'hang' } }]);
    const args = ['fs', 'upload', 'up', '/b/up'];
    await killedOnce(
      args,
      () =>
        uploads().length > 0 &&
        uploads().every(
          (name) =>
            statSync(inStore(join(UPLOADS, name)), { throwIfNoEntry: false })?.size ===
            content.length,
        ),
    );
    assert.equal(existsSync(inStore('up')), false);
    await faults([]);
    await cli(...args);
    assert.deepEqual(await readFile(inStore('up')), content);
    assert.deepEqual(uploads(), []);
  });

  test('mv of a directory', async () => {
    await mkdir(inStore('from'));
    const names = Array.from({ length: 20 }, (_, i) => `f${i}`);
    for (const name of names) await writeFile(inStore(`from/${name}`), name);
    await faults([{ port: 's3', header: 'x-amz-copy-source', action: { kind: 'delay', ms: 500 } }]);
    // Without -T: what the killed one made of the target is not the directory to move it into.
    const args = ['fs', 'mv', '/b/from', '/b/to'];
    await killedOnce(args, () => existsSync(inStore('to/f0')));
    for (const name of names) assert.equal(await readFile(inStore(`from/${name}`), 'utf8'), name);
    await faults([]);
    await cli(...args);
    assert.equal(existsSync(inStore('from')), false);
    for (const name of names) assert.equal(await readFile(inStore(`to/${name}`), 'utf8'), name);
  });

  test('cp of a directory', async () => {
    await mkdir(inStore('source'));
    const names = Array.from({ length: 20 }, (_, i) => `f${i}`);
    for (const [i, name] of names.entries()) {
      await writeFile(inStore(`source/${name}`), sampleBytes(100_000, i));
    }
    await faults([{ port: 's3', header: 'x-amz-copy-source', action: { kind: 'delay', ms: 500 } }]);
    const args = ['fs', 'cp', '-r', '-T', '--resume', '/b/source', '/b/copy'];
    const copied = (): string[] =>
      existsSync(inStore('copy')) ? readdirSync(inStore('copy')) : [];
    await killedOnce([...args, '--concurrency', '2'], () => copied().includes('f0'));
    assert.ok(copied().length < names.length, `${copied().length} were copied`);
    const isWhole = async (name: string): Promise<void> =>
      assert.deepEqual(
        await readFile(inStore(`copy/${name}`)),
        await readFile(inStore(`source/${name}`)),
      );
    for (const name of copied().filter((one) => names.includes(one))) await isWhole(name);
    await faults([]);
    await cli(...args);
    for (const name of names) await isWhole(name);
  });

  test('Ctrl-C ends each of them with 130, and leaves nothing but whole files', async () => {
    const content = sampleBytes(300_000, 4);
    await writeFile(join(local, 'cut'), content);
    await writeFile(inStore('cut-source'), content);
    const asked = async (what: string): Promise<number> => {
      const views = await Promise.all(cluster.workers.map((worker) => worker.stats()));
      return views.reduce((sum, { requests }) => sum + (requests[what] ?? 0), 0);
    };
    for (const args of [
      ['fs', 'upload', 'cut', '/b/cut'],
      ['fs', 'cp', 'local:cut', '/b/cut'],
      ['fs', 'cp', '/b/cut-source', '/b/cut'],
    ]) {
      await faults([{ port: 's3', header: 'x-amz-copy-source', action: { kind: 'hang' } }]);
      const puts = await asked('s3:PUT');
      const needed = args[2] === '/b/cut-source' ? 1 : 2;
      const isInside = async () => (await asked('s3:PUT')) >= puts + needed;
      const code = await killedOnce(args, isInside, 'SIGINT');
      assert.equal(code, 130, args.join(' '));
      assert.equal(existsSync(inStore('cut')), false, args.join(' '));
      // An upload whose last step got no answer is finished or undone by whoever changes something next.
      await faults([]);
      await cli('fs', 'touch', '/b/next');
      await waitFor('nothing hidden to be left', () => uploads().length === 0);
      if (existsSync(inStore('cut'))) {
        assert.deepEqual(await readFile(inStore('cut')), content, args.join(' '));
        await cli('fs', 'rm', '/b/cut');
      }
    }
    await faults([{ port: 's3', method: 'GET', action: { kind: 'hang' } }]);
    for (const args of [
      ['fs', 'download', '/b/cut-source', 'cut-down'],
      ['job', 'load', '--client', '--path', '/b/cut-source'],
    ]) {
      const gets = await asked('s3:GET');
      const isInside = async () => (await asked('s3:GET')) > gets;
      assert.equal(await killedOnce(args, isInside, 'SIGINT'), 130, args.join(' '));
      assert.equal(existsSync(join(local, 'cut-down')), false);
    }
  });

  test('job load --client', async () => {
    await mkdir(inStore('load'));
    for (let i = 0; i < 12; i += 1) await writeFile(inStore(`load/f${i}`), sampleBytes(100_000, i));
    const args = ['job', 'load', '--client', '--path', '/b/load'];
    const reads = async (): Promise<number> => {
      const views = await Promise.all(cluster.workers.map((worker) => worker.stats()));
      return views.reduce((sum, { requests }) => sum + (requests['s3:GET'] ?? 0), 0);
    };
    const atStart = await reads();
    const slowly = [...args, '--bandwidth', '150KB', '--concurrency', '1'];
    await killedOnce(slowly, async () => (await reads()) > atStart + 1);
    const rest = await cli(...args, '--verify');
    assert.match(rest, /^SUCCEEDED: [1-9]\d* files loaded .*, [1-9]\d* there already, 0 failed/);
    assert.match(await cli(...args), /^SUCCEEDED: 0 files loaded .*, 12 there already/);
  });
});
