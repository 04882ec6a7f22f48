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
import { libfuse } from './libfuse.ts';
import { loadSubject } from './load.ts';
import { localSubject } from './local.ts';
import { oursWith } from './ours.ts';
import { alluxioFuse, mountpointS3, rclone, s3fs } from './peers.ts';
import { programSubject } from './program.ts';
import { startS3Server } from './s3-server.ts';
import type { S3Place } from './s3-server.ts';
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

/** Somebody who may take part; the server is brought up when the first of its readers is wanted. */
interface Candidate<Place> {
  readonly id: string;
  readonly title: string;
  /** A text says why it is missing. */
  readonly make: (place: Place, stage: Stage) => Promise<Subject | string> | Subject | string;
}

interface Stage extends CastParts {
  /** Where mounts are made. */
  readonly mounts: string;
}

const LOCAL: readonly Candidate<undefined>[] = [
  { id: 'local', title: 'local file', make: (_, { data }) => localSubject(data.folder) },
  {
    id: 'libfuse',
    title: 'C, libfuse',
    make: (_, { data, mounts }) => libfuse(data.folder, mounts),
  },
  { id: 'program', title: 'ours, no mount', make: () => programSubject() },
];

const REAL: readonly Candidate<ClusterPlace>[] = [
  own('ours', 'ours'),
  // Only such a mount may have the kernel read whole files by itself.
  own('ours-disk', 'ours, disk tier', { hasDiskTier: true, flags: ['--read-only'] }, 'cache-dir'),
  own('ours-immutable', 'ours, --immutable', { flags: ['--immutable'] }, 'immutable'),
  ...plainClients(''),
  {
    id: 'alluxio-fuse',
    title: "Alluxio's own FUSE",
    make: (place, { mounts }) => alluxioFuse(place, mounts),
  },
  copies('ours-copy'),
];

const DEV: readonly Candidate<ClusterPlace>[] = [
  own('ours-dev', 'ours, dev worker'),
  ...plainClients('-dev'),
  copies('ours-copy-dev'),
];

const S3: readonly Candidate<S3Place>[] = [
  { id: 'rclone', title: 'rclone mount', make: (s3, { mounts }) => rclone(s3, mounts) },
  { id: 'rclone-copy', title: 'rclone copy', make: (s3, stage) => rcloneCopy(s3, stage) },
  { id: 's3fs', title: 's3fs', make: (s3, { mounts }) => s3fs(s3, mounts) },
  { id: 'mountpoint', title: 'mountpoint-s3', make: (s3, { mounts }) => mountpointS3(s3, mounts) },
];

/** In the order of tables and plots. */
export const SUBJECT_TITLES: ReadonlyMap<string, string> = new Map(
  [LOCAL, REAL, DEV, S3].flatMap((list) => list.map(({ id, title }) => [id, title] as const)),
);

export async function assemble(parts: CastParts): Promise<Cast> {
  const mounts = join(parts.workDir, 'mounts');
  await mkdir(mounts, { recursive: true });
  const stage: Stage = { ...parts, mounts };
  const subjects: Subject[] = [];
  const notes: SubjectNote[] = [];
  const take = async <Place>(
    candidates: readonly Candidate<Place>[],
    bringUp: () => Promise<Place | string> | Place | string,
  ): Promise<void> => {
    const wanted = candidates.filter(({ id }) => parts.options.subjects?.includes(id) ?? true);
    if (wanted.length === 0) return;
    const place = await orReason(bringUp);
    for (const { id, title, make } of wanted) {
      const made = typeof place === 'string' ? place : await orReason(() => make(place, stage));
      if (typeof made === 'string') notes.push({ id, title, detail: '', missing: made });
      else {
        parts.cleanup(() => made.stop());
        subjects.push(made);
        notes.push({ id, title: made.title, detail: made.detail });
      }
    }
  };
  await take(LOCAL, () => undefined);
  await take(REAL, () => realPlace(parts));
  await take(DEV, () =>
    hasEtcd() ? devClusterPlace(parts.cleanup, parts.data.root) : 'etcd is not installed',
  );
  await take(S3, () => startS3Server(parts.cleanup, parts.data, parts.workDir));
  return { subjects, notes };
}

/** Our mount; `needs`: options that an older build has not. */
function own(
  id: string,
  title: string,
  extra: { readonly flags?: readonly string[]; readonly hasDiskTier?: boolean } = {},
  ...needs: string[]
): Candidate<ClusterPlace> {
  return {
    id,
    title,
    make: (cluster, { mounts, options }) => {
      const flags = [...(extra.flags ?? []), ...options.ours];
      return oursWith({ id, title, cluster, workDir: mounts, ...extra, flags }, ...needs);
    },
  };
}

/** `suffix`: '' for a real worker, '-dev' for ours. */
function plainClients(suffix: '' | '-dev'): Candidate<ClusterPlace>[] {
  const isDev = suffix !== '';
  const curl = (dataPath: 'page' | 's3', title: string): Candidate<ClusterPlace> => ({
    id: `curl-${dataPath}${suffix}`,
    title,
    make: (place, stage) => {
      if (findProgram('curl') === undefined) return 'curl is not installed';
      return { ...curlSubject(`curl-${dataPath}${suffix}`, place, dataPath, stage), title };
    },
  });
  const loadTitle = isDev ? 'wrk, dev worker' : 'wrk, page endpoint';
  return [
    curl('page', isDev ? 'curl, dev worker' : 'curl, page endpoint'),
    curl('s3', isDev ? 'curl, S3 port, dev' : 'curl, S3 port'),
    {
      id: `load${suffix}`,
      title: loadTitle,
      make: (place, { workDir }) => loadSubject(`load${suffix}`, loadTitle, place, workDir),
    },
  ];
}

function copies(id: 'ours-copy' | 'ours-copy-dev'): Candidate<ClusterPlace> {
  const title = id === 'ours-copy' ? 'ours, commands' : 'ours, commands, dev worker';
  return { id, title, make: (place, stage) => ourCommands(id, title, place, stage) };
}

async function orReason<T>(make: () => Promise<T | string> | T | string): Promise<T | string> {
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
