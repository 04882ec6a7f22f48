/** The devcluster as a whole: what the contract suite cannot ask of a cluster that it shares. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Devcluster, DevclusterInfo } from '../../src/devcluster/index.ts';
import { Contract } from '../contract/target.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { exchange } from '../support/raw-http.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { sampleBytes } from '../support/tree.ts';
import { waitFor } from '../support/wait.ts';

const skip = skipReason('etcd');
const LEASE_TTL_S = 3;

describe('devcluster, open source', { skip, timeout: 120_000 }, () => {
  const undo: (() => Promise<void>)[] = [];
  let cluster: Devcluster;
  let c: Contract;

  before(async () => {
    const cleanup = (work: () => Promise<void>): void => void undo.unshift(work);
    cluster = await startTestDevcluster(cleanup, { leaseTtlS: LEASE_TTL_S });
    const target = { info: cluster.info, dataDir: cluster.dataDir, virtualNodes: 5 };
    c = await Contract.make(target, cleanup);
    await writeFile(`${c.dir}/f`, 'hello6');
  });
  after(async () => {
    for (const work of undo) await work();
  });

  test('faults delay, cut, refuse, lie about the length and hang, and end', async () => {
    const owner = c.ownerIndex('f');
    const worker = cluster.workers[owner];
    assert.ok(worker !== undefined);
    const get = () => c.s3(c.key('f'), {}, owner);
    await worker.setFaults([{ port: 's3', count: 1, action: { kind: 'status', status: 500 } }]);
    assert.equal((await get()).status, '500 Injected');
    assert.equal((await get()).status, '200 OK');
    await worker.setFaults([{ count: 1, action: { kind: 'cut', afterBytes: 40 } }]);
    await assert.rejects(get(), /No head/);
    const action = { kind: 'content-length', deltaBytes: 5 } as const;
    await worker.setFaults([{ method: 'HEAD', action }]);
    const head = await c.s3(c.key('f'), { method: 'HEAD' }, owner);
    assert.equal(head.header('content-length'), '11');
    await worker.setFaults([{ count: 1, action: { kind: 'delay', ms: 200 } }]);
    const start = performance.now();
    assert.equal((await get()).body.toString(), 'hello6');
    assert.ok(performance.now() - start >= 190);
    await worker.setFaults([]);
    assert.ok((await worker.stats()).pagesCached >= 1);
  });

  test('redirects go on to a killed owner until its lease ends, then the next one serves', async () => {
    const owner = c.ownerIndex('f');
    const other = (owner + 1) % 3;
    await cluster.workers[owner]?.kill();
    assert.equal((await c.s3(c.key('f'), {}, other)).status, '307 Temporary Redirect');
    // Metadata is answered all the while.
    assert.equal((await c.s3(c.key('f'), { method: 'HEAD' }, other)).status, '200 OK');
    await cluster.settled();
    const survivors = [0, 1, 2].filter((index) => index !== owner);
    const statuses = await Promise.all(
      survivors.map(async (index) => (await c.s3(c.key('f'), {}, index)).status),
    );
    assert.deepEqual(
      statuses.sort((a, b) => (a < b ? -1 : 1)),
      ['200 OK', '307 Temporary Redirect'],
    );
    await cluster.workers[owner]?.start();
    await cluster.settled();
    assert.equal((await c.s3(c.key('f'), {}, owner)).status, '200 OK');
  });

  test('workers register again after etcd was away for longer than their leases', async () => {
    await cluster.etcd?.down();
    assert.equal((await c.s3Owner(c.key('f'))).body.toString(), 'hello6');
    await cluster.etcd?.up();
    await cluster.settled();
    const added = await cluster.addWorker();
    await cluster.settled();
    assert.equal(cluster.info.workers.length, 4);
    await added.leave();
    await cluster.settled();
  });
});

describe('devcluster, Enterprise', { skip, timeout: 60_000 }, () => {
  test('reads through pages and ranges, decodes properly, and answers with status codes', async (t) => {
    const cleanup = (work: () => Promise<void>): void => t.after(work);
    const cluster = await startTestDevcluster(cleanup, { personality: 'enterprise', workers: 2 });
    await mkdir(`${cluster.dataDir}/d`);
    const bytes = sampleBytes(TEST_PAGE_SIZE_BYTES + 10, 3);
    await writeFile(`${cluster.dataDir}/d/a b+é%`, bytes);
    const [worker] = cluster.info.workers;
    const base = `http://${worker?.host}:${worker?.httpPort}/v1`;
    const path = encodeURIComponent(`${cluster.info.ufs}/d/a b+é%`);
    const get = async (rest: string): Promise<Buffer> =>
      Buffer.from(await (await fetch(`${base}/${rest}`)).arrayBuffer());
    assert.deepEqual(await get(`file/id/page/1?ufsFullPath=${path}`), bytes.subarray(-10));
    const range = await get(`range/id?ufsFullPath=${path}&offset=5&length=7`);
    assert.deepEqual(range, bytes.subarray(5, 12));
    assert.deepEqual(await get(`chunk/id?ufsFullPath=${path}`), bytes);
    const [entry] = JSON.parse((await get(`info?path=${path}`)).toString()) as { mMode: number }[];
    assert.equal(typeof entry?.mMode, 'number');
    const node = JSON.parse((await get(`node?path=${path}`)).toString()) as { Host: string };
    assert.match(node.Host, /^127\.0\.0\.[12]$/);
    const missing = await fetch(`${base}/info?path=/d/none`);
    assert.equal(missing.status, 404);
    assert.match(((await missing.json()) as { message: string }).message, /none/);
    // Any worker serves any object, on a connection that is kept.
    for (const { host, s3Port } of cluster.info.workers) {
      const target = '/d/a%20b+%C3%A9%25';
      const { response, connection } = await exchange({ host, port: s3Port, target });
      connection.destroy();
      assert.equal(response?.status, '200 OK');
      assert.deepEqual(response.body, bytes);
    }
  });
});

test(
  'a devcluster dies with its parent, even when that is killed',
  { skip, timeout: 60_000 },
  async (t) => {
    const dataDir = await makeTempDir((work) => t.after(work));
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const script = `${dirname(fileURLToPath(import.meta.url))}/devcluster-parent.${extension}`;
    const parent = fork(script, [dataDir], { stdio: 'inherit', execArgv: [] });
    t.after(() => parent.kill('SIGKILL'));
    const { info, pids } = await new Promise<{ info: DevclusterInfo; pids: number[] }>(
      (resolve) => {
        parent.once('message', (message) =>
          resolve(message as { info: DevclusterInfo; pids: number[] }),
        );
      },
    );
    assert.ok(pids.length === 2 && pids.every((pid) => existsSync(`/proc/${pid}`)));
    parent.kill('SIGKILL');
    await waitFor('the workers to end', () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
    await waitFor('etcd to end', async () => {
      const url = `http://${info.etcdHost}:${info.etcdPort}/health`;
      return await fetch(url, { signal: AbortSignal.timeout(1000) }).then(
        () => false,
        () => true,
      );
    });
  },
);
