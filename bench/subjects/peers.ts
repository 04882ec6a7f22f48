/** The other mounts: Alluxio's own over the same real worker; the rest over an S3 server. */
import { chmod, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { realAlluxioScript } from '../../test/support/repository.ts';
import { DATA_FOLDER } from '../support/data-set.ts';
import { findProgram, versionOf } from '../support/programs.ts';
import type { ClusterPlace } from './clusters.ts';
import { S3_KEY, S3_SECRET } from './s3-server.ts';
import type { S3Place } from './s3-server.ts';
import { ServerMount } from './server-mount.ts';
import type { MountSubject } from './subject.ts';
import { VIRTUAL_NODES } from './clusters.ts';

/** A text says why it is missing. */
export type Peer = MountSubject | string;

export function alluxioFuse(cluster: ClusterPlace, workDir: string): Peer {
  const script = realAlluxioScript();
  if (!existsSync(script)) return `no Alluxio at ${script}`;
  if (findProgram('java') === undefined) return 'Java is not installed';
  const { info } = cluster;
  const mountpoint = join(workDir, 'alluxio-fuse-java');
  return new ServerMount({
    id: 'alluxio-fuse',
    title: "Alluxio's own FUSE",
    detail: `open source 313 (Java, libfuse), default options, over ${cluster.detail}`,
    mountpoint,
    folder: DATA_FOLDER,
    hasServerCache: true,
    logFile: join(workDir, 'alluxio-fuse-java.log'),
    command: [
      script,
      'fuse',
      '--dir',
      join(workDir, 'alluxio-fuse-java-home'),
      '--ufs',
      info.ufs,
      '--etcd',
      `http://${info.etcdHost}:${info.etcdPort}`,
      '--cluster',
      info.clusterName,
      '--virtual-nodes',
      String(VIRTUAL_NODES),
      '--page-size',
      String(info.pageSize),
      '--mount',
      mountpoint,
    ],
  });
}

export async function rclone(s3: S3Place, workDir: string): Promise<Peer> {
  const program = findProgram('rclone');
  if (program === undefined) return 'rclone is not installed';
  const mountpoint = join(workDir, 'rclone');
  return new ServerMount({
    id: 'rclone',
    title: 'rclone mount',
    detail: `${await versionOf(program, 'version')}, default options, over ${s3.detail}`,
    mountpoint,
    folder: '.',
    hasServerCache: false,
    logFile: join(workDir, 'rclone.log'),
    command: [program, 'mount', `:s3:${DATA_FOLDER}`, mountpoint, ...rcloneFlags(s3)],
  });
}

export function rcloneFlags(s3: S3Place): string[] {
  return [
    '--config',
    '/dev/null',
    '--s3-provider',
    'Other',
    '--s3-endpoint',
    s3.endpoint,
    '--s3-access-key-id',
    S3_KEY,
    '--s3-secret-access-key',
    S3_SECRET,
  ];
}

export async function s3fs(s3: S3Place, workDir: string): Promise<Peer> {
  const program = findProgram('s3fs');
  if (program === undefined) return 's3fs is not installed';
  const mountpoint = join(workDir, 's3fs');
  const secret = join(workDir, 's3fs-secret');
  await writeFile(secret, `${S3_KEY}:${S3_SECRET}\n`);
  await chmod(secret, 0o600);
  return new ServerMount({
    id: 's3fs',
    title: 's3fs',
    detail: `${await versionOf(program, '--version')}, default options, over ${s3.detail}`,
    mountpoint,
    folder: '.',
    hasServerCache: false,
    logFile: join(workDir, 's3fs.log'),
    command: [
      program,
      DATA_FOLDER,
      mountpoint,
      '-f',
      '-o',
      `url=${s3.endpoint},use_path_request_style,passwd_file=${secret}`,
    ],
  });
}

/** What its program takes when nothing is said: this part of the machine's memory. */
const MOUNTPOINT_MEMORY = 0.95;

export function mountpointS3(s3: S3Place, workDir: string): Peer {
  const program = findProgram('bench-mountpoint');
  if (program === undefined) return 'not built: bin/bench --install does it';
  const directory = join(workDir, 'mountpoint');
  return new ServerMount({
    id: 'mountpoint',
    title: 'mountpoint-s3',
    detail: `library mountpoint-s3-fs (bench/peers/mountpoint), default options, over ${s3.detail}`,
    mountpoint: directory,
    folder: '.',
    hasServerCache: false,
    logFile: join(workDir, 'mountpoint.log'),
    command: [
      program,
      DATA_FOLDER,
      directory,
      s3.endpoint,
      String(Math.floor(totalmem() * MOUNTPOINT_MEMORY)),
    ],
    env: {
      AWS_ACCESS_KEY_ID: S3_KEY,
      AWS_SECRET_ACCESS_KEY: S3_SECRET,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  });
}
