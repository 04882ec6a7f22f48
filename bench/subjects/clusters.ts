/** The Alluxio clusters that mounts and curl read from. */
import type { DevclusterInfo } from '../../src/devcluster/index.ts';
import { startDevcluster } from '../../src/devcluster/index.ts';
import { parseWorkerEntry } from '../../src/cluster/membership/worker-entry.ts';
import type { Worker } from '../../src/cluster/types.ts';
import { membersOf, startRealAlluxio } from '../../test/support/real-alluxio.ts';
import type { Cleanup } from '../../test/support/temp-dir.ts';

/** Alluxio's default, and what its open-source release uses on the ring. */
const PAGE_SIZE_BYTES = 1024 * 1024;
export const VIRTUAL_NODES = 5;
const REAL_S3_PORT = 29998;
/** Room for all that is read, so that the server stays warm. */
const CACHE_BYTES = 4 * 1024 * 1024 * 1024;

export interface ClusterPlace {
  readonly detail: string;
  readonly info: DevclusterInfo;
  readonly workers: readonly Worker[];
}

export async function devClusterPlace(cleanup: Cleanup, dataDir: string): Promise<ClusterPlace> {
  const cluster = await startDevcluster({
    workers: 1,
    dataDir,
    pageSizeBytes: PAGE_SIZE_BYTES,
    personality: 'oss',
    cacheBytes: CACHE_BYTES,
  });
  cleanup(() => cluster.stop());
  return await placeOf(cluster.info, 'a development worker');
}

export async function realClusterPlace(cleanup: Cleanup, ufsDir: string): Promise<ClusterPlace> {
  const cluster = await startRealAlluxio(cleanup, {
    workers: 1,
    ufsDir,
    pageSizeBytes: PAGE_SIZE_BYTES,
    virtualNodes: VIRTUAL_NODES,
    properties: [`alluxio.worker.page.store.sizes=${CACHE_BYTES}`],
  });
  return await placeOf(cluster.info, 'a real Alluxio worker (open source 313)');
}

/** `etcd=HOST:PORT,ufs=DIR[,page-size=BYTES]`: workers that somebody else runs. */
export async function attachedClusterPlace(text: string): Promise<ClusterPlace> {
  const parts = new Map(text.split(',').map((part) => part.split('=') as [string, string]));
  const [host = '', port = ''] = (parts.get('etcd') ?? '').split(':');
  const info: DevclusterInfo = {
    etcdHost: host,
    etcdPort: Number(port),
    clusterName: parts.get('cluster') ?? 'DefaultAlluxioCluster',
    ufs: `file://${parts.get('ufs')}`,
    pageSize: Number(parts.get('page-size') ?? PAGE_SIZE_BYTES),
    workers: [],
  };
  const place = await placeOf(info, 'real Alluxio workers (open source 313)');
  if (place.workers.length === 0) throw new Error(`No workers in the etcd of "${text}"`);
  return {
    ...place,
    detail: `${place.workers.length} ${place.detail}`,
    info: { ...info, workers: place.workers },
  };
}

async function placeOf(info: DevclusterInfo, detail: string): Promise<ClusterPlace> {
  const members = await membersOf(
    `http://${info.etcdHost}:${info.etcdPort}`,
    `/ServiceDiscovery/${info.clusterName}/`,
  );
  const s3Port = info.workers[0]?.s3Port ?? REAL_S3_PORT;
  return { detail, info, workers: members.map(({ value }) => parseWorkerEntry(value, { s3Port })) };
}
