/**
 * The real worker client: single calls to one worker over its two ports. It knows which port can
 * carry which name, and makes sure of every "no" before it says so; it does not retry, place or
 * fall back (that is the RoutedClient's).
 */
import { LRUCache } from 'lru-cache';
import {
  type ByteString,
  displayByteString,
  joinPath,
  nameOf,
  parentOf,
} from '../../base/byte-string.ts';
import { silentLogger, type Logger } from '../../base/logger.ts';
import { ignoredEvents, type ClusterEvents, type InexpressibleReason } from '../cluster-events.ts';
import { lostName } from '../inexpressible.ts';
import {
  ClusterError,
  type ByteSink,
  type CallContext,
  type FileStatus,
  type Worker,
} from '../types.ts';
import type {
  PageNowOutcome,
  PageOutcome,
  PageRequest,
  Personality,
  RangeRequest,
  S3Outcome,
  WholePageRequest,
  WorkerClient,
} from '../worker-client.ts';
import type { WorkerExtras } from '../worker-extras.ts';
import type { WorkerWrites } from '../worker-writes.ts';
import type { Dropped, Entry } from './entries.ts';
import { ExtraCalls } from './extra-calls.ts';
import { HttpPort } from './http-port.ts';
import { bucketAndKey, isPlain, ossHttpPath, percentEncode } from './names.ts';
import { Origins } from './origins.ts';
import { Personalities } from './personalities.ts';
import { S3Port } from './s3-port.ts';
import { WriteCalls } from './write-calls.ts';

export interface WorkerTimeouts {
  readonly connectMs: number;
  /** Until the head of an answer: a cold read waits for the under store here. */
  readonly headersMs: number;
  /** Between two chunks of a body. */
  readonly bodyStallMs: number;
  /** For finding out a worker's personality, whoever waits for it. */
  readonly probeMs: number;
}

export const defaultWorkerTimeouts: WorkerTimeouts = {
  connectMs: 3_000,
  headersMs: 30_000,
  bodyStallMs: 15_000,
  probeMs: 5_000,
};

export interface WorkerClientOptions {
  /** The cluster's `alluxio.worker.page.store.page.size`. */
  readonly pageSizeBytes: number;
  /** Of each port of each worker; further calls wait. */
  readonly connectionsPerWorker?: number;
  readonly timeouts?: Partial<WorkerTimeouts>;
  readonly logger?: Logger;
  readonly events?: Pick<ClusterEvents, 'inexpressible'>;
  /** Told where a worker says that `path` lies in the under store: of one entry an answer. */
  readonly onUfsPath?: (worker: Worker, path: ByteString, ufsPath: string) => void;
}

/** Enough for 16 readers at once, few enough for a thousand workers' file descriptors. */
const defaultConnectionsPerWorker = 16;
/** Directories in which programs search: those of a search path, of many programs. */
const searchedDirectoriesMax = 1_000;

export function createWorkerClient(options: WorkerClientOptions): WorkerClient {
  return new UndiciWorkerClient(options);
}

export class UndiciWorkerClient implements WorkerClient {
  readonly writes: WorkerWrites;
  readonly extras: WorkerExtras;
  readonly #origins: Origins;
  readonly #http: HttpPort;
  readonly #s3: S3Port;
  readonly #personalities: Personalities;
  /** Directories whose last question was for a name that they do not have: the next may be, too. */
  readonly #searched = new LRUCache<ByteString, true>({ max: searchedDirectoriesMax });
  readonly #logger: Logger;
  readonly #events: Pick<ClusterEvents, 'inexpressible'>;
  readonly #onUfsPath: NonNullable<WorkerClientOptions['onUfsPath']>;

  constructor(options: WorkerClientOptions) {
    const timeouts = { ...defaultWorkerTimeouts, ...options.timeouts };
    this.#logger = options.logger ?? silentLogger;
    this.#events = options.events ?? ignoredEvents;
    this.#onUfsPath = options.onUfsPath ?? (() => undefined);
    this.#origins = new Origins({
      maxConnections: options.connectionsPerWorker ?? defaultConnectionsPerWorker,
      connectTimeoutMs: timeouts.connectMs,
      headersTimeoutMs: timeouts.headersMs,
      bodyStallTimeoutMs: timeouts.bodyStallMs,
    });
    this.#http = new HttpPort(
      (worker) => this.#origins.http(worker),
      (worker) => this.#origins.httpContent(worker),
      options.pageSizeBytes,
      (worker) => this.#personalities.forget(worker),
    );
    this.#s3 = new S3Port(
      (worker) => this.#origins.s3(worker),
      (worker) => this.#origins.s3Content(worker),
    );
    this.#personalities = new Personalities(
      (worker, target, context) => this.#http.probe(worker, target, context),
      timeouts.probeMs,
    );
    const shared = {
      http: (worker: Worker) => this.#origins.http(worker),
      personalityOf: (worker: Worker, context: CallContext) =>
        this.#personalities.of(worker, context),
      assertExpressible,
    };
    this.writes = new WriteCalls({
      ...shared,
      s3: (worker) => this.#origins.s3(worker),
      look: (worker, path, context) => this.#look(worker, path, context),
    });
    this.extras = new ExtraCalls(shared);
  }

  personality(worker: Worker, context: CallContext): Promise<Personality> {
    return this.#personalities.of(worker, context);
  }

  async health(worker: Worker, context: CallContext): Promise<void> {
    // Before 313, open source had no such endpoint and closed the connection.
    const status =
      (await this.#http.probe(worker, '/v1/health', context)) ??
      (await this.#http.probe(worker, '/v1/info?path=/', context));
    // Enterprise may know the endpoint by another name; what counts is that it is served.
    if (status !== undefined && status < 500) return;
    throw new ClusterError('unavailable', 'The worker does not say that it is active', {
      worker: worker.id,
      retryable: true,
    });
  }

  async stat(worker: Worker, path: ByteString, context: CallContext): Promise<FileStatus> {
    assertExpressible(worker, path);
    const personality = await this.#personalityFor(worker, path, context);
    const directory = parentOf(path);
    try {
      if (personality === 'oss' && this.#searched.has(directory)) {
        await this.#missEarly(worker, path, context);
      }
      const status = await this.#statAnyhow(worker, path, personality, context);
      this.#searched.delete(directory);
      return status;
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'not-found') {
        this.#searched.set(directory, true);
      }
      throw error;
    }
  }

  /**
   * Asks where "no" is said in words, before the port that says "yes" in full. Throws `not-found`
   * for what is missing; what is not, or cannot be told here, is asked as ever. One request in place
   * of two, each on a connection of its own. Plain names only: nobody can take them for another.
   */
  async #missEarly(worker: Worker, path: ByteString, context: CallContext): Promise<void> {
    if (!isPlain(path) || bucketAndKey(path).key === '') return;
    try {
      if ((await this.#s3.look(worker, path, context)) === undefined) throw notFound(worker, path);
    } catch (error) {
      if (!(error instanceof ClusterError) || error.code !== 'unavailable') throw error;
    }
  }

  async #look(
    worker: Worker,
    path: ByteString,
    context: CallContext,
  ): Promise<FileStatus | undefined> {
    assertExpressible(worker, path);
    const isOss = (await this.#personalities.of(worker, context)) === 'oss';
    // Only the other port knows files directly under the root.
    if (isOss && bucketAndKey(path).key !== '') return this.#s3.look(worker, path, context);
    try {
      return await this.stat(worker, path, context);
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  async #statAnyhow(
    worker: Worker,
    path: ByteString,
    personality: Personality,
    context: CallContext,
  ): Promise<FileStatus> {
    const encoded = httpPath(path, personality);
    let isClosed = false;
    if (encoded !== undefined) {
      const entry = await this.#http.info(worker, path, encoded, context);
      if (entry !== undefined && 'dropped' in entry)
        throw inexpressible(worker, path, entry.dropped);
      // An entry of another path: the worker read the name differently, so the other port is asked.
      if (entry !== undefined && isOf(entry, path, personality)) {
        this.#tellUfsPath(worker, personality, entry);
        return { ...entry.status, name: nameOf(path) };
      }
      isClosed = entry === undefined;
      if (personality === 'enterprise' || path === '/') {
        throw new ClusterError('unavailable', 'The worker closed the connection', {
          worker: worker.id,
          path,
          retryable: true,
        });
      }
    }
    return this.#statForCertain(worker, path, isClosed, context);
  }

  /** Open source says neither "not found" nor "failed" over HTTP: it closes. This says which. */
  async #statForCertain(
    worker: Worker,
    path: ByteString,
    closed: boolean,
    context: CallContext,
  ): Promise<FileStatus> {
    const { key } = bucketAndKey(path);
    if (key === '') {
      // The S3 port knows only directories here, and without their time.
      const listed = await this.#statInListing(worker, path, context);
      if (listed !== undefined) return listed;
    }
    try {
      const head = await this.#s3.head(worker, path, true, closed, context);
      if (head !== undefined) return { ...head.status, name: nameOf(path) };
    } catch (error) {
      if (!(error instanceof ClusterError) || error.code !== 'unavailable') throw error;
      // The S3 port is off by default on open source; the parent's listing decides without it.
      const listed =
        key === '' ? undefined : await this.#statInListing(worker, path, context, error);
      if (listed !== undefined) return listed;
    }
    // Only a listing knows files directly under the root that the HTTP port cannot be asked for, and
    // workers keep listings for days: that it lacks one proves nothing.
    if (key === '' && ossHttpPath(path) === undefined) {
      throw inexpressible(worker, path, 'root-file');
    }
    throw notFound(worker, path);
  }

  async #statInListing(
    worker: Worker,
    path: ByteString,
    context: CallContext,
    otherwise?: ClusterError,
  ): Promise<FileStatus | undefined> {
    const name = nameOf(path);
    const parent = parentOf(path);
    const encoded = ossHttpPath(parent);
    if (encoded === undefined) throw otherwise ?? inexpressible(worker, path, 'other');
    for await (const batch of this.#http.list(worker, parent, encoded, context)) {
      // Closed: nothing is known.
      if (batch === undefined) throw otherwise ?? inexpressible(worker, path, 'root-file');
      for (const entry of batch) {
        if (!('dropped' in entry) && entry.status.name === name && liesIn(entry, parent)) {
          return entry.status;
        }
      }
    }
    return undefined;
  }

  async *list(
    worker: Worker,
    path: ByteString,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    assertExpressible(worker, path);
    const personality = await this.#personalities.of(worker, context);
    const encoded = httpPath(path, personality);
    let empty = true;
    let listed = false;
    if (encoded !== undefined) {
      listed = true;
      for await (const batch of this.#http.list(worker, path, encoded, context)) {
        if (batch === undefined) {
          listed = false;
          break;
        }
        empty = false;
        const kept = this.#keep(worker, path, personality, batch);
        if (kept.length > 0) yield kept;
      }
    }
    if (!listed) {
      try {
        for await (const batch of this.#listOverS3(worker, path, personality, context)) {
          empty = false;
          yield batch;
        }
      } catch (error) {
        // A file directly under the root is no bucket either: the status below tells.
        if (!(error instanceof ClusterError) || error.code !== 'not-found') throw error;
      }
    }
    // Nothing is the answer for an empty directory, a missing one, and (over S3) for a file.
    if (!empty) return;
    const status = await this.stat(worker, path, context);
    if (status.type === 'file') throw notADirectory(worker, path);
  }

  #keep(
    worker: Worker,
    path: ByteString,
    personality: Personality,
    batch: readonly (Entry | Dropped)[],
  ): FileStatus[] {
    const kept: FileStatus[] = [];
    for (const entry of batch) {
      if ('dropped' in entry) {
        this.#drop(worker, path, entry.dropped, entry.ufsPath);
      } else if (entry.path === path && path !== '/') {
        // The listing of a file is the file.
        throw notADirectory(worker, path);
      } else if (personality === 'oss' && !liesIn(entry, path)) {
        this.#drop(worker, path, 'other', displayByteString(entry.path ?? entry.status.name));
      } else {
        if (kept.length === 0) this.#tellUfsPath(worker, personality, entry);
        kept.push(entry.status);
      }
    }
    return kept;
  }

  #tellUfsPath(worker: Worker, personality: Personality, { path, ufsPath }: Entry): void {
    // The root of Enterprise holds mounts, and need not lie in an under store itself.
    if (path === undefined || (personality === 'enterprise' && path === '/')) return;
    if (ufsPath !== undefined) this.#onUfsPath(worker, path, ufsPath);
  }

  #drop(worker: Worker, path: ByteString, reason: InexpressibleReason, what: string): void {
    this.#events.inexpressible(reason);
    this.#logger.warn(
      { worker: worker.id, directory: displayByteString(path), entry: what, reason },
      'An entry of a listing is left out: the worker gives it under a name that is not its own',
    );
  }

  #listOverS3(
    worker: Worker,
    path: ByteString,
    personality: Personality,
    context: CallContext,
  ): AsyncIterable<FileStatus[]> {
    const { bucket } = bucketAndKey(path);
    // In a listing, unlike in a read, a bucket `a:b` means the directory /a/b.
    if (bucket === '' || bucket.includes(':')) throw inexpressible(worker, path, 'other');
    return this.#s3.list(worker, path, personality === 'oss', context, (key) =>
      this.#drop(worker, path, 'other', displayByteString(key as ByteString)),
    );
  }

  async readPage(
    worker: Worker,
    request: PageRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<PageOutcome> {
    const personality = await this.#personalities.of(worker, context);
    return this.#http.readPage(worker, request, personality, sink, context);
  }

  readPageNow(
    worker: Worker,
    request: WholePageRequest,
    sink: ByteSink,
    deadlineMs: number,
    onEnd: (outcome: PageNowOutcome) => void,
  ): (() => void) | undefined {
    if (this.#personalities.known(worker) !== 'oss') return undefined;
    return this.#http.readPageNow(worker, request, sink, deadlineMs, onEnd);
  }

  async readS3(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<S3Outcome> {
    const { path } = request;
    assertRange(worker, request);
    const personality = await this.#personalityFor(worker, path, context);
    if (bucketAndKey(path).key === '') throw inexpressible(worker, path, 'root-file');
    assertExpressible(worker, path);
    return this.#s3.read(worker, request, personality === 'oss', sink, context);
  }

  async readRange(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<number> {
    assertRange(worker, request);
    assertExpressible(worker, request.path);
    return this.#http.readRange(worker, request, sink, context);
  }

  async close(): Promise<void> {
    this.#personalities.close();
    await this.#origins.close();
  }

  /** Plain names are written alike for both, so no probe is spent on them. */
  async #personalityFor(
    worker: Worker,
    path: ByteString,
    context: CallContext,
  ): Promise<Personality> {
    const known = this.#personalities.known(worker);
    if (known !== undefined) return known;
    return isPlain(path) ? 'oss' : this.#personalities.of(worker, context);
  }
}

/** The value for `path=`, or undefined where this worker's HTTP port cannot carry the name. */
function httpPath(path: ByteString, personality: Personality): string | undefined {
  return personality === 'oss' ? ossHttpPath(path) : percentEncode(path, true);
}

function notFound(worker: Worker, path: ByteString): ClusterError {
  return new ClusterError('not-found', 'No such file or directory', { worker: worker.id, path });
}

function isOf(entry: Entry, path: ByteString, personality: Personality): boolean {
  if (path === '/') return true;
  if (entry.path === undefined || personality === 'enterprise') {
    return entry.status.name === nameOf(path);
  }
  return entry.path === path;
}

function liesIn(entry: Entry, directory: ByteString): boolean {
  return entry.path === undefined || entry.path === joinPath(directory, entry.status.name);
}

/** Such ranges have odd answers (`bytes=5-2` gives the whole file): they are never sent. */
function assertRange(worker: Worker, request: RangeRequest): void {
  const { offset, lengthBytes, version, path } = request;
  const sound =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(offset + lengthBytes) &&
    offset >= 0 &&
    lengthBytes > 0 &&
    (version === undefined || offset + lengthBytes <= version.lengthBytes);
  if (!sound) {
    throw new ClusterError(
      'protocol',
      `A range of ${lengthBytes} bytes at ${offset} is not asked`,
      {
        worker: worker.id,
        path,
      },
    );
  }
}

/**
 * Both personalities parse a path with the same code once they have it: what is lost or changed
 * there is never sent, for the answer would be about another file.
 */
function assertExpressible(worker: Worker, path: ByteString): void {
  const reason = lostName(path);
  if (reason !== undefined) throw inexpressible(worker, path, reason);
}

function notADirectory(worker: Worker, path: ByteString): ClusterError {
  return new ClusterError('not-a-directory', 'The path is a file', { worker: worker.id, path });
}

const explanations: Readonly<Record<InexpressibleReason, string>> = {
  'question-mark': 'workers take the "?" in a name for the start of a query',
  backslash: 'workers take the "\\" in a name for a "/"',
  'invalid-utf8': 'workers know only names in UTF-8',
  'root-file': 'the S3 port of open-source workers has no files directly under the root',
  other: 'no port of this worker can carry the name',
};

function inexpressible(
  worker: Worker,
  path: ByteString,
  reason: InexpressibleReason,
): ClusterError {
  return new ClusterError(
    'inexpressible',
    `This name cannot be asked for: ${explanations[reason]}. ` +
      'It takes an under store that this machine reaches itself, and --under-store-fallback auto.',
    { worker: worker.id, path },
  );
}
