/**
 * A small Alluxio cluster for trying things out and for tests: a real etcd, and worker processes
 * that serve a local directory the way real workers do, in the open-source or the Enterprise way.
 *
 * It is not a fake of the client's idea of Alluxio. The open-source worker reproduces what a real
 * one was seen to do, mistakes included, and one contract suite (test/contract) runs against both:
 * what differs is a bug here.
 *
 * Worker i listens on 127.0.0.(1+i), as if each had a machine of its own; the S3 port is the same
 * on all, since etcd does not tell it. Worker identities depend on the index only, so that the
 * same paths have the same owners in every run. Children end with this process, however it ends.
 */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identifierOfHost, workerIdText } from '../cluster/worker-identity.ts';
import { EtcdProcess } from './etcd-process.ts';
import type { DevPersonality, WorkerConfig } from './messages.ts';
import { freePort } from './ports.ts';
import type { Root } from './worker/roots.ts';
import { PortTaken, WorkerProcess } from './worker-process.ts';

export { ETCD_MISSING, EtcdProcess, hasEtcd } from './etcd-process.ts';
export type { DevPersonality, WorkerStats } from './messages.ts';
export type { WorkerProcess } from './worker-process.ts';
export type { FaultAction, FaultRule } from './worker/faults.ts';

export interface DevclusterOptions {
  readonly workers: number;
  /** The directory served; a temporary one, removed at the end, when left out. */
  readonly dataDir?: string | undefined;
  /**
   * Directories by mount point, instead of `dataDir`: a cluster without an under store at `/`, as
   * Enterprise ones are. Mount points are names behind a slash.
   */
  readonly mounts?: Readonly<Record<string, string>> | undefined;
  /** Root of the under store as the workers tell it, where a server offers the same files; no slash at its end. */
  readonly ufsUri?: string | undefined;
  readonly pageSizeBytes: number;
  /** Told when etcd or a worker ends that nobody has stopped. */
  readonly onLoss?: ((what: string) => void) | undefined;
  readonly personality: DevPersonality;
  /** `host:port[,host:port]` of a running etcd; an own one is started when left out. */
  readonly etcdHosts?: string | undefined;
  readonly clusterName?: string | undefined;
  /** 5 for open source and 2000 for Enterprise when left out, as in their releases. */
  readonly virtualNodes?: number | undefined;
  /** Of all workers, each on its own address; a free one when left out. */
  readonly s3Port?: number | undefined;
  /** How long a killed worker still counts as alive; 120 as in a real one when left out. */
  readonly leaseTtlS?: number | undefined;
  /** Page cache of each worker. */
  readonly cacheBytes?: number | undefined;
}

/** What the command `devcluster` prints as its one line of JSON. */
export interface DevclusterInfo {
  readonly etcdHost: string;
  readonly etcdPort: number;
  readonly clusterName: string;
  /** '' where there are `mounts` instead. */
  readonly ufs: string;
  /** URIs by mount point. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** Bytes. */
  readonly pageSize: number;
  readonly workers: readonly {
    readonly id: string;
    readonly host: string;
    readonly httpPort: number;
    readonly s3Port: number;
  }[];
}

export interface Devcluster {
  readonly info: DevclusterInfo;
  /** The under store's directory. */
  readonly dataDir: string;
  readonly workers: readonly WorkerProcess[];
  /** Undefined when the etcd is somebody else's. */
  readonly etcd: EtcdProcess | undefined;
  /** One worker more, with the next index. */
  addWorker(): Promise<WorkerProcess>;
  /** In place of those it has: from now on, on every running worker. Enterprise. */
  setMounts(mounts: Readonly<Record<string, string>>): Promise<void>;
  /** Resolves when every running worker's ring holds exactly the running workers. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

const DEFAULT_CLUSTER_NAME = 'DefaultAlluxioCluster';
const DEFAULT_LEASE_TTL_S = 120;
/** Room for tests and benches over a few hundred MB without eviction; memory is used as it fills. */
const DEFAULT_CACHE_BYTES = 512 * 1024 * 1024;
/** One host address each: 127.0.0.1 to 127.0.0.254. */
const WORKERS_MAX = 254;
/** The S3 port must be free on every host at once. */
const S3_PORT_ATTEMPTS = 10;
/** A lease of the real length must end before rings agree after a kill. */
const SETTLE_MS = 180_000;
const SETTLE_POLL_MS = 50;

export async function startDevcluster(options: DevclusterOptions): Promise<Devcluster> {
  checkOptions(options);
  const cluster = new RunningDevcluster(options);
  try {
    await cluster.start();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

function checkOptions(options: DevclusterOptions): void {
  const { workers, pageSizeBytes } = options;
  if (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX) {
    throw new RangeError(`Worker count must be 1 to ${WORKERS_MAX}: ${workers}`);
  }
  if (!Number.isInteger(pageSizeBytes) || pageSizeBytes < 1) {
    throw new RangeError(`Page size must be a positive number of bytes: ${pageSizeBytes}`);
  }
  for (const path of Object.keys(options.mounts ?? {})) {
    if (!/^\/[^/]+$/.test(path)) throw new RangeError(`Not a name behind a slash: "${path}"`);
  }
}

async function rootsOf(mounts: Readonly<Record<string, string>>): Promise<readonly Root[]> {
  return await Promise.all(
    Object.entries(mounts).map(async ([path, given]) => {
      const dir = await usable(`--map ${path}`, given);
      return { path, dir, uri: `file://${dir}` };
    }),
  );
}

async function usable(option: string, dir: string): Promise<string> {
  return await realpath(dir).catch((error: unknown) => {
    throw new Error(`${option} "${dir}" cannot be used: ${String(error)}`, { cause: error });
  });
}

class RunningDevcluster implements Devcluster {
  readonly #options: DevclusterOptions;
  readonly #workers: WorkerProcess[] = [];
  #etcd: EtcdProcess | undefined;
  #etcdHosts: readonly string[] = [];
  #dataDir = '';
  #roots: readonly Root[] = [];
  #temporaryDir: string | undefined;
  #s3Port = 0;

  constructor(options: DevclusterOptions) {
    this.#options = options;
  }

  get dataDir(): string {
    return this.#dataDir;
  }

  get workers(): readonly WorkerProcess[] {
    return this.#workers;
  }

  get etcd(): EtcdProcess | undefined {
    return this.#etcd;
  }

  get info(): DevclusterInfo {
    const [first = ''] = this.#etcdHosts;
    const colon = first.lastIndexOf(':');
    return {
      etcdHost: first.slice(0, colon),
      etcdPort: Number(first.slice(colon + 1)),
      clusterName: this.#options.clusterName ?? DEFAULT_CLUSTER_NAME,
      ...this.#shownRoots(),
      pageSize: this.#options.pageSizeBytes,
      workers: this.#workers.map(({ config }) => ({
        id: config.id,
        host: config.host,
        httpPort: config.httpPort,
        s3Port: config.s3Port,
      })),
    };
  }

  #shownRoots(): Pick<DevclusterInfo, 'ufs' | 'mounts'> {
    const [first, ...others] = this.#roots;
    if (first?.path === '/' && others.length === 0) return { ufs: first.uri };
    return { ufs: '', mounts: Object.fromEntries(this.#roots.map(({ path, uri }) => [path, uri])) };
  }

  async start(): Promise<void> {
    const { dataDir, etcdHosts, mounts, s3Port } = this.#options;
    if (dataDir === undefined && mounts === undefined) {
      this.#temporaryDir = await mkdtemp(join(tmpdir(), 'devcluster-data-'));
    }
    if (mounts === undefined) {
      this.#dataDir = await usable('--data', dataDir ?? this.#temporaryDir ?? '');
      const uri = this.#options.ufsUri ?? `file://${this.#dataDir}`;
      this.#roots = [{ path: '/', dir: this.#dataDir, uri }];
    } else {
      this.#roots = await rootsOf(mounts);
    }
    if (etcdHosts === undefined) {
      this.#etcd = await EtcdProcess.start();
      if (this.#options.onLoss !== undefined) this.#etcd.watch(this.#options.onLoss);
      this.#etcdHosts = [`${this.#etcd.host}:${this.#etcd.port}`];
    } else {
      this.#etcdHosts = etcdHosts.split(',').map((host) => host.trim().replace(/^https?:\/\//, ''));
    }
    for (let attempt = 1; ; attempt += 1) {
      this.#s3Port = s3Port ?? (await freePort());
      try {
        await this.#startWorkers();
        break;
      } catch (error) {
        await this.#killWorkers();
        const mayTryAgain = error instanceof PortTaken && s3Port === undefined;
        if (!mayTryAgain || attempt >= S3_PORT_ATTEMPTS) throw error;
      }
    }
    await this.settled();
  }

  async setMounts(mounts: Readonly<Record<string, string>>): Promise<void> {
    this.#roots = await rootsOf(mounts);
    await Promise.all(this.#workers.map((worker) => worker.setRoots(this.#roots)));
  }

  async addWorker(): Promise<WorkerProcess> {
    const worker = new WorkerProcess(this.#configOf(this.#workers.length), this.#options.onLoss);
    await worker.start();
    this.#workers.push(worker);
    return worker;
  }

  async settled(): Promise<void> {
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      const running = this.#workers.filter((worker) => worker.isRunning);
      const hosts = running
        .map(({ config }) => config.host)
        .sort()
        .join(' ');
      const views = await Promise.all(running.map((worker) => worker.stats()));
      if (views.every(({ members }) => members.join(' ') === hosts)) return;
      if (performance.now() > deadline) throw new Error('Dev workers do not agree on the members');
      await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    }
  }

  async stop(): Promise<void> {
    // Workers of a foreign etcd must not be left there as alive until their leases end.
    if (this.#etcd === undefined) {
      await Promise.all(this.#workers.map((worker) => worker.leave().catch(() => worker.kill())));
    }
    await this.#killWorkers();
    await this.#etcd?.stop();
    if (this.#temporaryDir !== undefined) {
      await rm(this.#temporaryDir, { recursive: true, force: true });
    }
  }

  async #startWorkers(): Promise<void> {
    for (let i = 0; i < this.#options.workers; i += 1) {
      this.#workers.push(new WorkerProcess(this.#configOf(i), this.#options.onLoss));
    }
    const started = await Promise.allSettled(this.#workers.map((worker) => worker.start()));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #killWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.kill()));
  }

  #configOf(index: number): WorkerConfig {
    const { personality, pageSizeBytes } = this.#options;
    const identifier = identifierOfHost(`devcluster worker ${index}`);
    return {
      identifier,
      id: workerIdText(1, identifier),
      host: `127.0.0.${1 + index}`,
      httpPort: 0,
      s3Port: this.#s3Port,
      roots: this.#roots,
      etcdHosts: this.#etcdHosts.map((host) => `http://${host}`),
      clusterName: this.#options.clusterName ?? DEFAULT_CLUSTER_NAME,
      virtualNodes: this.#options.virtualNodes ?? (personality === 'oss' ? 5 : 2000),
      leaseTtlS: this.#options.leaseTtlS ?? DEFAULT_LEASE_TTL_S,
      pageSizeBytes,
      cacheBytes: this.#options.cacheBytes ?? DEFAULT_CACHE_BYTES,
      personality,
    };
  }
}
