/** Our own mount, as a user starts it, with its defaults. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../support/children.ts';
import { processTree, unmount } from '../support/kernel.ts';
import type { ClusterPlace } from './clusters.ts';
import type { MountSubject } from './subject.ts';
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
}

export class Ours implements MountSubject {
  readonly kind = 'mount';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  readonly folder: string;
  readonly hasServerCache = true;
  readonly #options: OursOptions;
  readonly #mountpoint: string;
  readonly #stateDir: string;
  #supervisor = 0;

  constructor(options: OursOptions) {
    this.#options = options;
    this.id = options.id;
    this.title = options.title;
    this.detail = `bin/alluxio-fuse over ${options.cluster.detail}; ${options.flags.join(' ') || 'default options'}`;
    this.#mountpoint = join(options.workDir, options.id);
    this.#stateDir = join(options.workDir, `${options.id}-state`);
    this.folder = join(this.#mountpoint, DATA_FOLDER);
  }

  async restart(): Promise<void> {
    await this.stop();
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
