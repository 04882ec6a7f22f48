// Every operation of the library on every kind of cluster, and the table that tells of it.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AlluxioError, AlluxioFileSystem } from '../../src/client/index.ts';
import type { ClientOptions } from '../../src/client/index.ts';
import type { DevclusterInfo } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { startRealAlluxio, startRealMaster } from '../support/real-alluxio.ts';
import { s3Missing, startS3Server } from '../support/s3-server.ts';
import { skipReason } from '../support/skip.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { BACKENDS, readTable, writeTable, type Backend, type Table } from './operations-table.ts';
import { OPERATIONS } from './operations.ts';

/** Writes what was found into docs/operations.md, in place of comparing. */
const REWRITES = process.env['ALLUXIO_FUSE_TEST_WRITE_OPERATIONS'] !== undefined;
const PAGE_SIZE_BYTES = 64 * 1024;
const VIRTUAL_NODES = 5;

/** `real` or `dev`: only these clusters. Real ones take minutes and run only when they are named. */
const ONLY = process.env['ALLUXIO_FUSE_TEST_OPERATIONS_ON'];
/** Alone, the devcluster takes some 20 s; other tests run beside it. A real worker needs seconds for a write. */
const SUITE_MS = ONLY === 'real' ? 2_700_000 : 600_000;

const kept = readTable();
const found: Table = new Map(
  OPERATIONS.map(({ face, name }) => [rowOf({ face, name }), new Map()]),
);

function rowOf({ face, name }: { readonly face: string; readonly name: string }): string {
  return face === 'client' ? `client: ${name}` : name;
}

interface Cluster {
  readonly info: DevclusterInfo;
  readonly takesLoads: boolean;
  readonly more?: ClientOptions;
}

function suite(
  what: string,
  skip: string | false,
  backends: readonly { readonly backend: Backend; readonly options: ClientOptions }[],
  start: (cleanup: Cleanup) => Promise<Cluster>,
): void {
  const isLeftOut = ONLY !== undefined && !what.includes(ONLY);
  describe(what, { skip: isLeftOut ? `not ${ONLY}` : skip, timeout: SUITE_MS }, () => {
    const undo: (() => Promise<void>)[] = [];
    const cleanup: Cleanup = (work) => undo.unshift(work);
    let cluster: Cluster;
    let scratch = '';

    before(async () => {
      scratch = await makeTempDir(cleanup, 'operations');
      cluster = await start(cleanup);
    });
    after(async () => {
      for (const work of undo) await work();
    });

    for (const { backend, options } of backends) {
      describe(backend, () => {
        let system: AlluxioFileSystem;
        let bucket = '';

        before(async () => {
          const { info } = cluster;
          system = await AlluxioFileSystem.open({
            etcdHosts: `${info.etcdHost}:${info.etcdPort}`,
            clusterName: info.clusterName,
            ufs: info.ufs,
            pageSize: info.pageSize,
            workerS3Port: info.workers[0]?.s3Port,
            stagingDir: join(scratch, 'staging'),
            env: {},
            ...cluster.more,
            ...options,
          });
          bucket = `/${backend.replaceAll(/\W+/g, '-')}`;
          await system.mkdir(bucket);
        });
        after(() => system.close());

        for (const [i, operation] of OPERATIONS.entries()) {
          const row = rowOf(operation);
          const expected = kept.get(row)?.get(backend);
          const isKnown = REWRITES || expected !== undefined;
          test(row, { skip: isKnown ? false : 'docs/operations.md does not say yet' }, async () => {
            const dir = `${bucket}/${i}`;
            await system.mkdir(dir);
            const local = await mkdtemp(join(scratch, 'local-'));
            const world = { fs: system, client: system.client, dir, local };
            const { takesLoads } = cluster;
            const listsAll = !backend.endsWith('s3');
            const outcome = await operation.run({ ...world, takesLoads, listsAll }).then(
              () => 'works',
              (error: unknown) => {
                // A wrong answer is a failed test; a documented "no" is a row of the table.
                const isNo = error instanceof AlluxioError && NOES.has(error.code);
                if (!isNo) throw error;
                return `${error.code}: ${error.reason.replaceAll(dir, '…')}`;
              },
            );
            await rm(local, { recursive: true });
            found.get(row)?.set(backend, outcome);
            if (REWRITES) rewrite();
            else assert.equal(outcome, expected, 'docs/operations.md');
          });
        }
      });
    }
  });
}

/** What the cluster cannot do, whoever asks. */
const NOES: ReadonlySet<string> = new Set(['unsupported', 'inexpressible']);

for (const personality of ['oss', 'enterprise'] as const) {
  const plain = {
    backend: `devcluster ${personality}`,
    options: { targetProtocol: 'none' },
  } as const;
  const backends =
    personality === 'oss'
      ? [plain, { backend: 'devcluster oss, file', options: {} } as const]
      : [plain];
  suite(
    `operations on dev workers, ${personality}`,
    skipReason('etcd'),
    backends,
    async (cleanup) => {
      const pageSizeBytes = PAGE_SIZE_BYTES;
      const cluster = await startTestDevcluster(cleanup, { personality, pageSizeBytes });
      return { info: cluster.info, takesLoads: personality === 'enterprise' };
    },
  );
}

suite(
  'operations on dev workers over a bucket',
  skipReason('etcd') || s3Missing(),
  [{ backend: 'devcluster oss, s3', options: {} }],
  async (cleanup) => {
    const top = await makeTempDir(cleanup, 'buckets');
    const dataDir = join(top, 'bucket', 'pre');
    await mkdir(dataDir, { recursive: true });
    const { endpoint, options } = await startS3Server(cleanup, { directory: top });
    const { credentials } = options;
    const pageSizeBytes = PAGE_SIZE_BYTES;
    const ufsUri = 's3://bucket/pre';
    const cluster = await startTestDevcluster(cleanup, { dataDir, ufsUri, pageSizeBytes });
    return {
      info: cluster.info,
      takesLoads: false,
      more: { targetOptions: { endpoint, credentials } },
    };
  },
);

suite(
  'operations on real workers',
  skipReason('real-alluxio') ||
    (ONLY === undefined && 'takes ten minutes: ALLUXIO_FUSE_TEST_OPERATIONS_ON=real runs it'),
  [
    { backend: 'real Alluxio', options: { targetProtocol: 'none' } },
    { backend: 'real Alluxio, file', options: {} },
  ],
  async (cleanup) => {
    const ufsDir = await makeTempDir(cleanup, 'ufs');
    const options = {
      workers: 3,
      pageSizeBytes: PAGE_SIZE_BYTES,
      ufsDir,
      virtualNodes: VIRTUAL_NODES,
    };
    const cluster = await startRealAlluxio(cleanup, options);
    await startRealMaster(cleanup, cluster.info);
    return { info: cluster.info, takesLoads: true };
  },
);

test('docs/operations.md has every operation', { skip: REWRITES }, () => {
  assert.deepEqual([...kept.keys()], [...found.keys()]);
});

/** After each operation: what was found by a run that did not come to its end is not lost. */
function rewrite(): void {
  const merged: Table = new Map();
  for (const [operation, row] of found) {
    const cells = BACKENDS.map((backend) => {
      return [backend, row.get(backend) ?? kept.get(operation)?.get(backend) ?? ''] as const;
    });
    merged.set(operation, new Map(cells));
  }
  writeTable(merged);
}
