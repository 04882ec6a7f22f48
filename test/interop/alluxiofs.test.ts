/**
 * Goal: a cluster that Alluxio's own Python client works on is one that we work on, and our development
 * cluster is one of them. Method: alluxiofs 1.0.6 (etcd, ring in the client) and the newest release do
 * everything on the devcluster; what they wrote we read, what we wrote they read; and 10,000 paths have
 * the same owner on both sides. What the client itself gets wrong stands in docs/interop.md.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Etcd3 } from 'etcd3';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { AlluxioFileSystem } from '../../src/client/index.ts';
import { Ring } from '../../src/cluster/ring.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { repositoryRoot } from '../support/repository.ts';
import { run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { entityName, putWorker } from '../support/worker-entries.ts';

const SCRIPT = join(repositoryRoot(), 'test/interop/scripts/alluxiofs_operations.py');
/** The newest client asks this port for ranges, whatever the cluster's is. */
const FIXED_S3_PORT = 29_998;
const PLACED_PATHS = 10_000;
const MANY_WORKERS = Array.from({ length: 23 }, (_, i) => {
  const identifier = createHash('md5').update(`worker ${i}`).digest('hex');
  return { host: `host-${i}`, httpPort: 28_080 + i, identifier };
});
/** The client's own default. */
const VIRTUAL_NODES = 5;

const THEIRS = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) % 256));
const WRITTEN = Buffer.from(Array.from({ length: 256 * 1200 }, (_, i) => i % 256));

const shown = (bytes: Uint8Array): object => ({
  md5: createHash('md5').update(bytes).digest('hex'),
  length: bytes.length,
});

function pythonOf(version: string): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'alluxio-fuse-test', `alluxiofs-${version}`, 'bin', 'python');
}

const failed = (results: Results, step: string): string =>
  (results[step] as { error?: string } | undefined)?.error ?? '';

type Results = Record<string, unknown>;

for (const version of ['1.0.6', '1.1.17']) {
  const python = pythonOf(version);
  const isNew = version !== '1.0.6';
  const missing = existsSync(join(python, '../../installed'))
    ? false
    : `alluxiofs ${version} is not installed (bin/test does where pip can)`;
  describe(
    `alluxiofs ${version} on the devcluster`,
    { skip: missing || skipReason('etcd') },
    () => {
      const cleanup = lastFirst((undo) => after(undo));
      let cluster: Devcluster;
      let system: AlluxioFileSystem;
      let results: Results;
      let work = '';
      let paths: string[] = [];

      before(async () => {
        work = await makeTempDir(cleanup, 'alluxiofs');
        cluster = await startTestDevcluster(cleanup, {
          personality: 'enterprise',
          virtualNodes: VIRTUAL_NODES,
          ...(isNew ? { s3Port: FIXED_S3_PORT } : {}),
        });
        const { info } = cluster;
        const [first] = info.workers;
        const etcdHosts = `${info.etcdHost}:${info.etcdPort}`;
        system = await AlluxioFileSystem.open({
          etcdHosts,
          ufs: info.ufs,
          pageSize: info.pageSize,
          virtualNodes: VIRTUAL_NODES,
          workerS3Port: first?.s3Port,
          targetProtocol: 'none',
          stagingDir: join(work, 'staging'),
          env: {},
        });
        cleanup(() => system.close());
        await system.write('/dir/theirs', THEIRS);
        await system.write('/dir/sub/deep', 'x');
        await writeFile(join(work, 'to-upload'), 'uploaded');
        // For placement alone: a ring with more points than three workers have.
        const etcd = new Etcd3({ hosts: etcdHosts });
        cleanup(() => Promise.resolve(etcd.close()));
        for (const worker of MANY_WORKERS) await putWorker(etcd, 'many', worker);
        paths = Array.from(
          { length: PLACED_PATHS },
          (_, i) => `${info.ufs}/${['数据', 'é ü', 'plain'][i % 3]}/${i * 7919}`,
        );
        const client = isNew
          ? { worker_hosts: `${first?.host}:${first?.httpPort}` }
          : { etcd_hosts: info.etcdHost, etcd_port: info.etcdPort, page_size: '64KB' };
        assert.equal(info.pageSize, TEST_PAGE_SIZE_BYTES);
        const task = {
          root: `${info.ufs}/dir`,
          client,
          upload: join(work, 'to-upload'),
          download: join(work, 'downloaded'),
          placement: { etcd_hosts: info.etcdHost, etcd_port: info.etcdPort, cluster_name: 'many' },
          paths,
        };
        const { code, out, err } = await run(python, ['-B', SCRIPT], {
          input: JSON.stringify(task),
        });
        assert.equal(code, 0, err);
        results = JSON.parse(out.slice(out.indexOf('{'))) as Results;
      });

      test('it reads what we wrote', async () => {
        const slash = isNew ? '/dir/' : '';
        // Where our uploads pass through; hidden by its dot and from our own listings.
        const uploads = `${slash}.alluxio-fuse-uploads`;
        assert.deepEqual(results['ls'], [uploads, `${slash}sub`, `${slash}theirs`]);
        assert.equal(results['info'], THEIRS.length);
        assert.equal(results['isdir'], true);
        if (isNew) assert.match(failed(results, 'exists'), /HTTPError: 404/);
        else assert.deepEqual(results['exists'], [true, false]);
        assert.deepEqual(results['read'], shown(THEIRS));
        assert.deepEqual(results['head'], shown(THEIRS.subarray(0, 100)));
        assert.deepEqual(results['tail'], shown(THEIRS.subarray(-100)));
        assert.deepEqual(results['cat_file'], shown(THEIRS.subarray(65_530, 65_550)));
        assert.deepEqual(results['open, seek, read'], shown(THEIRS.subarray(100_000, 170_000)));
        assert.equal(results['download'], THEIRS.length);
        assert.deepEqual(await readFile(join(work, 'downloaded')), THEIRS);
      });

      test('we read what it wrote', async () => {
        for (const step of ['mkdir', 'touch', 'write', 'upload', 'copy', 'mv', 'rm', 'rm -r']) {
          assert.equal(results[step], true, step);
        }
        assert.deepEqual(results['download_data'], shown(WRITTEN));
        assert.deepEqual(await system.ls('/dir/made', { detail: false }), [
          '/dir/made/copied',
          '/dir/made/moved',
          '/dir/made/written',
        ]);
        assert.deepEqual(Buffer.from(await system.read('/dir/made/written')), WRITTEN);
        assert.deepEqual(Buffer.from(await system.read('/dir/made/copied')), WRITTEN);
        assert.equal(Buffer.from(await system.read('/dir/made/moved')).toString(), 'uploaded');
        assert.equal(await system.exists('/dir/sub'), false);
      });

      test('its load jobs', () => {
        assert.equal(results['load'], true);
        assert.equal(results['submit_load'], true);
        assert.equal(results['load_progress'], 'LoadState.FAILED');
        assert.equal(results['stop_load'], false);
      });

      test(
        `${PLACED_PATHS} paths have the same owners`,
        { skip: isNew && 'it asks the workers' },
        () => {
          const workers = MANY_WORKERS.map((worker) => {
            return { ...worker, id: entityName(worker), version: 1, s3Port: 0 };
          });
          const ring = new Ring(workers, { virtualNodes: VIRTUAL_NODES });
          const ours = paths.map((path) => {
            const owner = ring.ownerOf(byteStringOfText(path));
            return `${owner?.host}:${owner?.httpPort}`;
          });
          assert.deepEqual(results['placement'], ours);
        },
      );
    },
  );
}
