/** A mount that is one process in the foreground: Alluxio's own FUSE, rclone, s3fs. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '../../test/support/wait.ts';
import { plainEnv, Server } from '../support/children.ts';
import { cpuSeconds, isMounted, processTree, unmount } from '../support/kernel.ts';
import type { MountSubject } from './subject.ts';

/** A JVM needs some 5 s on a quiet machine. */
const START_MS = 90_000;

export interface ServerMountOptions {
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  readonly mountpoint: string;
  /** Of the data set within the mount. */
  readonly folder: string;
  readonly hasServerCache: boolean;
  readonly logFile: string;
  readonly command: readonly string[];
  /** Besides the environment that all programs of a bench get. */
  readonly env?: Readonly<Record<string, string>>;
}

export class ServerMount implements MountSubject {
  readonly kind = 'mount';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  readonly folder: string;
  readonly hasServerCache: boolean;
  readonly #options: ServerMountOptions;
  #server: Server | undefined;

  constructor(options: ServerMountOptions) {
    this.#options = options;
    this.id = options.id;
    this.title = options.title;
    this.detail = options.detail;
    this.folder = join(options.mountpoint, options.folder);
    this.hasServerCache = options.hasServerCache;
  }

  async restart(): Promise<void> {
    await this.stop();
    const { mountpoint, command, logFile, env } = this.#options;
    await mkdir(mountpoint, { recursive: true });
    const server = await Server.start(command[0] ?? '', command.slice(1), logFile, {
      ...plainEnv(),
      ...env,
    });
    this.#server = server;
    await waitFor(
      `${this.title} to mount`,
      async () => {
        server.check();
        return isMounted(mountpoint) && (await answers(this.folder));
      },
      START_MS,
    );
    await settle(server.pid);
  }

  pids(): number[] {
    return this.#server === undefined ? [] : processTree(this.#server.pid);
  }

  async stop(): Promise<void> {
    await unmount(this.#options.mountpoint);
    await this.#server?.stop();
    this.#server = undefined;
  }
}

async function answers(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch {
    return false;
  }
}

/** A program that still starts up (a JVM compiles) would be measured with its start. */
async function settle(pid: number): Promise<void> {
  const SAMPLE_MS = 500;
  let last = cpuSeconds([pid]);
  let sampledAt = performance.now();
  await waitFor(
    'a new mount to become idle',
    () => {
      if (performance.now() - sampledAt < SAMPLE_MS) return false;
      const now = cpuSeconds([pid]);
      const isIdle = now - last < 0.05;
      last = now;
      sampledAt = performance.now();
      return isIdle;
    },
    20_000,
  ).catch(() => {});
}
