/**
 * Goal: a cluster without etcd, of which one address is known, is used as if its ring were: the
 * workers tell whose a file is (/v1/node), and owners that no list names are asked themselves. Where
 * they cannot tell (open source), the ring of the listed workers does.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { AlluxioFileSystem } from '../../src/client/index.ts';
import type { ClientOptions } from '../../src/client/index.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const FILES = 60;

for (const personality of ['enterprise', 'oss'] as const) {
  suite(`workers that are asked for owners, ${personality}`, { skip: skipReason('etcd') }, () => {
    const cleanup = lastFirst(after);
    const lines: string[] = [];
    let cluster: Devcluster;
    let fs: AlluxioFileSystem;
    let withRing: AlluxioFileSystem;
    const paths = Array.from({ length: FILES }, (_, i) => `/d/f ${i} ü`);

    const open = async (where: ClientOptions): Promise<AlluxioFileSystem> => {
      const { ufs, pageSize, workers } = cluster.info;
      const line = (_fields: unknown, message: string): void => void lines.push(message);
      const system = await AlluxioFileSystem.open({
        ufs,
        pageSize,
        workerS3Port: workers[0]?.s3Port,
        virtualNodes: 5,
        targetProtocol: 'none',
        logger: { debug: line, info: line, warn: line, error: line },
        env: {},
        ...where,
      });
      cleanup(() => system.close());
      return system;
    };

    before(async () => {
      const dataDir = await makeTempDir(cleanup, 'node-routing');
      await mkdir(join(dataDir, 'd'));
      for (const path of paths) await writeFile(join(dataDir, path), `the bytes of ${path}`);
      cluster = await startTestDevcluster(cleanup, { personality, dataDir, virtualNodes: 5 });
      const { etcdHost, etcdPort, workers } = cluster.info;
      const all = workers.map(({ host, httpPort, s3Port }) => `${host}:${httpPort}:${s3Port}`);
      // Open source tells nothing, so there all of them must be named.
      const workerHosts = personality === 'oss' ? all : `localhost:${workers[0]?.httpPort}`;
      fs = await open({ workerHosts, routing: 'node' });
      withRing = await open({ etcdHosts: `${etcdHost}:${etcdPort}` });
    });

    test('every file is read', async () => {
      for (const path of paths) {
        assert.equal((await fs.catFile(path)).toString('utf8'), `the bytes of ${path}`);
      }
    });

    if (personality === 'oss') {
      test('workers that cannot tell are not asked for ever, and that is said once', () => {
        const said = lines.filter((text) => text.startsWith('No worker tells the owner of a path'));
        assert.equal(said.length, 1);
      });
      return;
    }

    test('each from its owner, as the ring has it, though one worker alone was named', async () => {
      const served = await Promise.all(cluster.workers.map((worker) => worker.stats()));
      const portOf = async (system: AlluxioFileSystem, path: string): Promise<number | undefined> =>
        (await system.client.location(path, 1)).workers[0]?.httpPort;
      const owners = new Map<number | undefined, number>();
      for (const path of paths) {
        const owner = await portOf(fs, path);
        assert.equal(owner, await portOf(withRing, path), path);
        owners.set(owner, (owners.get(owner) ?? 0) + 1);
      }
      assert.equal(owners.size, 3, 'the files have owners of all kinds');
      for (const [i, { httpPort }] of cluster.info.workers.entries()) {
        const requests = served[i]?.requests ?? {};
        const reads = Object.entries(requests).filter(([name]) => /range|page|chunk/.test(name));
        const count = reads.reduce((sum, [, n]) => sum + n, 0);
        assert.ok(count >= (owners.get(httpPort) ?? 0), `${httpPort}: ${JSON.stringify(requests)}`);
      }
    });

    test('the owners are known beside the one that was named', () => {
      const ports = fs.client.status().workers.map(({ httpPort }) => httpPort);
      for (const { httpPort } of cluster.info.workers) assert.ok(ports.includes(httpPort));
    });

    test('without an owner, another worker serves its files', async () => {
      const [, second] = cluster.workers;
      await second?.kill();
      for (const path of paths) {
        assert.equal((await fs.catFile(path)).toString('utf8'), `the bytes of ${path}`);
      }
    });
  });
}
