// Downloads onto what is there already: links, devices, pipes, files of their own mode; cut ones; two at once.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AlluxioFileSystem } from '../../src/client/index.ts';
import { PART_PREFIX } from '../../src/client/part-file.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { commandEnvironment, faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SUITE_MS = 180_000;
const CONTENT = sampleBytes(300_000, 1);
const isRoot = process.getuid?.() === 0;

describe('downloads', { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
  const cleanup = lastFirst(after);
  let cluster: Devcluster;
  let fs: AlluxioFileSystem;
  let env: Readonly<Record<string, string>> = {};
  let local = '';

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    local = await makeTempDir(cleanup, 'local');
    await mkdir(join(cluster.dataDir, 'b'));
    await writeFile(inStore('f'), CONTENT);
    env = commandEnvironment(cluster, join(local, 'staging'));
    fs = await AlluxioFileSystem.open({ env });
    cleanup(() => fs.close());
  });
  afterEach(() => faults([]));

  const inStore = (path: string): string => join(cluster.dataDir, 'b', path);
  const faults = (rules: readonly FaultRule[]): Promise<void> => faultsOf(cluster, rules);
  const parts = (): string[] => readdirSync(local).filter((name) => name.startsWith(PART_PREFIX));

  test('through a link to what it names, which keeps its mode', async () => {
    await mkdir(join(local, 'elsewhere'));
    await writeFile(join(local, 'elsewhere/named'), 'old');
    await chmod(join(local, 'elsewhere/named'), 0o600);
    if (isRoot) await chown(join(local, 'elsewhere/named'), 1234, 2345);
    await symlink('elsewhere/named', join(local, 'link'));
    await fs.download('/b/f', join(local, 'link'));
    assert.ok(lstatSync(join(local, 'link')).isSymbolicLink());
    assert.deepEqual(await readFile(join(local, 'elsewhere/named')), CONTENT);
    const { mode, uid } = statSync(join(local, 'elsewhere/named'));
    assert.equal(mode & 0o777, 0o600);
    if (isRoot) assert.equal(uid, 1234);
    await symlink('nowhere', join(local, 'dangling'));
    const dangling = fs.download('/b/f', join(local, 'dangling'));
    await assert.rejects(dangling, { code: 'local', reason: 'The target is a link to nothing' });
    assert.deepEqual(readdirSync(join(local, 'elsewhere')), ['named']);
  });

  test('into a pipe, as it is read, and not for ever where nobody reads', async () => {
    const pipe = join(local, 'pipe');
    await run('mkfifo', [pipe]);
    const [, { out }] = await Promise.all([
      fs.download('/b/f', pipe),
      run('sh', ['-c', 'sleep 0.2; sha256sum <"$1"', 'sh', pipe]),
    ]);
    await writeFile(join(local, 'whole'), CONTENT);
    assert.equal(out, (await run('sh', ['-c', 'sha256sum <"$1"', 'sh', join(local, 'whole')])).out);
    await assert.rejects(fs.download('/b/f', pipe, { timeoutMs: 300 }), { code: 'timeout' });
    assert.ok(lstatSync(pipe).isFIFO());
  });

  test('into a device', { skip: isRoot ? false : 'not root' }, async () => {
    const device = join(local, 'null');
    await run('mknod', [device, 'c', '1', '3']);
    await fs.download('/b/f', device);
    assert.ok(lstatSync(device).isCharacterDevice());
  });

  test('to standard output, and nothing else with it', async () => {
    // Not /dev/stdout, which leads here: a program that replaced the link would break the machine.
    const command = `node '${MAIN}' fs download /b/f /proc/self/fd/1`;
    for (const into of ['| cat >out', '>out', '>>out']) {
      await writeFile(join(local, 'out'), '');
      const { code, err } = await run('sh', ['-c', `${command} ${into}`], { env, cwd: local });
      assert.deepEqual([code, err], [0, '']);
      assert.deepEqual(readFileSync(join(local, 'out')), CONTENT, into);
    }
  });

  test('what was cut goes on, but not with bytes that may never have reached the disk', async () => {
    const large = sampleBytes(24 * 1024 * 1024, 2);
    await writeFile(inStore('large'), large);
    const to = join(local, 'large');
    const cut = new AbortController();
    const onBytes = (): void => cut.abort();
    await assert.rejects(fs.download('/b/large', to, { signal: cut.signal, onBytes }), {
      code: 'cancelled',
    });
    const [part = ''] = parts();
    // Longer than what may be missing by four pieces of four MiB; the rest is zeros.
    await writeFile(
      join(local, part),
      Buffer.concat([large.subarray(0, 4 * 1024 * 1024), Buffer.alloc(16 * 1024 * 1024)]),
    );
    let fetched = 0;
    await fs.download('/b/large', to, { onBytes: (bytes) => void (fetched += bytes) });
    assert.deepEqual(await readFile(to), large);
    assert.equal(fetched, 20 * 1024 * 1024);
    assert.deepEqual(parts(), []);
  });

  test('two at once to one target', async () => {
    const other = await AlluxioFileSystem.open({ env });
    cleanup(() => other.close());
    await faults([{ port: 's3', method: 'GET', action: { kind: 'delay', ms: 200 } }]);
    const to = join(local, 'both');
    await Promise.all([fs.download('/b/f', to), other.download('/b/f', to)]);
    assert.deepEqual(await readFile(to), CONTENT);
    assert.deepEqual(parts(), []);
  });
});
