/** One life of the daemon: joins the kernel thread, the cluster layer, telemetry and the admin socket. */
import { systemClock } from '../base/clock.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import { makePrivateDirectory } from '../base/private-directory.ts';
import { Slab, slabGeometry } from '../cache/index.ts';
import type { DiskTier } from '../cache/disk/index.ts';
import type { ClusterClient } from '../cluster/index.ts';
import type { MountsChange } from '../client/told-mounts.ts';
import type { ConfiguredMount, MountConfig } from '../config/index.ts';
import { canResend, type Negotiated } from '../fuse/device/index.ts';
import {
  clusterEventsFor,
  createLogger,
  HeartbeatWatch,
  LimitedLogger,
  Metrics,
  registerClusterStatus,
  registerKernelFigures,
  startTelemetryServer,
} from '../telemetry/index.ts';
import type { HealthReport, ProcessLogger, TelemetryServer } from '../telemetry/index.ts';
import { Counters, LATENCY_BUCKETS_MS, OPERATIONS } from '../vfs/index.ts';
import type { ClusterStore } from '../store/index.ts';
import type { JobResult } from '../vfs/index.ts';
import { startAdminServer } from './admin-server.ts';
import { runCacheRequest } from './cache-requests.ts';
import type { CacheRequest } from './cache-requests.ts';
import { startClusterSide } from './cluster-side.ts';
import { openDiskTier } from './disk-side.ts';
import { ErrorLog } from './error-log.ts';
import type { FromDaemon, StartDaemon } from './ipc.ts';
import { JobRunner } from './job-runner.ts';
import { KernelHost } from './kernel-host.ts';
import type { KernelHostParts } from './kernel-host.ts';
import { openNameSpace } from './name-space.ts';
import type { NameSpace } from './name-space.ts';
import { pathBytesMax } from './path-limit.ts';
import { ObservedWriter } from './observed-writer.ts';
import { passthroughProblem, passthroughStatus } from './passthrough-status.ts';
import { adminSocketPath, mountDirectory, removeState } from './state-dir.ts';
import { WarmMemory } from './warm-memory.ts';
import { registerBacklog, writeStatusOf } from './write-status.ts';

/** A kernel thread that does not turn for so long is stuck: its longest work is milliseconds. */
const HEARTBEAT_AGE_MAX_MS = 10_000;
/** Longer, the journal is left to the next mount. */
const STORE_CLOSE_TIMEOUT_MS = 60_000;
/** How long the answers of jobs under way are waited for at the end. */
const CLOSE_TIMEOUT_MS = 3_000;

/** Either driver's side of the kernel, as the daemon drives it. */
export interface KernelSide {
  deliver(result: JobResult): void;
  /** A staging file that was handed over is gone: its room is free again. */
  stagingReleased(name: string): void;
  /** Nothing of this cache directory is to be used any more. */
  cacheRetired(directory: string): void;
  /** Begins to save what nobody has saved yet. */
  saveAll(): void;
  /** At the end, nothing more is saved. */
  forsake(): void;
  stop(): void;
  ping(): void;
}

export type KernelSideParts = Omit<KernelHostParts, 'fuseFd'>;

export class Daemon {
  readonly #start: StartDaemon;
  #config: MountConfig;
  readonly #send: (message: FromDaemon) => void;
  readonly #logger: ProcessLogger;
  readonly #metrics = new Metrics();
  readonly #counters = new Counters();
  readonly #limitedLogger: LimitedLogger;
  readonly #errors: ErrorLog;
  readonly #heartbeat: HeartbeatWatch;
  #negotiated: Negotiated | undefined;
  #cluster: ClusterClient | undefined;
  #store: ClusterStore | undefined;
  #writeStatus: (() => object) | undefined;
  #kernel: KernelSide | undefined;
  #telemetry: TelemetryServer | undefined;
  #runner: JobRunner | undefined;
  #disk: DiskTier | undefined;
  #passthroughLost: string | undefined;
  /** Aborted with what is told to whoever waits for something long. */
  readonly #ending = new AbortController();
  /** Aborted: what is not saved is to be left alone. */
  readonly #forsaken = new AbortController();

  constructor(start: StartDaemon, send: (message: FromDaemon) => void) {
    this.#start = start;
    this.#config = start.config;
    this.#negotiated = start.negotiated;
    this.#send = send;
    const { config } = start;
    this.#logger = createLogger({
      level: config.logLevel,
      file: config.logFile,
      base: { mountpoint: config.mountpoint },
      secrets: config.etcdPassword === undefined ? [] : [config.etcdPassword],
    });
    this.#limitedLogger = new LimitedLogger({
      logger: this.#logger,
      clock: systemClock,
      onSuppressed: () => this.#metrics.count('logLinesSuppressed', {}),
    });
    this.#errors = new ErrorLog(this.#limitedLogger);
    this.#heartbeat = new HeartbeatWatch({
      read: () => this.#counters.get('heartbeats'),
      clock: systemClock,
      maxAgeMs: HEARTBEAT_AGE_MAX_MS,
    });
  }

  get logger(): ProcessLogger {
    return this.#logger;
  }

  /** Resolves once the kernel is being answered; throws with the reason why not. */
  async start(): Promise<void> {
    const config = this.#config;
    makePrivateDirectory(mountDirectory(config.stateDir, config.mountpoint));
    const side = await startClusterSide({
      config,
      logger: this.#logger,
      events: clusterEventsFor(this.#metrics),
      knownWorkers: this.#start.workers,
      onWorkers: (workers) => this.#send({ kind: 'workers', workers }),
      onMounts: (mounts) => this.#setMounts(mounts),
      onOtherMounts: (change) => this.#takeMounts(change),
      learnedVirtualNodes: this.#start.learnedVirtualNodes,
      onVirtualNodes: (learned) => this.#send({ kind: 'virtual-nodes', learned }),
    });
    const { cluster: client, mounts } = side;
    this.#cluster = client;
    registerClusterStatus(this.#metrics, () => client.status());
    const restarts = this.#start.incarnation - 1;
    this.#metrics.readAtScrape('daemonRestarts', () => [{ labels: {}, value: restarts }]);
    this.#metrics.collectProcessFigures();
    registerKernelFigures(this.#metrics, {
      operations: OPERATIONS,
      bucketsMs: LATENCY_BUCKETS_MS,
      operation: (name, outcome) => this.#counters.operation(name, outcome),
      get: (name) => this.#counters.get(name),
    });
    const writer = new ObservedWriter(side.writer, this.#metrics);
    const names = await openNameSpace({
      config,
      client,
      mounts,
      writer,
      logger: this.#logger,
      onStagingReleased: (name) => this.#kernel?.stagingReleased(name),
    });
    const store = names.writes;
    this.#store = store;
    if (store !== undefined) {
      const [counters, errors] = [this.#counters, this.#errors];
      this.#writeStatus = () => writeStatusOf({ config, store, writer, counters, errors });
      registerBacklog(this.#metrics, config, store);
    }
    const slab = this.#createSlab();
    this.#disk = await openDiskTier({
      config: this.#config,
      incarnation: this.#start.incarnation,
      metrics: this.#metrics,
      logger: this.#limitedLogger,
      onRetired: (directory) => this.#kernel?.cacheRetired(directory),
    });
    const runner = new JobRunner({
      client,
      files: names.files,
      writes: names.writes,
      slab,
      disk: this.#disk,
      pageSizeBytes: config.pageSizeBytes,
      requestTimeoutMs: config.requestTimeoutMs,
      // With the mounts that the cluster told.
      pathBytesMax: pathBytesMax(this.#config.mounts),
      deliver: (result) => this.#kernel?.deliver(result),
    });
    this.#runner = runner;
    this.#kernel = await this.#startKernelSide(slab, runner);
    await this.#startServers(names.files);
    const { view, ufsRootMismatch } = client.status();
    // The second has been logged by whoever found it.
    const warnings = ufsRootMismatch === undefined ? [] : [ufsRootMismatch];
    if (view.workers.length === 0) {
      const warning =
        'No worker of this cluster is registered; check --cluster-name, or start workers';
      this.#logger.warn({ clusterName: config.clusterName }, warning);
      warnings.push(warning);
    }
    this.#logger.info(
      {
        driver: this.#start.driver,
        incarnation: this.#start.incarnation,
        workers: view.workers.length,
      },
      'Serving the mount',
    );
    this.#send({ kind: 'serving', warnings });
  }

  #setMounts(mounts: readonly ConfiguredMount[]): void {
    this.#config = { ...this.#config, mounts };
    this.#send({ kind: 'mounts', mounts });
  }

  /**
   * New names need nothing but the table. Where a known path may be another file from now on, no page
   * and no attribute of it may outlive the table: the next daemon begins with nothing, and programs
   * see no more of the change than of any replaced daemon.
   */
  #takeMounts({ mounts, isAdditionOnly }: MountsChange): boolean {
    if (isAdditionOnly) {
      this.#setMounts(mounts);
      return true;
    }
    const canBeReplaced = this.#negotiated !== undefined && canResend(this.#negotiated);
    if (!this.#config.readOnly || !canBeReplaced || !process.connected) {
      this.#logger.warn(
        { mounts },
        'The cluster has moved or removed mounts; this mount goes by the old ones until it is made again',
      );
      return false;
    }
    this.#setMounts(mounts);
    this.#send({ kind: 'outdated' });
    return false;
  }

  #createSlab(): Slab {
    try {
      return new Slab(slabGeometry(this.#config.memoryLimitBytes));
    } catch (error) {
      throw new Error('This machine cannot hold --memory-limit; choose a smaller one', {
        cause: error,
      });
    }
  }

  async #startKernelSide(slab: Slab, runner: JobRunner): Promise<KernelSide> {
    const parts: KernelSideParts = {
      config: this.#config,
      slab,
      counters: this.#counters,
      incarnation: this.#start.incarnation,
      negotiated: this.#start.negotiated,
      onJob: (job) => runner.run(job),
      onNegotiated: (negotiated) => {
        this.#negotiated = negotiated;
        this.#send({ kind: 'negotiated', negotiated });
      },
      onFailure: (failure) => this.#errors.add(failure),
      onBackingNews: ({ what, file }) => {
        if (what === 'held') this.#disk?.held(file);
        else if (what === 'free') this.#disk?.freed(file);
        else this.#disk?.refused(file);
      },
      onPassthroughLost: (reason) => {
        this.#passthroughLost = reason;
        this.#logger.info({ reason }, 'Cached files are read through the daemon: no passthrough');
      },
      onInternalError: (message, stack) => this.#logger.error({ stack }, message),
      onNotificationFailed: (error) =>
        this.#logger.warn({ error }, 'The kernel did not take a notification'),
      onEnded: (reason, unsavedFiles) => void this.#ended(reason, unsavedFiles),
    };
    if (this.#start.driver === 'fuse-native') {
      // Loaded only here: the package brings libfuse with it.
      const { startNativeHost } = await import('./native-host.ts');
      return await startNativeHost(parts);
    }
    return new KernelHost({ ...parts, fuseFd: this.#start.fuseFd as number });
  }

  async #startServers(files: NameSpace['files']): Promise<void> {
    const config = this.#config;
    if (config.metricsPort !== 0) {
      this.#telemetry = await startTelemetryServer({
        host: config.metricsHost,
        port: config.metricsPort,
        metrics: this.#metrics,
        health: () => this.#health(),
        ready: () => this.#ready(),
        logger: this.#logger,
      });
    }
    const path = adminSocketPath(config.stateDir, config.mountpoint);
    const { pageSizeBytes, requestTimeoutMs } = config;
    const memory = new WarmMemory(pageSizeBytes);
    try {
      const answers = {
        'GET /status': () => this.#status(),
        'POST /save': () => {
          this.#kernel?.saveAll();
          this.#store?.hurry();
          return this.#status();
        },
        'POST /forsake': () => {
          this.#forsaken.abort();
          this.#kernel?.forsake();
          return this.#status();
        },
      };
      await startAdminServer(path, answers, async (body, emit, left) => {
        const either = new LinkedSignal([left, this.#ending.signal]);
        const warm = { files, pageSizeBytes, requestTimeoutMs, memory };
        const parts = { tier: this.#disk, emit, signal: either.signal, warm };
        await runCacheRequest(body as CacheRequest, parts).finally(() => either.end());
      });
    } catch (error) {
      // The mount is worth more than its status page.
      this.#logger.warn({ error, path }, 'No status socket; "status" will not reach this mount');
    }
  }

  #health(): HealthReport {
    this.#kernel?.ping();
    return this.#heartbeat.report();
  }

  #ready(): HealthReport {
    const health = this.#health();
    const status = this.#cluster?.status();
    const workers = status?.view.workers.length ?? 0;
    const canServe = workers > 0 || status?.underStoreFallback === 'available';
    return {
      ok: health.ok && canServe && !this.#ending.signal.aborted,
      detail: { ...health.detail, workers, underStore: status?.underStoreFallback },
    };
  }

  #status(): object {
    const figures = this.#counters;
    let requestsTotal = 0;
    for (const name of OPERATIONS) {
      requestsTotal += figures.operation(name, 'success').count;
      requestsTotal += figures.operation(name, 'failure').count;
    }
    const geometry = slabGeometry(this.#config.memoryLimitBytes);
    return {
      daemonPid: process.pid,
      uptimeMs: Date.now() - this.#start.startedAtMs,
      cluster: this.#cluster?.status(),
      cache: {
        memoryLimitBytes: this.#config.memoryLimitBytes,
        slotBytes: geometry.slotBytes,
        slotsTotal: geometry.slotCount,
        slotsUsed: figures.get('slotsReady') + figures.get('slotsFilling'),
        hits: figures.get('pageHits'),
        misses: figures.get('pageMisses'),
        readAheadBytes: figures.get('readAheadBytes'),
        wastedBytes: figures.get('wastedBytes'),
      },
      diskCache: this.#disk?.status(),
      writes: this.#writeStatus?.(),
      inodes: {
        known: figures.get('inodes'),
        openHandles: figures.get('openFiles') + figures.get('openDirectories'),
      },
      fuse: {
        protocol: this.#protocol(),
        maxWriteBytes: this.#negotiated?.maxWriteBytes ?? 0,
        requestsTotal,
      },
      passthrough: {
        ...passthroughStatus(
          passthroughProblem(this.#config, this.#start.driver),
          this.#negotiated,
          this.#passthroughLost,
        ),
        opens: figures.get('passthroughOpens'),
        fallbacks: figures.get('passthroughFallbacks'),
      },
      lastErrors: this.#errors.list(),
    };
  }

  #protocol(): string {
    // It negotiates by itself, and does not tell what.
    if (this.#start.driver === 'fuse-native') return 'libfuse 2';
    return this.#negotiated === undefined ? '' : `7.${this.#negotiated.minor}`;
  }

  stop(): void {
    this.#kernel?.stop();
  }

  /** What was acknowledged and is not in the cluster yet stays in the journal for the next mount. */
  async #closeStore(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    try {
      const deadlineMs = performance.now() + STORE_CLOSE_TIMEOUT_MS;
      await store.close({ signal: this.#forsaken.signal, deadlineMs });
    } catch (error) {
      this.#logger.error({ error }, 'The journal could not be closed');
    }
    const { uploadsPending, attributesPending } = store.backlog();
    if (uploadsPending + attributesPending > 0) {
      this.#logger.warn(
        { uploadsPending, attributesPending },
        'Not everything is in the cluster yet; the next mount here goes on with it',
      );
    }
  }

  async #ended(reason: 'unmounted' | 'stopped' | Error, unsavedFiles: number): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new Error('The mount ended before this was done'));
    const isClean = !(reason instanceof Error);
    if (isClean) this.#logger.info({ reason }, 'The mount has ended');
    else this.#logger.error({ error: reason }, 'The kernel thread crashed');
    if (unsavedFiles > 0) {
      this.#logger.error(
        {
          unsavedFiles,
          lastError: this.#errors.lastUnsaved(),
          isForsaken: this.#forsaken.signal.aborted,
        },
        'What programs wrote to some files could not be saved, and is lost',
      );
    }
    if (reason === 'unmounted') this.#send({ kind: 'unmounted' });
    await this.#closeStore();
    this.#runner?.close();
    const closing = Promise.allSettled([
      this.#telemetry?.close(),
      this.#cluster?.close(),
      this.#disk?.close(),
    ]);
    const late = new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref());
    await Promise.race([closing, late]);
    // Otherwise the supervisor's to take away, after us.
    if (isClean && !process.connected) {
      removeState(this.#config.stateDir, this.#config.mountpoint);
    }
    this.#logger.flush();
    process.exit(isClean ? 0 : 1);
  }
}
