/** The cluster as its workers tell it: names, bytes, pages, load jobs, members. */
import { joinPath } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { ClusterStatus, Worker } from '../cluster/index.ts';
import type { LoadAnswer, LoadOperation, LoadQuery } from '../cluster/worker-extras.ts';
import { describeNameSpace } from '../config/index.ts';
import type { MountConfig } from '../config/index.ts';
import { BaseClient, closedOnFailure } from './base-client.ts';
import * as changes from './changes.ts';
import type { MkdirOptions, RmOptions } from './changes.ts';
import { configurationOf } from './configuration.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { readPieces } from './content.ts';
import { copyFile, copyTree, type CopyOptions } from './copy.ts';
import { AlluxioError, asAlluxioError, shownPath } from './errors.ts';
import { webStream } from './file.ts';
import { loadByClient, type ClientLoadOptions, type ClientLoadProgress } from './load.ts';
import { checkConcurrency, rangeOf, type Range } from './numbers.ts';
import { alluxioPathOf, infoOfNode, infoOfStatus, mustNameFile, namesDirectory } from './paths.ts';
import type { Scope } from './scope.ts';
import type { CallOptions, ClientOptions, Data, FileInfo, PathLike } from './types.ts';

export interface LoadOptions extends CallOptions, LoadQuery {}

export interface WorkerHealth {
  readonly worker: string;
  readonly host: string;
  readonly httpPort: number;
  readonly isActive: boolean;
  readonly personality: 'oss' | 'enterprise' | undefined;
  readonly latencyMs: number;
  /** Why it is not. */
  readonly reason: string | undefined;
}

export interface PathMount {
  readonly path: string;
  /** URI of what is mounted there. */
  readonly ufs: string;
}

export interface PathLocations {
  readonly path: string;
  readonly ufsPath: string;
  /** Ring order, the owner first. */
  readonly workers: readonly Worker[];
}

/** A worker that needs longer to say that it is active is not. */
const HEALTH_MS = 5_000;
const HEAD_TAIL_BYTES = 1024;
/** The owner, and who would be asked after it. */
const LOCATIONS = 3;

export class AlluxioClient extends BaseClient {
  /** Waits until the members of the cluster are known. */
  static async open(options: ClientOptions = {}, call?: CallOptions): Promise<AlluxioClient> {
    const client = await AlluxioClient.openWith(configurationOf(options), options, call);
    const { preloadPath } = options;
    if (preloadPath !== undefined) {
      await closedOnFailure(client, client.submitLoad(preloadPath, call));
    }
    return client;
  }

  /** From a configuration that is complete, as the command line has it. */
  static async openWith(
    config: MountConfig,
    options: ConnectionOptions = {},
    call?: CallOptions,
  ): Promise<AlluxioClient> {
    try {
      return AlluxioClient.over(await Connection.open(config, options, call));
    } catch (error) {
      throw asAlluxioError(error, 'open');
    }
  }

  /** For the other face of the same connection. */
  static over(connection: Connection): AlluxioClient {
    return new AlluxioClient(connection);
  }

  /** Every entry, also what other clients of this project hide. */
  list(path: PathLike, options?: CallOptions): AsyncGenerator<FileInfo, void, undefined> {
    return this.stream('list', path, options, (at, scope) => this.#list(at, scope));
  }

  getFileStatus(path: PathLike, options?: CallOptions): Promise<FileInfo> {
    return this.call('getFileStatus', path, options, async (at, scope) =>
      infoOfStatus(at, await this.connection.cluster.stat(at, scope.step())),
    );
  }

  read(path: PathLike, options?: CallOptions): Promise<Buffer> {
    return this.call('read', path, options, (at, scope) =>
      this.#range(at, scope, (size) => ({ from: 0, to: size })),
    );
  }

  /** Fewer bytes only at the end of the file. */
  readRange(
    path: PathLike,
    offset: number,
    lengthBytes: number,
    options?: CallOptions,
  ): Promise<Buffer> {
    return this.call('readRange', path, options, (at, scope) =>
      this.#range(at, scope, (size) => rangeOf(offset, lengthBytes, size)),
    );
  }

  readStream(path: PathLike, options?: CallOptions): ReadableStream<Uint8Array> {
    return webStream(
      this.stream('readStream', path, options, (at, scope) => this.#pieces(at, scope)),
    );
  }

  head(
    path: PathLike,
    options: CallOptions & { readonly numOfBytes?: number } = {},
  ): Promise<Buffer> {
    const { numOfBytes = HEAD_TAIL_BYTES } = options;
    return this.call('head', path, options, (at, scope) =>
      this.#range(at, scope, (size) => rangeOf(0, numOfBytes, size)),
    );
  }

  tail(
    path: PathLike,
    options: CallOptions & { readonly numOfBytes?: number } = {},
  ): Promise<Buffer> {
    const { numOfBytes = HEAD_TAIL_BYTES } = options;
    return this.call('tail', path, options, (at, scope) =>
      this.#range(at, scope, (size) => {
        const { to: length } = rangeOf(0, numOfBytes, size);
        return { from: size - length, to: size };
      }),
    );
  }

  async mkdir(path: PathLike, options: MkdirOptions = {}): Promise<void> {
    await this.call('mkdir', path, options, (at, scope) =>
      changes.makeDirectory(this.connection, at, options.parents !== false, scope),
    );
  }

  rm(path: PathLike, options: RmOptions = {}): Promise<void> {
    return this.call('rm', path, options, (at, scope) =>
      changes.remove(this.connection, at, options, scope),
    );
  }

  mv(from: PathLike, to: PathLike, options?: CallOptions): Promise<void> {
    return this.call('mv', from, options, async (at, scope) => {
      const isTree =
        namesDirectory(to) &&
        (await changes.lookUp(this.connection, at, scope))?.kind === 'directory';
      if (!isTree) mustNameFile(to);
      await changes.move(this.connection, at, alluxioPathOf(to, this.connection.mounts), scope);
    });
  }

  copy(from: PathLike, to: PathLike, options: CopyOptions = {}): Promise<void> {
    return this.call('copy', from, options, async (at, scope) => {
      checkConcurrency(options.concurrency);
      const target = alluxioPathOf(to, this.connection.mounts);
      if (options.recursive === true) {
        const { kind } = await changes.statOf(this.connection, at, scope);
        if (kind === 'directory') {
          await copyTree(this.connection, at, target, options, scope);
          return;
        }
      }
      mustNameFile(to);
      await copyFile(this.connection, at, target, options, scope);
    });
  }

  /** Makes an empty file, or gives one that is there the present time; `truncate` empties it. */
  touch(
    path: PathLike,
    options: CallOptions & { readonly truncate?: boolean } = {},
  ): Promise<void> {
    return this.call('touch', path, options, async (at, scope) => {
      const found = await changes.lookUp(this.connection, at, scope);
      if (found === undefined || options.truncate === true) {
        await changes.writeFile(this.connection, at, '', {}, scope);
      } else {
        await changes.setAttributes(this.connection, at, { mtimeMs: Date.now() }, scope);
      }
    });
  }

  /** A whole file, atomically, by whichever way the cluster offers. */
  write(path: PathLike, data: Data, options?: CallOptions): Promise<FileInfo> {
    return this.call('write', path, options, async (at, scope) => {
      const node = await changes.writeFile(this.connection, at, data, {}, scope);
      return infoOfNode(at, node);
    });
  }

  /** Into the cache of the file's owner, not into the under store. */
  writePage(
    path: PathLike,
    pageIndex: number,
    bytes: Uint8Array,
    options?: CallOptions,
  ): Promise<void> {
    return this.call('writePage', path, options, async (at, scope) => {
      if (!Number.isSafeInteger(pageIndex) || pageIndex < 0) {
        throw new AlluxioError('invalid', `Not a page: ${pageIndex}`);
      }
      this.connection.mustBeWritable();
      const { owner, at: placed } = await this.connection.placed(at, scope.step());
      const page = { ufsPath: placed.ufsPath, pageIndex, bytes };
      await this.connection.extras.writePage(owner, page, scope.step());
    });
  }

  /**
   * A whole file through the chunk endpoint of an Enterprise worker, under its final name from the
   * first byte on. `write` has no such moment, and works everywhere.
   */
  writeChunk(path: PathLike, data: string | Uint8Array, options?: CallOptions): Promise<void> {
    return this.call('writeChunk', path, options, async (at, scope) => {
      this.connection.mustBeWritable();
      const { owner, at: placed } = await this.connection.placed(at, scope.step());
      const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
      await this.connection.extras.writeChunk(owner, placed, bytes, scope.long());
    });
  }

  /** By the cluster itself: needs its master or coordinator. */
  submitLoad(path: PathLike, options: LoadOptions = {}): Promise<LoadAnswer> {
    return this.call('submitLoad', path, options, async (at, scope) => {
      const answer = await this.#load(at, 'submit', { verbose: true, ...options }, scope);
      if (answer.success !== false) return answer;
      throw new AlluxioError('unavailable', `The load was not accepted: ${answer.message}`);
    });
  }

  loadProgress(path: PathLike, options: LoadOptions = {}): Promise<LoadAnswer> {
    return this.call('loadProgress', path, options, (at, scope) =>
      this.#load(at, 'progress', { progressFormat: 'JSON', ...options }, scope),
    );
  }

  stopLoad(path: PathLike, options?: CallOptions): Promise<LoadAnswer> {
    return this.call('stopLoad', path, options, (at, scope) => this.#load(at, 'stop', {}, scope));
  }

  /**
   * By this process: every file is read through its owner. An abort stops it, and is no error: the
   * answer says `STOPPED`, and the next call for the path leaves alone what is there already.
   */
  loadByClient(path: PathLike, options: ClientLoadOptions = {}): Promise<ClientLoadProgress> {
    return this.call('loadByClient', path, options, (at, scope) => {
      checkConcurrency(options.concurrency);
      return loadByClient(this.connection, at, options, scope);
    });
  }

  /** Of every worker that the membership names, all of them asked at once. */
  health(options?: CallOptions): Promise<WorkerHealth[]> {
    return this.call('health', '/', { timeoutMs: HEALTH_MS, ...options }, (_, scope) =>
      Promise.all(this.members().map((worker) => this.#healthOf(worker, scope))),
    );
  }

  members(): readonly Worker[] {
    return this.connection.membership.view().workers;
  }

  /** Which under store lies below which path; with `mounts: 'cluster'` as last told by a worker. */
  mounts(): readonly PathMount[] {
    return this.connection.mounts.mounts
      .map(({ path, root }) => ({ path: shownPath(path), ufs: shownPath(root.uri) }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Membership, ring and workers, as this client sees them. */
  status(): ClusterStatus {
    return this.connection.cluster.status();
  }

  /** The same, once the under store was asked whether it can be reached. */
  statusNow(options?: CallOptions): Promise<ClusterStatus> {
    return this.call('status', '/', options, () => this.connection.routed.statusNow());
  }

  /** The members now, and after every change, until the signal or the client ends. */
  async *watchMembers(
    options?: Pick<CallOptions, 'signal'>,
  ): AsyncGenerator<readonly Worker[], void, undefined> {
    const scope = this.connection.scope(options);
    const { signal } = scope;
    let wake = (): void => undefined;
    let isNews = true;
    const tell = (): void => {
      isNews = true;
      wake();
    };
    const stop = this.connection.membership.onChange(tell);
    signal.addEventListener('abort', tell);
    try {
      while (!signal.aborted) {
        if (!isNews) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        isNews = false;
        if (!signal.aborted) yield this.members();
      }
    } finally {
      stop();
      signal.removeEventListener('abort', tell);
      scope.end();
    }
  }

  /** The same text for all to whom every path means the same: one cluster, its mounts and path rules. */
  get nameSpace(): string {
    return describeNameSpace(this.connection.config);
  }

  /** Where the pages of a path belong. Asks nobody but, with `routing: 'node'`, the workers. */
  location(path: PathLike, count = LOCATIONS, options?: CallOptions): Promise<PathLocations> {
    return this.call('location', path, options, async (at, scope) => {
      const { ufsPath, workers } = await this.connection.cluster.locate(at, count, scope.step());
      return { path: shownPath(at), ufsPath: shownPath(ufsPath), workers };
    });
  }

  async #healthOf(worker: Worker, scope: Scope): Promise<WorkerHealth> {
    const startMs = performance.now();
    const { id, host, httpPort } = worker;
    const about = { worker: id, host, httpPort };
    const client = this.connection.worker;
    try {
      await client.health(worker, scope.step());
      const latencyMs = Math.round(performance.now() - startMs);
      const personality = await client.personality(worker, scope.step());
      return { ...about, isActive: true, personality, latencyMs, reason: undefined };
    } catch (error) {
      // Nobody waited for the answer, so its want says nothing of the worker.
      if (scope.isGivenUp) throw error;
      const { reason } = asAlluxioError(scope.endOf(error), 'health');
      const latencyMs = Math.round(performance.now() - startMs);
      return { ...about, isActive: false, personality: undefined, latencyMs, reason };
    }
  }

  async #load(
    path: ByteString,
    operation: LoadOperation,
    options: LoadOptions,
    scope: Scope,
  ): Promise<LoadAnswer> {
    const { signal: _signal, timeoutMs: _timeoutMs, ...query } = options;
    const { owner, at } = await this.connection.placed(path, scope.step());
    return this.connection.extras.load(owner, at, operation, query, scope.step());
  }

  async *#list(directory: ByteString, scope: Scope): AsyncGenerator<FileInfo> {
    for await (const batch of this.connection.cluster.list(directory, scope.long())) {
      for (const status of batch) yield infoOfStatus(joinPath(directory, status.name), status);
    }
  }

  async *#pieces(path: ByteString, scope: Scope): AsyncGenerator<Buffer> {
    const version = await this.#fileStatus(path, scope);
    const range = { from: 0, to: version.lengthBytes };
    yield* readPieces(this.connection, { path, version }, range, scope);
  }

  async #fileStatus(path: ByteString, scope: Scope) {
    const status = await this.connection.cluster.stat(path, scope.step());
    if (status.type === 'file') return status;
    throw new AlluxioError('is-a-directory', 'A directory has no bytes');
  }

  async #range(path: ByteString, scope: Scope, within: (size: number) => Range): Promise<Buffer> {
    const version = await this.#fileStatus(path, scope);
    const range = within(version.lengthBytes);
    const pieces: Buffer[] = [];
    const source = { path, version };
    for await (const piece of readPieces(this.connection, source, range, scope)) pieces.push(piece);
    return Buffer.concat(pieces);
  }
}
