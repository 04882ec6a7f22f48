/**
 * Real Alluxio workers with an etcd of their own. Their ports are fixed, so one such cluster runs
 * on a machine at a time: a lock file makes test processes take turns, and a port that somebody
 * else holds is an error that names it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DevclusterInfo } from '../../src/devcluster/index.ts';
import { EtcdProcess } from '../../src/devcluster/index.ts';
import { realAlluxioScript } from './repository.ts';
import { waitFor } from './wait.ts';
import type { Cleanup } from './temp-dir.ts';
import { makeTempDir } from './temp-dir.ts';

export interface RealAlluxioOptions {
  readonly workers: number;
  readonly pageSizeBytes: number;
  readonly ufsDir: string;
  readonly virtualNodes?: number;
  /** Alluxio properties, `name=value`. */
  readonly properties?: readonly string[];
}

export interface RealAlluxio {
  readonly info: DevclusterInfo;
  readonly dataDir: string;
  readonly etcd: EtcdProcess;
  /** SIGKILL: the worker's lease lives on. */
  killWorker(index: number): Promise<void>;
  startWorker(index: number): Promise<void>;
}

const S3_PORT = 29998;
/** Three JVMs start in some 8 s alone on two cores; other tests run beside them. */
const START_MS = 180_000;
const STOP_MS = 20_000;
/** How long another test process may keep the fixed ports. */
const TURN_MS = 900_000;
const SETPRIV = '/usr/bin/setpriv';
const LOCK = join(tmpdir(), 'alluxio-fuse-real-alluxio.lock');

export async function startRealAlluxio(
  cleanup: Cleanup,
  options: RealAlluxioOptions,
): Promise<RealAlluxio> {
  // Clean-ups run in the order in which they were registered here, workers before what they use.
  const undo: (() => Promise<void>)[] = [];
  cleanup(async () => {
    for (const step of undo) await step();
  });
  await takeTurn();
  undo.unshift(() => rm(LOCK, { force: true }));
  await checkPorts(options.workers);
  const dir = await makeTempDir((work) => undo.unshift(work), 'real');
  const etcd = await EtcdProcess.start();
  undo.unshift(() => etcd.stop());
  const cluster = new RunningRealAlluxio(options, dir, etcd);
  undo.unshift(() => cluster.stop());
  await cluster.start();
  return cluster;
}

/** Takes load jobs some 40 s after its start, until when workers refuse them: nobody waits for it here. */
export async function startRealMaster(cleanup: Cleanup, info: DevclusterInfo): Promise<void> {
  const dir = await makeTempDir(cleanup, 'master');
  const etcd = `http://${info.etcdHost}:${info.etcdPort}`;
  const args = ['master', '--dir', dir, '--ufs', info.ufs, '--etcd', etcd];
  // The script ends in `exec java`, so the signal at the parent's death is java's.
  const command = ['--pdeathsig', 'KILL', realAlluxioScript(), ...args];
  const child = spawn(SETPRIV, command, { stdio: 'ignore' });
  child.once('error', () => undefined);
  cleanup(() => endProcess(child, 'SIGKILL'));
}

class RunningRealAlluxio implements RealAlluxio {
  readonly etcd: EtcdProcess;
  readonly #options: RealAlluxioOptions;
  readonly #dir: string;
  readonly #children = new Map<number, ChildProcess>();
  #info: DevclusterInfo | undefined;
  #output = '';

  constructor(options: RealAlluxioOptions, dir: string, etcd: EtcdProcess) {
    this.#options = options;
    this.#dir = dir;
    this.etcd = etcd;
  }

  get dataDir(): string {
    return this.#options.ufsDir;
  }

  get info(): DevclusterInfo {
    if (this.#info === undefined) throw new Error('The real Alluxio is not up');
    return this.#info;
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.#options.workers; i += 1) this.#spawn(i);
    const workers = [];
    for (let i = 0; i < this.#options.workers; i += 1) workers.push(await this.#up(i));
    // Before the first request: a worker builds its ring from who is there when it is first asked.
    const members = await waitFor(
      'all workers in etcd',
      async () => {
        const found = await membersOf(`http://${this.etcd.host}:${this.etcd.port}`);
        return found.length === this.#options.workers && found;
      },
      START_MS,
    );
    this.#info = {
      etcdHost: this.etcd.host,
      etcdPort: this.etcd.port,
      clusterName: 'DefaultAlluxioCluster',
      ufs: `file://${this.#options.ufsDir}`,
      pageSize: this.#options.pageSizeBytes,
      workers: workers.map((worker) => ({
        ...worker,
        id: members.find(({ host }) => host === worker.host)?.id ?? '',
        s3Port: S3_PORT,
      })),
    };
  }

  async killWorker(index: number): Promise<void> {
    await endProcess(this.#children.get(index), 'SIGKILL');
  }

  async startWorker(index: number): Promise<void> {
    this.#spawn(index);
    await this.#up(index);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => endProcess(child, 'SIGTERM')));
  }

  #spawn(index: number): void {
    const { ufsDir, pageSizeBytes, virtualNodes, properties } = this.#options;
    const flags = [
      `--dir=${join(this.#dir, `worker-${index}`)}`,
      `--index=${index}`,
      `--ufs=file://${ufsDir}`,
      `--etcd=http://${this.etcd.host}:${this.etcd.port}`,
      `--page-size=${pageSizeBytes}`,
      `--virtual-nodes=${virtualNodes ?? 5}`,
    ].flatMap((flag) => {
      const equals = flag.indexOf('=');
      return [flag.slice(0, equals), flag.slice(equals + 1)];
    });
    const defines = (properties ?? []).map((property) => `-D${property}`);
    const script = [realAlluxioScript(), 'worker', ...flags, ...defines];
    // The script ends in `exec java`, so the signal at the parent's death is java's.
    const command = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', ...script] : script;
    const child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString('utf8')).slice(-4000);
      });
    }
    child.on('error', (error) => {
      this.#output += error.message;
    });
    this.#children.set(index, child);
  }

  async #up(index: number): Promise<{ host: string; httpPort: number }> {
    const host = `127.0.0.${1 + index}`;
    const httpPort = 28080 + 100 * index;
    await waitFor(
      `real worker ${index}`,
      async () => {
        const child = this.#children.get(index);
        if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`Real worker ${index} did not start: ${this.#output}`);
        }
        return (await isHealthy(`http://${host}:${httpPort}`)) && (await accepts(host, S3_PORT));
      },
      START_MS,
    );
    return { host, httpPort };
  }
}

async function endProcess(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(signal);
  });
}

async function takeTurn(): Promise<void> {
  await waitFor(
    `another test's real Alluxio to end (${LOCK})`,
    async () => {
      try {
        const file = await open(LOCK, 'wx');
        await file.writeFile(String(process.pid));
        await file.close();
        return true;
      } catch {
        const holder = Number(await readFile(LOCK, 'utf8').catch(() => '0'));
        if (holder > 0 && !isAlive(holder)) await rm(LOCK, { force: true });
        return false;
      }
    },
    TURN_MS,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** To be given as the `skip` option of a test that may also do without: who holds a port, or false. */
export async function portsTaken(workers: number): Promise<string | false> {
  try {
    await checkPorts(workers);
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function checkPorts(workers: number): Promise<void> {
  for (let i = 0; i < workers; i += 1) {
    for (const port of [28080, 29999, 29997, 30000]) await checkPort('0.0.0.0', port + 100 * i);
    await checkPort(`127.0.0.${1 + i}`, S3_PORT);
  }
}

function checkPort(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      const text = `Port ${port} on ${host} is taken, does another Alluxio run? ${error.message}`;
      reject(new Error(text));
    });
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/health`, { signal: AbortSignal.timeout(2000) });
    return response.ok;
  } catch {
    return false;
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Through etcd's JSON gateway, so that no client library stands between the test and the facts. */
export async function membersOf(
  etcdUrl: string,
  prefix = '/ServiceDiscovery/DefaultAlluxioCluster/',
): Promise<{ id: string; host: string; key: string; value: string; lease: string | undefined }[]> {
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const response = await fetch(`${etcdUrl}/v3/kv/range`, {
    method: 'POST',
    body: JSON.stringify({ key: base64(prefix), range_end: base64(end) }),
    signal: AbortSignal.timeout(5000),
  });
  const { kvs = [] } = (await response.json()) as {
    kvs?: { key: string; value: string; lease?: string }[];
  };
  return kvs.map((kv) => {
    const key = Buffer.from(kv.key, 'base64').toString();
    const value = Buffer.from(kv.value, 'base64').toString();
    const { WorkerNetAddress } = JSON.parse(value) as { WorkerNetAddress: { Host: string } };
    const id = key.slice(key.lastIndexOf('/') + 1);
    return { id, host: WorkerNetAddress.Host, key, value, lease: kv.lease };
  });
}
