/** A devcluster for one test or one suite, stopped at its end. */
import type { Devcluster, DevclusterOptions, FaultRule } from '../../src/devcluster/index.ts';
import { startDevcluster } from '../../src/devcluster/index.ts';
import type { Cleanup } from './temp-dir.ts';
import { makeTempDir } from './temp-dir.ts';

/** Small, so that files of a few hundred KiB have many pages. */
export const TEST_PAGE_SIZE_BYTES = 64 * 1024;

export async function startTestDevcluster(
  cleanup: Cleanup,
  options: Partial<DevclusterOptions> = {},
): Promise<Devcluster> {
  const hasMounts = options.mounts !== undefined;
  const dataDir = hasMounts ? undefined : (options.dataDir ?? (await makeTempDir(cleanup, 'ufs')));
  const cluster = await startDevcluster({
    workers: 3,
    pageSizeBytes: TEST_PAGE_SIZE_BYTES,
    personality: 'oss',
    ...options,
    dataDir,
  });
  cleanup(() => cluster.stop());
  return cluster;
}

/** The cluster as a child process is told of it that runs a command. */
export function commandEnvironment(
  { info }: Devcluster,
  stagingDir: string,
): Readonly<Record<string, string>> {
  return {
    ALLUXIO_FUSE_ETCD_HOSTS: `${info.etcdHost}:${info.etcdPort}`,
    ...(info.mounts === undefined
      ? { ALLUXIO_FUSE_UFS: info.ufs }
      : { ALLUXIO_FUSE_MAP: 'cluster' }),
    ALLUXIO_FUSE_PAGE_SIZE: String(info.pageSize),
    ALLUXIO_FUSE_WORKER_S3_PORT: String(info.workers[0]?.s3Port),
    ALLUXIO_FUSE_VIRTUAL_NODES: info.mounts === undefined ? '5' : '2000',
    ALLUXIO_FUSE_STAGING_DIR: stagingDir,
  };
}

/** The same for all workers, in place of what they had. */
export async function faultsOf(
  cluster: Pick<Devcluster, 'workers'>,
  rules: readonly FaultRule[],
): Promise<void> {
  await Promise.all(cluster.workers.map((worker) => worker.setFaults(rules, 1)));
}
