/**
 * Goal: our ring is Alluxio's ring. Method: random worker sets go into a real etcd, Alluxio's own
 * client classes say who owns random paths, and our ring over the same etcd must say the same, in
 * the same order, for 10,000 paths over 1 to 50 workers and 1 to 2000 virtual nodes.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Etcd3 } from 'etcd3';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { ignoredEvents } from '../../src/cluster/cluster-events.ts';
import { EtcdMembership } from '../../src/cluster/membership/index.ts';
import { Ring } from '../../src/cluster/ring.ts';
import { etcdMissing, EtcdServer } from '../support/etcd-server.ts';
import { putWorker } from '../support/worker-entries.ts';

const alluxio = fileURLToPath(new URL('../../../../shared/alluxio/alluxio', import.meta.url));

function missing(): string | false {
  if (!existsSync(alluxio)) return 'Alluxio (../shared/alluxio) is not here';
  if (spawnSync('java', ['-version']).status !== 0) return 'Java is not installed';
  return etcdMissing();
}

const skip = missing();
let etcd: EtcdServer;
let client: Etcd3;

before(async () => {
  if (skip !== false) return;
  etcd = await EtcdServer.start();
  client = new Etcd3({ hosts: etcd.url });
});

after(async () => {
  if (skip !== false) return;
  client.close();
  await etcd.close();
});

const configurations = [
  { workers: 1, virtualNodes: 2000 },
  { workers: 2, virtualNodes: 1 },
  { workers: 7, virtualNodes: 5 },
  { workers: 23, virtualNodes: 137 },
  { workers: 50, virtualNodes: 2000 },
];
const PATHS_PER_CONFIGURATION = 2_000;
/** A JVM that compiles its own source, on a machine shared with other tests. */
const JAVA_MS_MAX = 120_000;

for (const { workers, virtualNodes } of configurations) {
  const name = `placement equals Alluxio's for ${workers} workers, ${virtualNodes} virtual nodes`;
  test(name, { skip }, async () => {
    const cluster = `c${workers}x${virtualNodes}`;
    for (let i = 0; i < workers; i += 1) {
      const identifier = hashOf(`${cluster} worker ${i}`).slice(0, 32);
      await putWorker(client, cluster, { host: `host-${i}`, httpPort: 28_080 + i, identifier });
    }
    const paths = Array.from({ length: PATHS_PER_CONFIGURATION }, (_, i) => pathOf(cluster, i));
    const expected = await placement({ cluster, virtualNodes, paths });

    const membership = new EtcdMembership({
      endpoints: [etcd.url],
      clusterName: cluster,
      s3Port: 29_998,
      clock: systemClock,
      logger: silentLogger,
      events: ignoredEvents,
    });
    try {
      const { signal } = new AbortController();
      await membership.ready({ signal, deadlineMs: performance.now() + 30_000 });
      const ring = new Ring(membership.view().workers, { virtualNodes });
      assert.equal(ring.size, workers);
      for (const path of paths) {
        const found = ring
          .workersFor(byteStringOfText(path), 3)
          .map((worker) => `${worker.host}:${worker.httpPort}`);
        assert.deepEqual(found, expected.get(path), path);
      }
    } finally {
      await membership.close();
    }
  });
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Normalised UFS paths, of which every third has characters outside ASCII. */
function pathOf(cluster: string, i: number): string {
  const digest = hashOf(`${cluster} path ${i}`);
  const odd = ['数据', 'é ü', '😀'][i % 9] ?? 'plain';
  return `file:///data/${digest.slice(0, 1 + (i % 60))}/${odd}/${i}`;
}

async function placement(query: {
  readonly cluster: string;
  readonly virtualNodes: number;
  readonly paths: readonly string[];
}): Promise<Map<string, string[]>> {
  const settings = ['--cluster', query.cluster, '--virtual-nodes', String(query.virtualNodes)];
  const child = spawn(alluxio, ['placement', '--etcd', etcd.url, ...settings, '--count', '3'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: JAVA_MS_MAX,
  });
  child.stdin.end(`${query.paths.join('\n')}\n`);
  child.stdout.setEncoding('utf8');
  let output = '';
  for await (const chunk of child.stdout) output += String(chunk);
  const rows = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const [path, owners] = line.split('\t');
    if (path !== undefined && owners !== undefined) rows.set(path, owners.split(' '));
  }
  assert.equal(rows.size, query.paths.length, 'Alluxio answered for every path');
  return rows;
}
