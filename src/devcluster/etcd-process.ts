/** A real etcd on loopback, on free ports, with a temporary data directory. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { endChild, isRunning, siblingFile } from './child.ts';
import { freePort } from './ports.ts';

/** etcd answers within a second here; a busy machine with two cores gets much more. */
const READY_MS = 30_000;
const PROBE_MS = 50;
/** A port may be taken between asking for it and using it. */
const START_ATTEMPTS = 5;
/** Enough of its output to show why it did not start. */
const OUTPUT_CHARS_MAX = 4000;

export const ETCD_MISSING =
  'etcd is not installed: run `apt-get install etcd-server`, or give the address of a running one';

export function hasEtcd(): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, 'etcd'), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export class EtcdProcess {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #peerPort: number;
  readonly #dataDir: string;
  #guard: ChildProcess | undefined;
  #isWanted = true;
  #output = '';

  private constructor(port: number, peerPort: number, dataDir: string) {
    this.port = port;
    this.#peerPort = peerPort;
    this.#dataDir = dataDir;
  }

  static async start(): Promise<EtcdProcess> {
    if (!hasEtcd()) throw new Error(ETCD_MISSING);
    for (let attempt = 1; ; attempt += 1) {
      const dataDir = await mkdtemp(join(tmpdir(), 'devcluster-etcd-'));
      const etcd = new EtcdProcess(await freePort(), await freePort(), dataDir);
      try {
        await etcd.up();
        return etcd;
      } catch (error) {
        await etcd.stop();
        if (attempt >= START_ATTEMPTS || !etcd.#output.includes('address already in use')) {
          throw error;
        }
      }
    }
  }

  /** `onLoss` is told when it ends and nobody wanted that. */
  watch(onLoss: (what: string) => void): void {
    this.#guard?.once('exit', () => {
      if (this.#isWanted) onLoss(`etcd ended: ${this.#output.trim().split('\n').at(-1) ?? ''}`);
    });
  }

  /** Starts it, or starts it again over the same data and ports. */
  async up(): Promise<void> {
    this.#isWanted = true;
    if (this.#guard !== undefined && isRunning(this.#guard)) return;
    const client = `http://${this.host}:${this.port}`;
    const peer = `http://${this.host}:${this.#peerPort}`;
    const flags = [
      ['--name', 'devcluster'],
      ['--data-dir', join(this.#dataDir, 'data')],
      ['--listen-client-urls', client],
      ['--advertise-client-urls', client],
      ['--listen-peer-urls', peer],
      ['--initial-advertise-peer-urls', peer],
      ['--initial-cluster', `devcluster=${peer}`],
    ].flat();
    const guard = fork(siblingFile('./etcd-guard', import.meta.url), [this.#dataDir, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.#guard = guard;
    guard.stderr?.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
    });
    const deadline = performance.now() + READY_MS;
    while (!(await isHealthy(client))) {
      if (!isRunning(guard)) throw new Error(`etcd did not start: ${this.#output}`);
      if (performance.now() > deadline) throw new Error(`etcd is not ready: ${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
  }

  /** Kills it and keeps its data, as a crash would. */
  async down(): Promise<void> {
    this.#isWanted = false;
    if (this.#guard !== undefined) await endChild(this.#guard, 'SIGTERM');
  }

  async stop(): Promise<void> {
    await this.down();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) });
    const body = (await response.json()) as { health?: unknown };
    return body.health === 'true' || body.health === true;
  } catch {
    return false;
  }
}
