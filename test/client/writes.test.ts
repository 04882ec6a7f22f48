// Files that are opened to be written: against other writers, ended early, closed twice; and what is no data.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Connection } from '../../src/client/connection.ts';
import { AlluxioWriteFile } from '../../src/client/file.ts';
import { AlluxioFileSystem, type Data } from '../../src/client/index.ts';
import { ClusterError } from '../../src/cluster/index.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { commandEnvironment, faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const SUITE_MS = 180_000;

describe('files open for writing', { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
  const cleanup = lastFirst(after);
  let cluster: Devcluster;
  let fs: AlluxioFileSystem;
  let env: Readonly<Record<string, string>> = {};
  let staging = '';

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    await mkdir(join(cluster.dataDir, 'b'));
    staging = await makeTempDir(cleanup, 'staging');
    env = commandEnvironment(cluster, staging);
    fs = await AlluxioFileSystem.open({ env, targetProtocol: 'none' });
    cleanup(() => fs.close());
  });
  afterEach(() => faults([]));

  const faults = (rules: readonly FaultRule[]): Promise<void> => faultsOf(cluster, rules);
  const inStore = (path: string): string => join(cluster.dataDir, 'b', path);
  const staged = (): string[] =>
    readdirSync(staging, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('/library-'),
    );
  const other = async (): Promise<AlluxioFileSystem> => {
    const client = await AlluxioFileSystem.open({ env });
    cleanup(() => client.close());
    return client;
  };

  test('what others wrote meanwhile is not replaced by an append or an exclusive file', async () => {
    const writer = await other();
    await fs.write('/b/log', 'one ');
    for (const [path, mode, code] of [
      ['/b/log', 'a', 'version-changed'],
      ['/b/fresh', 'a', 'version-changed'],
      ['/b/mine', 'x', 'exists'],
    ] as const) {
      const file = await fs.open(path, { mode });
      await file.write('mine');
      await writer.write(path, 'theirs');
      await assert.rejects(file.close(), { code, operation: 'close', path });
      await file.abort();
      assert.equal(await readFile(inStore(path.slice(3)), 'utf8'), 'theirs', path);
    }
    const again = await fs.open('/b/log', { mode: 'a' });
    assert.equal(again.tell(), 6);
    await again.close();
    assert.equal(await readFile(inStore('log'), 'utf8'), 'theirs');
    // To write anew is to replace whatever is there.
    const anew = await fs.open('/b/log', { mode: 'w' });
    await writer.write('/b/log', 'theirs again');
    await anew.close();
    assert.equal(await readFile(inStore('log'), 'utf8'), '');
    assert.deepEqual(staged(), []);
  });

  test('a close that failed is tried again, until the file is given up', async () => {
    const file = await fs.open('/b/closed', { mode: 'w' });
    await file.write('all of it');
    await faults([{ port: 's3', method: 'PUT', action: { kind: 'hang' } }]);
    await assert.rejects(file.close({ timeoutMs: 300 }), { code: 'timeout', retryable: true });
    await assert.rejects(file.write('more'), { code: 'invalid' });
    await faults([]);
    await file.close();
    await file.close();
    assert.equal(await readFile(inStore('closed'), 'utf8'), 'all of it');
    assert.deepEqual(staged(), []);

    const given = await fs.open('/b/given', { mode: 'w' });
    await given.write('x');
    await faults([{ port: 's3', method: 'PUT', action: { kind: 'hang' } }]);
    await assert.rejects(given.close({ timeoutMs: 300 }), { code: 'timeout' });
    await given.abort();
    assert.deepEqual(staged(), []);
  });

  test('a close that did not hear of its own success succeeds when it is tried again', async (context) => {
    await fs.write('/b/heard', 'one ');
    const { connection } = fs as unknown as { readonly connection: Connection };
    const store = await connection.store();
    for (const [path, mode, content] of [
      ['/b/heard', 'a', 'one mine'],
      ['/b/unheard', 'x', 'mine'],
    ] as const) {
      const put = store.putFile.bind(store);
      const file = await fs.open(path, { mode });
      await file.write('mine');
      const cut = context.mock.method(store, 'putFile', async (...args: Parameters<typeof put>) => {
        await put(...args);
        throw new ClusterError('timeout', 'The answer was lost', { retryable: true });
      });
      await assert.rejects(file.close(), { code: 'timeout' });
      cut.mock.restore();
      await file.close();
      assert.equal(await readFile(inStore(path.slice(3)), 'utf8'), content);
    }
    assert.deepEqual(staged(), []);
  });

  test('what the disk here did not take is not published as if it had', async () => {
    const { connection } = fs as unknown as { readonly connection: Connection };
    const base = { mode: 'w', version: undefined } as const;
    const parts = { connection, path: '/b/full' as ByteString, signal: undefined };
    // Through a link, which is all that a wrong build would remove.
    const disk = join(staging, 'full');
    await symlink('/dev/full', disk);
    const file = new AlluxioWriteFile(parts, disk, base);
    await file.write('small').catch(() => undefined);
    await assert.rejects(file.close(), { code: 'local' });
    await assert.rejects(readFile(inStore('full')), { code: 'ENOENT' });
  });

  test('what is neither closed nor given up is gone with the client', async () => {
    const client = await AlluxioFileSystem.open({ env });
    const file = await client.open('/b/left', { mode: 'w' });
    await file.write(Buffer.alloc(100_000));
    assert.equal(staged().length, 1);
    await client.close();
    assert.deepEqual(staged(), []);
  });

  test('the signal of open ends writes, and that of a write only this one', async () => {
    const opening = new AbortController();
    const file = await fs.open('/b/signal', { mode: 'w', signal: opening.signal });
    await file.write('x');
    await assert.rejects(file.write('y', { signal: AbortSignal.abort() }), { code: 'cancelled' });
    await file.write('z');
    opening.abort();
    await assert.rejects(file.write('y'), { code: 'cancelled' });
    await assert.rejects(file.close(), { code: 'cancelled' });
    await file.close({ signal: new AbortController().signal });
    assert.equal(await readFile(inStore('signal'), 'utf8'), 'xz');
  });

  test('what cannot be read or is no data is said to be that', async () => {
    await writeFile(inStore('kept'), 'kept');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('abc'));
      throw new TypeError('The source broke');
    }
    await assert.rejects(fs.write('/b/kept', failing()), {
      code: 'local',
      reason: 'The bytes to write cannot be read: The source broke',
    });
    const wrongs: readonly unknown[] = [5, undefined, null, {}, [1, 2]];
    for (const wrong of wrongs) {
      const write = fs.write('/b/kept', wrong as Data);
      await assert.rejects(write, { code: 'invalid' }, JSON.stringify(wrong));
    }
    const file = await fs.open('/b/kept', { mode: 'w' });
    await assert.rejects(file.write(5 as unknown as string), { code: 'invalid' });
    await file.abort();
    const cut = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield Buffer.alloc(1000);
        cut.abort();
        await new Promise(setImmediate);
      }
    }
    await assert.rejects(fs.write('/b/kept', endless(), { signal: cut.signal }), {
      code: 'cancelled',
    });
    assert.equal(await readFile(inStore('kept'), 'utf8'), 'kept');
    assert.deepEqual(staged(), []);
  });
});
