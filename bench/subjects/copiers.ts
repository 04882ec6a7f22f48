/** Programs that copy a whole directory between this machine's disk and a store: no mount between. */
import { join } from 'node:path';
import { DATA_FOLDER } from '../support/data-set.ts';
import { findProgram, versionOf } from '../support/programs.ts';
import type { Workload } from '../support/workload.ts';
import type { ClusterPlace } from './clusters.ts';
import { VIRTUAL_NODES } from './clusters.ts';
import { PROGRAM } from './ours.ts';
import type { S3Place } from './s3-server.ts';
import { rcloneFlags } from './peers.ts';
import type { CopierSubject } from './subject.ts';

interface Places {
  readonly workload: Workload;
  readonly workDir: string;
}

export function ourCommands(
  id: string,
  title: string,
  cluster: ClusterPlace,
  { workload, workDir }: Places,
): CopierSubject {
  const { info } = cluster;
  const run = (...args: string[]) =>
    workload.command(
      process.execPath,
      PROGRAM,
      'fs',
      ...args,
      `--etcd-hosts=${info.etcdHost}:${info.etcdPort}`,
      `--cluster-name=${info.clusterName}`,
      `--ufs=${info.ufs}`,
      `--page-size=${info.pageSize}`,
      `--worker-s3-port=${info.workers[0]?.s3Port}`,
      `--virtual-nodes=${VIRTUAL_NODES}`,
      `--staging-dir=${join(workDir, `${id}-staging`)}`,
    );
  return {
    kind: 'copier',
    id,
    title,
    detail: `bin/alluxio-fuse fs upload and download over ${cluster.detail}; default options`,
    upload: (from, name) => run('upload', '-r', '-T', from, `/${DATA_FOLDER}/${name}`),
    download: (name, to) => run('download', '-r', '-T', `/${DATA_FOLDER}/${name}`, to),
    stop: async () => {},
  };
}

export async function rcloneCopy(
  s3: S3Place,
  { workload }: Places,
): Promise<CopierSubject | string> {
  const program = findProgram('rclone');
  if (program === undefined) return 'rclone is not installed';
  const run = (from: string, to: string) =>
    workload.command(program, 'copy', from, to, ...rcloneFlags(s3));
  const at = (name: string): string => `:s3:${DATA_FOLDER}/${name}`;
  return {
    kind: 'copier',
    id: 'rclone-copy',
    title: 'rclone copy',
    detail: `${await versionOf(program, 'version')}, default options, over ${s3.detail}`,
    upload: (from, name) => run(from, at(name)),
    download: (name, to) => run(at(name), to),
    stop: async () => {},
  };
}
