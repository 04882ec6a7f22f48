/** The clusters that mount tests run on: dev workers of both personalities, and real Alluxio. */
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Devcluster, DevclusterInfo } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from './devcluster.ts';
import { startRealAlluxio } from './real-alluxio.ts';
import type { RealAlluxio } from './real-alluxio.ts';
import { output } from './run.ts';
import { skipReason } from './skip.ts';
import type { Cleanup } from './temp-dir.ts';
import { makeTempDir } from './temp-dir.ts';

export type ClusterKind = 'devcluster oss' | 'devcluster enterprise' | 'real Alluxio';

export const CLUSTER_KINDS: readonly ClusterKind[] = [
  'devcluster oss',
  'devcluster enterprise',
  'real Alluxio',
];

export interface TestCluster {
  readonly kind: ClusterKind;
  readonly info: DevclusterInfo;
  /** A directory of this test alone, directly under the root of the under store. */
  readonly sourceDir: string;
  /** The same below the mount point. */
  readonly name: string;
  /** It was there before the test, and others use it too. */
  readonly isShared: boolean;
  readonly devcluster?: Devcluster;
  readonly realAlluxio?: RealAlluxio;
}

/**
 * A file that describes a real cluster that already runs: the line of JSON that `devcluster`
 * prints, with `dataDir` besides. Saves the start of three JVMs while working on a test.
 */
const RUNNING_REAL_CLUSTER = process.env['ALLUXIO_FUSE_TEST_REAL_CLUSTER'];

/** Why a mount over such a cluster cannot be tested here, or false. */
export function skipCluster(
  kind: ClusterKind,
  options: { readonly pageSizeBytes?: number } = {},
): string | false {
  if (kind !== 'real Alluxio') return skipReason('root', 'fuse', 'etcd');
  if (RUNNING_REAL_CLUSTER !== undefined) {
    const { pageSize } = runningCluster(RUNNING_REAL_CLUSTER);
    const isOther = options.pageSizeBytes !== undefined && options.pageSizeBytes !== pageSize;
    return isOther ? 'the running real cluster has other pages' : skipReason('root', 'fuse');
  }
  return skipReason('root', 'fuse', 'real-alluxio');
}

export async function startCluster(
  cleanup: Cleanup,
  kind: ClusterKind,
  options: { readonly pageSizeBytes: number },
): Promise<TestCluster> {
  const { pageSizeBytes } = options;
  if (kind === 'real Alluxio') {
    if (RUNNING_REAL_CLUSTER !== undefined) return await attach(cleanup, RUNNING_REAL_CLUSTER);
    const dataDir = await makeTempDir(cleanup, 'ufs');
    const realAlluxio = await startRealAlluxio(cleanup, {
      workers: 3,
      pageSizeBytes,
      ufsDir: dataDir,
    });
    const info = realAlluxio.info;
    return { kind, info, isShared: false, realAlluxio, ...(await ownDirectory(cleanup, dataDir)) };
  }
  const personality = kind === 'devcluster oss' ? 'oss' : 'enterprise';
  const devcluster = await startTestDevcluster(cleanup, { pageSizeBytes, personality });
  const { info, dataDir } = devcluster;
  return { kind, info, isShared: false, devcluster, ...(await ownDirectory(cleanup, dataDir)) };
}

function runningCluster(file: string): DevclusterInfo & { readonly dataDir: string } {
  return JSON.parse(readFileSync(file, 'utf8')) as DevclusterInfo & { dataDir: string };
}

async function attach(cleanup: Cleanup, file: string): Promise<TestCluster> {
  const found = runningCluster(file);
  return {
    kind: 'real Alluxio',
    info: found,
    isShared: true,
    ...(await ownDirectory(cleanup, found.dataDir)),
  };
}

async function ownDirectory(
  cleanup: Cleanup,
  dataDir: string,
): Promise<{ sourceDir: string; name: string }> {
  const sourceDir = await mkdtemp(join(dataDir, 'mount-'));
  // rm(1): Node cannot remove names that are not UTF-8.
  cleanup(async () => {
    await output('rm', ['-rf', '--', sourceDir]);
  });
  return { sourceDir, name: sourceDir.slice(sourceDir.lastIndexOf('/') + 1) };
}
