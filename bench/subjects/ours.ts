/** Our own mount, as a user starts it, with its defaults or with what a subject is about. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { optionList } from '../../src/config/index.ts';
import { runCommand } from '../support/children.ts';
import { processTree, unmount } from '../support/kernel.ts';
import type { ClusterPlace } from './clusters.ts';
import { emptyDiskTier, settle } from './disk-tier.ts';
import type { DiskTier, MountSubject } from './subject.ts';
import { DATA_FOLDER } from '../support/data-set.ts';

const MOUNT_MS = 60_000;
/** The program of the same build as this file. */
export const PROGRAM = new URL('../../src/cli/main.js', import.meta.url).pathname;

export interface OursOptions {
  readonly id: string;
  readonly title: string;
  readonly cluster: ClusterPlace;
  readonly workDir: string;
  readonly flags: readonly string[];
  readonly hasDiskTier?: boolean;
}

/** A text where this build has no such option. */
export function oursWith(options: OursOptions, ...optionKeys: string[]): Ours | string {
  const known = new Set(optionList.map(({ row }) => row.key));
  const unknown = optionKeys.filter((key) => !known.has(key));
  if (unknown.length > 0) return `no option --${unknown.join(', --')} in this build`;
  return new Ours(options);
}

export class Ours implements MountSubject {
  readonly kind = 'mount';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  readonly folder: string;
  readonly hasServerCache = true;
  readonly cluster: ClusterPlace;
  readonly diskTier?: DiskTier;
  readonly #options: OursOptions;
  readonly #mountpoint: string;
  readonly #stateDir: string;
  readonly #cacheDir: string;
  #supervisor = 0;

  constructor(options: OursOptions) {
    const { id, title, cluster, workDir, flags, hasDiskTier = false } = options;
    this.#options = options;
    this.id = id;
    this.title = title;
    this.cluster = cluster;
    this.#mountpoint = join(workDir, id);
    this.#stateDir = join(workDir, `${id}-state`);
    this.#cacheDir = join(workDir, `${id}-cache`);
    this.folder = join(this.#mountpoint, DATA_FOLDER);
    const shown = [...(hasDiskTier ? ['--cache-dir=…'] : []), ...flags].join(' ');
    this.detail = `bin/alluxio-fuse over ${cluster.detail}; ${shown || 'default options'}`;
    if (hasDiskTier) {
      this.diskTier = {
        settle: (bytes) => settle(this.#cacheDir, bytes),
        remount: async () => {
          await this.stop();
          await this.#start();
        },
      };
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await emptyDiskTier(this.#cacheDir);
    await this.#start();
  }

  async #start(): Promise<void> {
    await mkdir(this.#mountpoint, { recursive: true });
    const { cluster, flags, workDir, id } = this.#options;
    const { info } = cluster;
    await this.#program([
      'mount',
      this.#mountpoint,
      `--etcd-hosts=${info.etcdHost}:${info.etcdPort}`,
      `--cluster-name=${info.clusterName}`,
      `--ufs=${info.ufs}`,
      `--page-size=${info.pageSize}`,
      `--worker-s3-port=${info.workers[0]?.s3Port}`,
      `--state-dir=${this.#stateDir}`,
      `--log-file=${join(workDir, `${id}.log`)}`,
      '--metrics-port=0',
      '--read-only',
      ...(this.diskTier === undefined ? [] : [`--cache-dir=${this.#cacheDir}`]),
      ...flags,
    ]);
    const status = JSON.parse(
      await this.#program(['status', this.#mountpoint, '--json', `--state-dir=${this.#stateDir}`]),
    ) as { supervisorPid: number } | readonly { supervisorPid: number }[];
    this.#supervisor = (Array.isArray(status) ? status[0] : status).supervisorPid;
  }

  pids(): number[] {
    return processTree(this.#supervisor);
  }

  async stop(): Promise<void> {
    if (this.#supervisor === 0) return;
    this.#supervisor = 0;
    await this.#program(['umount', this.#mountpoint, `--state-dir=${this.#stateDir}`]).catch(
      async () => await unmount(this.#mountpoint),
    );
  }

  async #program(args: readonly string[]): Promise<string> {
    return await runCommand(process.execPath, [PROGRAM, ...args], { timeoutMs: MOUNT_MS });
  }
}
