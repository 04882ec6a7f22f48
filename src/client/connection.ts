/** What every face of the library works over: the cluster, the name space, and the end of both. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteString } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { silentLogger } from '../base/logger.ts';
import type { CallContext, MountTable, Worker } from '../cluster/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { WorkerExtras } from '../cluster/worker-extras.ts';
import type { WritePath } from '../cluster/worker-writes.ts';
import type { MountConfig } from '../config/index.ts';
import type { ClusterStore, NameSpaceView } from '../store/index.ts';
import { openReadView, openStore } from '../store/index.ts';
import { openCluster } from './cluster.ts';
import type { ClusterParts } from './configured-cluster.ts';
import { inFreeSlot, journalsDirectory, releaseSlot } from './journal-slot.ts';
import { checkConcurrency } from './numbers.ts';
import { Scope } from './scope.ts';
import type { CallOptions, ClientOptions } from './types.ts';

/** What was journaled is brought to the cluster at the end; what takes longer, the next process does. */
const CLOSE_MS = 30_000;

/** A worker serves each of these on a connection of its own. */
const CONCURRENCY = 8;

/** Another process may have the directory once its journal is closed here. */
const STAGED_PREFIX = `library-${process.pid}-`;

export type ConnectionOptions = Pick<ClientOptions, 'logger' | 'concurrency' | 'targetOptions'>;

export class Connection {
  readonly config: MountConfig;
  readonly logger: Logger;
  /** Of calls that move many files, where they do not say it themselves. */
  readonly concurrency: number;
  readonly #cluster: ClusterParts;
  readonly #view: NameSpaceView;
  readonly #closing = new AbortController();
  #store: Promise<ClusterStore> | undefined;
  #stagingDirectory = '';
  #slot: string | undefined;
  #stagedFiles = 0;

  private constructor(logger: Logger, concurrency: number, cluster: ClusterParts) {
    const { config } = cluster;
    this.config = config;
    this.logger = logger;
    this.concurrency = concurrency;
    this.#cluster = cluster;
    this.#view = openReadView({
      reader: cluster.cluster,
      clock: systemClock,
      logger,
      attributesTtlMs: config.attrTimeoutMs,
      // They lie beside what a name really is.
      hasAttributes: config.posixAttributes !== 'off' && config.pathRules === undefined,
    });
  }

  static async open(
    config: MountConfig,
    { logger = silentLogger, concurrency = CONCURRENCY, targetOptions }: ConnectionOptions,
    options?: CallOptions,
  ): Promise<Connection> {
    checkConcurrency(concurrency);
    const never = new AbortController().signal;
    const scope = new Scope(options, config.requestTimeoutMs, never);
    try {
      const cluster = await openCluster(
        { config, logger, credentials: targetOptions?.credentials },
        scope.step(),
      );
      return new Connection(logger, concurrency, cluster);
    } finally {
      scope.end();
    }
  }

  get routed(): ClusterParts['routed'] {
    return this.#cluster.routed;
  }

  /** As names are seen, which path rules may turn into others. */
  get cluster(): ClusterParts['cluster'] {
    return this.#cluster.cluster;
  }

  get membership(): ClusterParts['membership'] {
    return this.#cluster.membership;
  }

  get worker(): ClusterParts['worker'] {
    return this.#cluster.worker;
  }

  get mounts(): MountTable {
    return this.routed.mounts;
  }

  get extras(): WorkerExtras {
    const { extras } = this.#cluster.worker;
    if (extras === undefined) throw new ClusterError('unsupported', 'This client only reads');
    return extras;
  }

  scope(options?: CallOptions): Scope {
    return new Scope(options, this.config.requestTimeoutMs, this.#closing.signal);
  }

  /** The owner of a path, and the path as calls to workers have it. */
  async placed(
    path: ByteString,
    context: CallContext,
  ): Promise<{ readonly owner: Worker; readonly at: WritePath }> {
    const { ufsPath, workers } = await this.cluster.locate(path, 1, context);
    const [owner] = workers;
    if (owner !== undefined) return { owner, at: { path, ufsPath } };
    if (this.mounts.resolve(path) === undefined) {
      throw new ClusterError('invalid', 'It lies in no under store, and so at no worker', { path });
    }
    const message = 'No worker of the cluster is known to be alive';
    throw new ClusterError('unavailable', message, { retryable: true });
  }

  /** With what mounts keep beside the files; once something was changed here, with that as well. */
  async names(): Promise<Pick<ClusterStore, 'stat' | 'list'>> {
    return (await this.#store) ?? this.#view;
  }

  /** Opened with the first change, since it needs a place on this machine's disk. */
  async store(): Promise<ClusterStore> {
    this.mustBeWritable();
    this.#closing.signal.throwIfAborted();
    this.#store ??= this.#openStore().catch((error: unknown) => {
      this.#store = undefined;
      throw error;
    });
    return this.#store;
  }

  mustBeWritable(): void {
    if (this.config.pathRules === undefined) return;
    const message = 'With path rules, names are only read: several may lead to one file';
    throw new ClusterError('permission', message);
  }

  /** A new name for bytes that wait for their upload; gone with the client, or with the next start. */
  async stagingPath(): Promise<string> {
    await this.store();
    this.#stagedFiles += 1;
    return join(this.#stagingDirectory, `${STAGED_PREFIX}${this.#stagedFiles}`);
  }

  /** Ends calls under way; then brings what was changed to the cluster. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new ClusterError('cancelled', 'The client was closed'));
    const store = await this.#store?.catch(() => undefined);
    const context: CallContext = {
      signal: new AbortController().signal,
      deadlineMs: performance.now() + CLOSE_MS,
    };
    try {
      await store?.close(context);
    } finally {
      if (this.#slot !== undefined) {
        this.#giveUpStaged();
        releaseSlot(this.#slot);
      }
      await this.cluster.close();
    }
  }

  /** Of files that were neither closed nor given up. */
  #giveUpStaged(): void {
    const directory = this.#stagingDirectory;
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) {
      if (name.startsWith(STAGED_PREFIX)) rmSync(join(directory, name), { force: true });
    }
  }

  #openStore(): Promise<ClusterStore> {
    const { config, logger } = this;
    return inFreeSlot(journalsDirectory(config), async (slot) => {
      const stagingDirectory = join(slot, 'staging');
      mkdirSync(stagingDirectory, { recursive: true, mode: 0o700 });
      const store = await openStore({
        reader: this.routed,
        writer: this.routed.writer,
        clock: systemClock,
        logger,
        attributesTtlMs: config.attrTimeoutMs,
        stateDirectory: slot,
        stagingDirectory,
        writeMode: 'through',
        mounts: this.mounts,
      });
      // What a killed process staged was promised to nobody.
      const inUse = store.stagingNamesInUse();
      for (const name of readdirSync(stagingDirectory)) {
        if (!inUse.has(name)) rmSync(join(stagingDirectory, name), { force: true });
      }
      this.#stagingDirectory = stagingDirectory;
      this.#slot = slot;
      return store;
    });
  }
}
