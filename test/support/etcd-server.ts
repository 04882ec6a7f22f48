/** A real etcd of a test's own: free ports, a data directory of its own, stopped by pid. */
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** An etcd is up within a second; a loaded machine gets plenty more. */
const START_MS_MAX = 30_000;

/** Reason to skip a test by name, or false. */
export function etcdMissing(): string | false {
  return spawnSync('etcd', ['--version']).status === 0 ? false : 'etcd is not installed';
}

export class EtcdServer {
  readonly #directory: string;
  readonly #port: number;
  readonly #peerPort: number;
  #process: ChildProcess | undefined;

  constructor(directory: string, ports: readonly [number, number]) {
    this.#directory = directory;
    [this.#port, this.#peerPort] = ports;
  }

  static async start(): Promise<EtcdServer> {
    const directory = await mkdtemp(join(tmpdir(), 'alluxio-fuse-etcd-'));
    const server = new EtcdServer(directory, [await freePort(), await freePort()]);
    await server.restart();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Same data, same port. */
  async restart(): Promise<void> {
    const peer = `http://127.0.0.1:${this.#peerPort}`;
    const child = spawn(
      'etcd',
      [
        '--log-level=error',
        '--unsafe-no-fsync',
        `--data-dir=${join(this.#directory, 'data')}`,
        `--listen-client-urls=${this.url}`,
        `--advertise-client-urls=${this.url}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
      ],
      { stdio: 'ignore' },
    );
    this.#process = child;
    const deadlineMs = performance.now() + START_MS_MAX;
    while (!(await isListening(this.#port))) {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`);
      if (performance.now() > deadlineMs) throw new Error('etcd did not start');
      await delay(50);
    }
  }

  /** As if the machine had lost power; the data stays. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async wipe(): Promise<void> {
    await rm(join(this.#directory, 'data'), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
