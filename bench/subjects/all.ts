/** Brings up everything that takes part in a run, and says who is missing and why. */
import { mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasEtcd } from '../../src/devcluster/index.ts';
import { realAlluxioScript } from '../../test/support/repository.ts';
import type { Cleanup } from '../../test/support/temp-dir.ts';
import type { DataSet } from '../support/data-set.ts';
import type { SubjectNote } from '../support/figures.ts';
import type { BenchOptions } from '../support/options.ts';
import { findProgram } from '../support/programs.ts';
import type { Workload } from '../support/workload.ts';
import { attachedClusterPlace, devClusterPlace, realClusterPlace } from './clusters.ts';
import type { ClusterPlace } from './clusters.ts';
import { ourCommands, rcloneCopy } from './copiers.ts';
import { curlSubject } from './curl.ts';
import { localSubject } from './local.ts';
import { Ours } from './ours.ts';
import { alluxioFuse, rclone, s3fs } from './peers.ts';
import { startS3Server } from './s3-server.ts';
import type { Subject } from './subject.ts';

export interface Cast {
  readonly subjects: readonly Subject[];
  readonly notes: readonly SubjectNote[];
}

export interface CastParts {
  readonly cleanup: Cleanup;
  readonly options: BenchOptions;
  readonly data: DataSet;
  readonly workload: Workload;
  readonly workDir: string;
}

export async function assemble(parts: CastParts): Promise<Cast> {
  const { cleanup, options, data, workDir } = parts;
  const mounts = join(workDir, 'mounts');
  await mkdir(mounts, { recursive: true });
  const subjects: Subject[] = [];
  const notes: SubjectNote[] = [];
  const isWanted = (id: string): boolean => options.subjects?.includes(id) ?? true;
  const take = async (
    id: string,
    title: string,
    make: () => Promise<Subject | string> | Subject | string,
  ): Promise<void> => {
    if (!isWanted(id)) return;
    const made = await Promise.resolve()
      .then(make)
      .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    if (typeof made === 'string') notes.push({ id, title, detail: '', missing: made });
    else {
      cleanup(() => made.stop());
      subjects.push(made);
      notes.push({ id, title: made.title, detail: made.detail });
    }
  };
  const ours = (id: string, title: string, cluster: ClusterPlace) =>
    new Ours({ id, title, cluster, workDir: mounts, flags: options.ours });
  const places = { workload: parts.workload, workDir };

  await take('local', 'local file', () => localSubject(data.folder));
  if (['ours', 'curl-page', 'curl-s3', 'alluxio-fuse', 'ours-copy'].some(isWanted)) {
    const real = await reach(() => realPlace(parts));
    const over = (make: (cluster: ClusterPlace) => Subject | string) => () =>
      typeof real === 'string' ? real : make(real);
    await take(
      'ours',
      'alluxio-fuse (ours)',
      over((cluster) => ours('ours', 'ours', cluster)),
    );
    await take(
      'curl-page',
      'curl, page endpoint',
      over((c) => curlOf('curl-page', c, 'page')),
    );
    await take(
      'curl-s3',
      'curl, S3 port',
      over((c) => curlOf('curl-s3', c, 's3')),
    );
    await take(
      'alluxio-fuse',
      "Alluxio's own FUSE",
      over((c) => alluxioFuse(c, mounts)),
    );
    await take(
      'ours-copy',
      'ours, commands',
      over((c) => ourCommands('ours-copy', 'ours, commands', c, places)),
    );
  }
  if (['ours-dev', 'curl-page-dev', 'curl-s3-dev', 'ours-copy-dev'].some(isWanted)) {
    const dev = await reach(async () =>
      hasEtcd() ? await devClusterPlace(cleanup, data.root) : 'etcd is not installed',
    );
    const over = (make: (cluster: ClusterPlace) => Subject | string) => () =>
      typeof dev === 'string' ? dev : make(dev);
    await take(
      'ours-dev',
      'ours, dev worker',
      over((c) => ours('ours-dev', 'ours, dev worker', c)),
    );
    await take(
      'curl-page-dev',
      'curl, dev worker',
      over((c) => curlOf('curl-page-dev', c, 'page')),
    );
    await take(
      'curl-s3-dev',
      'curl, S3 port of the dev worker',
      over((c) => curlOf('curl-s3-dev', c, 's3')),
    );
    await take(
      'ours-copy-dev',
      'ours, commands, dev worker',
      over((c) => ourCommands('ours-copy-dev', 'ours, commands, dev worker', c, places)),
    );
  }
  if (['rclone', 's3fs', 'rclone-copy'].some(isWanted)) {
    const s3 = await reach(() => startS3Server(cleanup, data.root, workDir));
    await take('rclone', 'rclone mount', () => (typeof s3 === 'string' ? s3 : rclone(s3, mounts)));
    await take('rclone-copy', 'rclone copy', async () =>
      typeof s3 === 'string' ? s3 : await rcloneCopy(s3, places),
    );
    await take('s3fs', 's3fs', () => (typeof s3 === 'string' ? s3 : s3fs(s3, mounts)));
  }
  return { subjects, notes };

  function curlOf(id: string, cluster: ClusterPlace, dataPath: 'page' | 's3'): Subject | string {
    if (findProgram('curl') === undefined) return 'curl is not installed';
    const subject = curlSubject(id, cluster, dataPath, places);
    if (!id.endsWith('-dev')) return subject;
    return { ...subject, title: dataPath === 'page' ? 'curl, dev worker' : 'curl, S3 port, dev' };
  }
}

async function reach<T>(make: () => Promise<T>): Promise<T | string> {
  try {
    return await make();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function realPlace({ cleanup, options, data }: CastParts): Promise<ClusterPlace | string> {
  if (options.realCluster !== undefined) return await attachedClusterPlace(options.realCluster);
  if (!existsSync(realAlluxioScript())) return `no Alluxio at ${realAlluxioScript()}`;
  if (findProgram('java') === undefined) return 'Java is not installed';
  if (!hasEtcd()) return 'etcd is not installed';
  return await realClusterPlace(cleanup, data.root);
}
