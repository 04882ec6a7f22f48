// Calls that end before they are done: out of time, given up, or because a file changed under them.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { AlluxioFileSystem } from '../../src/client/index.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';

const SUITE_MS = 120_000;
const COPIES = { port: 's3', header: 'x-amz-copy-source' } as const;

describe('calls that end early', { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
  const cleanup = lastFirst(after);
  let cluster: Devcluster;
  let fs: AlluxioFileSystem;
  let withFallback: AlluxioFileSystem;
  let local = '';

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    local = await makeTempDir(cleanup, 'local');
    await mkdir(join(cluster.dataDir, 'b'));
    const { etcdHost, etcdPort, ufs, pageSize, workers } = cluster.info;
    const options = {
      etcdHosts: `${etcdHost}:${etcdPort}`,
      ufs,
      pageSize,
      workerS3Port: workers[0]?.s3Port,
      virtualNodes: 5,
      stagingDir: join(local, 'staging'),
      env: {},
    };
    // Through the workers alone: there the steps are many.
    fs = await AlluxioFileSystem.open({ ...options, targetProtocol: 'none' });
    cleanup(() => fs.close());
    withFallback = await AlluxioFileSystem.open(options);
    cleanup(() => withFallback.close());
  });
  afterEach(() => faults([]));

  const inStore = (path: string): string => join(cluster.dataDir, 'b', path);
  const faults = (rules: readonly FaultRule[]): Promise<void> => faultsOf(cluster, rules);
  const hidden = (): string[] => {
    const uploads = inStore('.alluxio-fuse-uploads');
    return existsSync(uploads) ? readdirSync(uploads) : [];
  };

  test('a file that changes while it is uploaded is not published', async () => {
    const from = join(local, 'growing');
    // More than the chunk that is read at a time, so that the end is read after the change.
    await writeFile(from, sampleBytes(6 * 1024 * 1024, 1));
    await writeFile(inStore('grown'), 'what was there before');
    await faults([{ port: 's3', method: 'PUT', action: { kind: 'delay', ms: 500 } }]);
    const upload = fs.upload(from, '/b/grown');
    const change = pause(200).then(() => appendFileSync(from, 'more'));
    await assert.rejects(upload, { name: 'AlluxioError', code: 'version-changed' });
    await change;
    assert.equal(await readFile(inStore('grown'), 'utf8'), 'what was there before');
    await faults([]);
    await fs.upload(from, '/b/grown');
    assert.deepEqual(await readFile(inStore('grown')), await readFile(from));
    assert.deepEqual(hidden(), []);
  });

  test('timeoutMs ends a copy and a read, and says so', async () => {
    await writeFile(inStore('slow'), sampleBytes(200_000, 2));
    await faults([{ ...COPIES, action: { kind: 'hang' } }]);
    const startMs = performance.now();
    await assert.rejects(fs.copy('/b/slow', '/b/never', { timeoutMs: 700 }), {
      name: 'AlluxioError',
      code: 'timeout',
      retryable: true,
    });
    await faults([{ port: 's3', method: 'GET', action: { kind: 'hang' } }]);
    await assert.rejects(fs.catFile('/b/slow', { timeoutMs: 700 }), { code: 'timeout' });
    assert.ok(performance.now() - startMs < 10_000);
    assert.equal(existsSync(inStore('never')), false);
  });

  test('a copy that is given up is there as a whole or not at all', async () => {
    await writeFile(inStore('large'), sampleBytes(4 * 1024 * 1024, 3));
    await faults([{ ...COPIES, action: { kind: 'delay', ms: 300 } }]);
    const controller = new AbortController();
    const copy = fs.copy('/b/large', '/b/copied', { signal: controller.signal });
    setTimeout(() => controller.abort(), 305);
    await assert.rejects(copy, { code: 'cancelled' });
    // A worker goes on with what it has begun, whoever asked for it.
    await pause(1_000);
    if (existsSync(inStore('copied'))) {
      assert.deepEqual(await readFile(inStore('copied')), await readFile(inStore('large')));
    }
    assert.deepEqual(hidden(), []);
  });

  test('health tells of workers that say nothing, and is no verdict when it is given up', async () => {
    await faults([{ action: { kind: 'hang' } }]);
    const late = await fs.client.health({ timeoutMs: 300 });
    for (const { isActive, reason } of late) {
      assert.equal(isActive, false);
      assert.match(reason ?? '', /did not end within 300 ms/);
    }
    assert.equal(late.length, cluster.workers.length);
    const controller = new AbortController();
    const health = fs.client.health({ signal: controller.signal });
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(health, { code: 'cancelled' });
  });

  test('so many at a time are a number, wherever they are given', async () => {
    for (const concurrency of [NaN, 0, -1, 1e9]) {
      const no = { code: 'invalid' };
      const options = { recursive: true, concurrency };
      await assert.rejects(fs.copy('/b', '/c', options), no, String(concurrency));
      await assert.rejects(fs.upload(local, '/c', options), no);
      await assert.rejects(fs.download('/b', join(local, 'c'), options), no);
      await assert.rejects(fs.client.loadByClient('/b', { concurrency }), no);
      const { etcdHost, etcdPort, ufs } = cluster.info;
      const opened = { etcdHosts: `${etcdHost}:${etcdPort}`, ufs, env: {}, concurrency };
      await assert.rejects(AlluxioFileSystem.open(opened), no);
    }
  });

  test('a filter of names that could be searched for ever is not', async () => {
    await mkdir(inStore('filtered'));
    const hostile = `${'a'.repeat(200)}!`;
    for (const name of [hostile, 'yes.txt']) await writeFile(join(inStore('filtered'), name), name);
    for (const [fileFilterRegx, loadedFiles] of [
      ['(a+)+b', 0],
      ['.*\\.txt', 1],
      ['yes', 0],
    ] as const) {
      const result = await fs.client.loadByClient('/b/filtered', { fileFilterRegx });
      assert.deepEqual([result.jobState, result.scannedFiles], ['SUCCEEDED', loadedFiles]);
    }
    const wrong = fs.client.loadByClient('/b/filtered', { fileFilterRegx: '(' });
    await assert.rejects(wrong, { code: 'invalid' });
  });

  test('calls leave nothing in the signal of their caller, however they end', async () => {
    await writeFile(inStore('left'), sampleBytes(300_000, 5));
    const { signal } = new AbortController();
    const ears = (): number => getEventListeners(signal, 'abort').length;
    await fs.ls('/b', { signal });
    await assert.rejects(fs.info('/b/none', { signal }), { code: 'not-found' });
    await assert.rejects(fs.ls('no path', { signal }), { code: 'invalid' });
    for await (const { path } of fs.scan('/b', { signal })) {
      assert.equal(ears(), 1, path);
      break;
    }
    const stream = (await fs.readStream('/b/left', { signal })).getReader();
    await stream.read();
    await stream.cancel();
    const file = await fs.open('/b/left', { signal });
    for await (const piece of file) assert.ok(piece.length > 0);
    await file.close();
    for await (const members of fs.watchMembers({ signal })) {
      assert.equal(members.length, cluster.workers.length);
      break;
    }
    const { etcdHost, etcdPort, ufs } = cluster.info;
    const second = { etcdHosts: `${etcdHost}:${etcdPort}`, ufs, env: {} };
    await (await AlluxioFileSystem.open(second, { signal })).close();
    assert.equal(ears(), 0);
  });

  test('a load does not count what came from the under store', async () => {
    await writeFile(inStore('cold'), sampleBytes(100_000, 4));
    await faults([{ port: 's3', method: 'GET', action: { kind: 'status', status: 500 } }]);
    assert.equal((await withFallback.catFile('/b/cold')).length, 100_000);
    const { jobState, loadedFiles, failures } = await withFallback.client.loadByClient('/b/cold');
    assert.deepEqual([jobState, loadedFiles], ['FAILED', 0]);
    assert.match(failures[0]?.reason ?? '', /came from the under store/);
  });
});
