/**
 * The cluster as one: puts placement, retries, breakers, data path choice and the under store
 * around single-worker calls. The parts are put together here and nowhere else.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import { displayByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { remainingMs, runAttempt } from './attempt.ts';
import { Breakers } from './breaker.ts';
import type {
  ClusterClient,
  ClusterStatus,
  PathLocation,
  ReadRequest,
  ReadResult,
  WorkerStatus,
} from './cluster-client.ts';
import type { ClusterEvents, InexpressibleReason } from './cluster-events.ts';
import { firstAnswer, shareMs } from './failover.ts';
import { reasonForFile, reasonForListing } from './inexpressible.ts';
import { ListingRouter } from './listing-router.ts';
import type { MountTable } from './mapping/mount-table.ts';
import type { Membership } from './membership/index.ts';
import { OssReader } from './oss-reader.ts';
import { PageTrust } from './page-trust.ts';
import { PathChoice } from './path-choice.ts';
import { NodeOwners } from './node-owners.ts';
import { Placement } from './placement.ts';
import type { CommonPorts } from './placement.ts';
import { QuickPages } from './quick-pages.ts';
import { RangeRouter } from './range-router.ts';
import { ReadsUnderWay } from './reads-under-way.ts';
import type { ByteSink, CallContext, FileStatus, MembershipView, Worker } from './types.ts';
import { normaliseAlluxioPath } from './ufs-path.ts';
import type { UfsRootCheck } from './ufs-root-check.ts';
import type { UnderStore } from './under-store.ts';
import { UnderStoreFallback } from './under-store-fallback.ts';
import type { FallbackLimits } from './under-store-gate.ts';
import { DEFAULT_FALLBACK_LIMITS, UnderStoreGate } from './under-store-gate.ts';
import { VersionCheck } from './version-check.ts';
import { VirtualNodes } from './virtual-nodes.ts';
import { WorkerCalls } from './worker-calls.ts';
import type { Personality, WorkerClient } from './worker-client.ts';
import type { ClusterWriter, UploadStrategy } from './write/cluster-writer.ts';
import { RoutedWriter } from './write/routed-writer.ts';
import { WriteAttempts } from './write/write-attempts.ts';

export interface RoutedClientOptions {
  readonly client: WorkerClient;
  readonly membership: Membership;
  readonly mounts: MountTable;
  /** Fed by the worker client; once it knows better, the under store is left alone. */
  readonly ufsRootCheck?: UfsRootCheck;
  readonly pageSizeBytes: number;
  readonly virtualNodes: number | 'auto';
  /** Who tells whose file a path is: the ring of the view (when left out), or the workers. */
  readonly routing?: 'ring' | 'node' | undefined;
  /** Of workers that the view lacks, where it is not the whole cluster. */
  readonly commonPorts?: CommonPorts | undefined;
  /** What an earlier process learned where `virtualNodes` is `auto`. */
  readonly learnedVirtualNodes?: number | undefined;
  readonly underStore?: UnderStore | undefined;
  /** `auto` when left out. */
  readonly uploadStrategy?: UploadStrategy | undefined;
  /** How long an upload may stand still. */
  readonly uploadStallMs?: number | undefined;
  readonly fallbackLimits?: FallbackLimits;
  /** Must run like `performance.now()`, the clock of every deadline. */
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ClusterEvents;
  readonly random?: () => number;
}

/** A health probe is one small answer; a worker that takes longer is not well. */
const PROBE_MS = 2_000;
/** Paths whose refusal was logged; past this many, the log has made its point. */
const LOGGED_PATHS_MAX = 1_000;

/** Of a directory that holds mount points and nothing else. */
const NOWHERE: PathLocation = { ufsPath: '' as ByteString, workers: [] };

export class RoutedClient implements ClusterClient {
  /** Changes, over the same workers, breakers and notes as the reads. */
  readonly writer: ClusterWriter;
  /** Which under store lies where. */
  readonly mounts: MountTable;
  readonly #closeWriter: () => Promise<void>;
  readonly #options: RoutedClientOptions;
  readonly #breakers: Breakers;
  readonly #calls: WorkerCalls;
  readonly #virtualNodes: VirtualNodes;
  readonly #placement: Placement;
  readonly #choice: PathChoice;
  readonly #trust: PageTrust;
  readonly #fallback: UnderStoreFallback;
  readonly #ranges: RangeRouter;
  readonly #reads = new ReadsUnderWay();
  readonly #listings: ListingRouter;
  readonly #loggedPaths = new LRUCache<ByteString, true>({ max: LOGGED_PATHS_MAX });
  /** By worker id, for as long as its view lasts: a restarted worker may be of another kind. */
  readonly #personalities = new Map<string, Personality>();
  readonly #stopListening: () => void;
  readonly #first: { close(): Promise<void> }[] = [];

  /** Takes over client, membership and under store: `close` closes them. */
  constructor(options: RoutedClientOptions) {
    this.#options = options;
    this.mounts = options.mounts;
    const { client, membership, clock, events, logger, pageSizeBytes } = options;
    const personalityOf = this.#personalityOf.bind(this);
    this.#choice = new PathChoice();
    const choice = this.#choice;
    this.#breakers = new Breakers({
      clock,
      events,
      random: options.random ?? Math.random,
      probe: (worker) => this.#isWell(worker),
    });
    const breakers = this.#breakers;
    this.#calls = new WorkerCalls({ clock, events, breakers });
    const calls = this.#calls;
    const { virtualNodes, learnedVirtualNodes: learnedBefore } = options;
    const settings = { virtualNodes, learnedBefore };
    this.#virtualNodes = new VirtualNodes({ ...settings, clock, logger, events });
    const unlistedPorts = membership.isWhole ? undefined : options.commonPorts;
    const placing = { virtualNodes: this.#virtualNodes, breakers, choice, unlistedPorts };
    this.#placement = new Placement(placing);
    const placement = this.#placement;
    if (options.routing === 'node') {
      const workerAt = placement.workerAtHttp.bind(placement);
      placement.nodes = new NodeOwners({ client, calls, workerAt, clock, events, logger });
    }
    this.#trust = new PageTrust({ pageSizeBytes, clock, logger, events });
    const trust = this.#trust;
    const limits = options.fallbackLimits ?? DEFAULT_FALLBACK_LIMITS;
    const isRootWrong = (): boolean => options.ufsRootCheck?.mismatch !== undefined;
    this.#fallback = new UnderStoreFallback({
      store: options.underStore,
      isRootWrong,
      gate: new UnderStoreGate({ limits, clock, events }),
      clock,
      events,
      logger,
    });
    const fallback = this.#fallback;
    const versions = new VersionCheck({ client, calls, choice, pageSizeBytes, clock });
    const believing = { trust, choice, versions, pageSizeBytes };
    const oss = new OssReader({ client, calls, ...believing, clock, events });
    const shared = { client, calls, placement, fallback, personalityOf, clock, events };
    const quick = new QuickPages({ ...shared, breakers, ...believing });
    this.#ranges = new RangeRouter({
      ...shared,
      quick,
      breakers,
      choice,
      oss,
      versions,
      isRootWrong,
      noteInexpressible: (error, { path: file }) =>
        this.#noteInexpressible(file, reasonForFile(file), error.message),
    });
    this.#listings = new ListingRouter({
      ...shared,
      breakers,
      noteInexpressible: (error, directory) =>
        this.#noteInexpressible(directory, reasonForListing(directory), error.message),
    });
    const writer = this.#buildWriter();
    this.writer = writer;
    this.#closeWriter = () => writer.close();
    this.#stopListening = membership.onChange((view) => this.#setView(view));
    this.#setView(membership.view());
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    const normal = normaliseAlluxioPath(path);
    // A mount point is there, whether or not the under store above it has the name.
    const below = () => this.#statBelow(normal, context);
    return this.mounts.directories.stat(normal, this.#isOfTableAlone(normal) ? undefined : below);
  }

  async #statBelow(normal: ByteString, context: CallContext): Promise<FileStatus> {
    const { client, clock, events } = this.#options;
    const hasFallback = this.#fallback.isConfigured(normal);
    const ufsPath = this.#ufsPath(normal);
    const workers = await this.#placement.candidates(ufsPath, !hasFallback, context);
    const result = await firstAnswer(
      workers,
      { method: 'stat', context, clock, events, hasFallback, breakers: this.#breakers },
      (worker, limited) =>
        this.#calls.call('stat', worker, limited, () => client.stat(worker, normal, limited)),
    );
    if ('answer' in result) {
      const { answer } = result;
      if (answer.type === 'file') this.#choice.noteVersion(ufsPath, answer, clock.nowMs());
      return answer;
    }
    if (result.reason === 'inexpressible') {
      this.#noteInexpressible(normal, reasonForFile(normal), result.error.message);
    }
    remainingMs(context, clock);
    const store = await this.#fallback.reachable(normal);
    if (store === undefined) throw result.error;
    return this.#fallback.stat(store, normal, result.reason, context);
  }

  list(path: ByteString, context: CallContext): AsyncIterable<FileStatus[]> {
    const normal = normaliseAlluxioPath(path);
    const below = () => this.#listBelow(normal, context);
    return this.mounts.directories.list(normal, this.#isOfTableAlone(normal) ? undefined : below);
  }

  async *#listBelow(normal: ByteString, context: CallContext): AsyncGenerator<FileStatus[]> {
    yield* this.#listings.list(normal, this.#ufsPath(normal), context);
  }

  /** What lies past the end of the version is not asked for: the sink gets what there is. */
  async read(request: ReadRequest, sink: ByteSink, context: CallContext): Promise<ReadResult> {
    const { offset, version } = request;
    const isRange = Number.isSafeInteger(offset) && offset >= 0 && request.lengthBytes >= 0;
    if (!isRange || !Number.isSafeInteger(offset + request.lengthBytes)) {
      throw new RangeError(`Not a range: ${offset}+${request.lengthBytes}`);
    }
    const lengthBytes = Math.min(request.lengthBytes, version.lengthBytes - offset);
    if (lengthBytes <= 0) return { source: 's3', worker: undefined };
    const path = normaliseAlluxioPath(request.path);
    const job = { path, ufsPath: this.#ufsPath(path), offset, lengthBytes, version };
    return this.#reads.during(path, () => this.#ranges.read(job, sink, context));
  }

  async locate(path: ByteString, count: number, context: CallContext): Promise<PathLocation> {
    const normal = normaliseAlluxioPath(path);
    if (this.#isOfTableAlone(normal)) return NOWHERE;
    const ufsPath = this.#ufsPath(normal);
    const told = await this.#ownerTold(normal, ufsPath, context);
    return { ufsPath, workers: await this.#placement.owners(ufsPath, count, context, told) };
  }

  /**
   * As long as nothing has told which ring the workers go by, a wrong one would be believed here:
   * whoever reads is redirected, who only asks for the owner is not. So a worker that should have to
   * redirect is asked for a byte. Undefined where that is not needed, or nobody tells.
   */
  async #ownerTold(
    path: ByteString,
    ufsPath: ByteString,
    context: CallContext,
  ): Promise<Worker | undefined> {
    const { client, clock, routing } = this.#options;
    const hosts = new Set(this.#virtualNodes.possibleOwners(ufsPath).map(({ host }) => host));
    if (hosts.size < 2 || routing === 'node') return undefined;
    const { view } = this.#placement;
    const worker =
      view.workers.find((each) => !hosts.has(each.host) && this.#breakers.isAvailable(each)) ??
      this.#placement.knownOwner(ufsPath);
    if (worker === undefined || !this.#breakers.isAvailable(worker)) return undefined;
    const request = { path, ufsPath, offset: 0, lengthBytes: 1 };
    try {
      const limits = { context, clock, timeoutMs: shareMs(remainingMs(context, clock), true) };
      const outcome = await runAttempt(limits, async (limited) => {
        if ((await this.#personalityOf(worker, limited)) !== 'oss') return undefined;
        return this.#calls.call('s3', worker, limited, () =>
          client.readS3(worker, request, () => undefined, limited),
        );
      });
      if (outcome?.kind === 'redirect') {
        this.#virtualNodes.noteRedirect(ufsPath, outcome.host);
        return this.#placement.workerAt(outcome.host, outcome.port);
      }
      if (outcome?.kind !== 'data') return undefined;
      this.#virtualNodes.noteServed(ufsPath, worker.host);
      return worker;
    } catch {
      // An empty file, a directory, a worker that is away: the ring has to do.
      remainingMs(context, clock);
      return undefined;
    }
  }

  status(): ClusterStatus {
    const { membership, clock, pageSizeBytes } = this.#options;
    const lastGoodAtMs = membership.lastGoodAtMs();
    return {
      source: membership.source,
      view: membership.view(),
      viewAgeMs: lastGoodAtMs === undefined ? Infinity : clock.nowMs() - lastGoodAtMs,
      virtualNodes: this.#virtualNodes.current,
      virtualNodesFrom: this.#virtualNodes.from,
      pageSizeBytes,
      pageSizeMismatch: this.#trust.mismatch,
      ufsRootMismatch: this.#options.ufsRootCheck?.mismatch,
      underStoreFallback: this.#fallback.status,
      underStoreProblem: this.#fallback.problem,
      workers: this.#placement.known.map((worker) => this.#workerStatus(worker)),
    };
  }

  /** The same, once the under store was asked whether it can be reached. */
  async statusNow(): Promise<ClusterStatus> {
    await this.#fallback.reachable();
    return this.status();
  }

  /** What asks the workers for itself, and is owned from now on. */
  closesFirst(part: { close(): Promise<void> }): void {
    this.#first.push(part);
  }

  async close(): Promise<void> {
    await Promise.all(this.#first.map((part) => part.close()));
    await this.#closeWriter();
    this.#stopListening();
    await this.#options.membership.close();
    await this.#options.client.close();
    await this.#fallback.close();
  }

  #workerStatus(worker: Worker): WorkerStatus {
    const { id, host, httpPort, s3Port } = worker;
    return {
      id,
      host,
      httpPort,
      s3Port,
      personality: this.#personalities.get(id),
      breaker: this.#breakers.stateOf(worker),
      lastError: this.#breakers.lastErrorOf(worker),
    };
  }

  #buildWriter(): RoutedWriter {
    const { client, clock, events, logger, uploadStrategy, uploadStallMs, mounts } = this.#options;
    const isLocal = mounts.mounts.some(({ root }) => root.scheme === 'file');
    if (uploadStrategy === 'single-put' && isLocal) {
      throw new RangeError('A cut PUT stays in a file:// under store: it needs another strategy');
    }
    const calls = this.#calls;
    const placement = this.#placement;
    const stallMs = uploadStallMs;
    return new RoutedWriter({
      attempts: new WriteAttempts({
        client,
        calls,
        placement,
        clock,
        events,
        stallMs,
        reads: this.#reads,
      }),
      fallback: this.#fallback,
      personalityOf: (ufsPath, context) => this.#personalityNear(ufsPath, context),
      ufsPathOf: (path) => this.#ufsPath(path),
      rings: () => this.#virtualNodes.possibleRings(),
      strategy: uploadStrategy ?? 'auto',
      events,
      logger,
      onChanged: (path, ufsPath) => {
        this.#choice.forgetFile(ufsPath);
        this.#trust.forgetFile(path);
      },
    });
  }

  /** Of the first worker for the path that tells it; all of a cluster are of one kind. */
  async #personalityNear(ufsPath: ByteString, context: CallContext): Promise<Personality> {
    const { clock, events } = this.#options;
    const workers = await this.#placement.candidates(ufsPath, true, context);
    const hasFallback = false;
    const breakers = this.#breakers;
    const asked = { method: 'personality', context, clock, events, hasFallback, breakers } as const;
    const result = await firstAnswer(workers, asked, (worker, limited) =>
      this.#personalityOf(worker, limited),
    );
    if ('answer' in result) return result.answer;
    throw result.error;
  }

  #setView(view: MembershipView): void {
    // A source that lost its data, or a prefix that was emptied, says that nobody lives. The workers
    // asked last go on being asked: those that are gone do not answer, and their breakers open.
    if (view.workers.length === 0 && this.#placement.view.workers.length > 0) return;
    const ids = new Set(view.workers.map((worker) => worker.id));
    this.#placement.setView(view);
    this.#trust.retain(ids);
    this.#ranges.retain(ids);
    this.#personalities.clear();
  }

  /** A directory on the way to mount points, that itself lies below none. */
  #isOfTableAlone(normal: ByteString): boolean {
    return this.mounts.isMountedDirectory(normal) && this.mounts.resolve(normal) === undefined;
  }

  #ufsPath(normal: ByteString): ByteString {
    return this.mounts.ufsPathOf(normal);
  }

  async #personalityOf(worker: Worker, context: CallContext): Promise<Personality> {
    const known = this.#personalities.get(worker.id);
    if (known !== undefined) return known;
    const { client } = this.#options;
    const personality = await this.#calls.call('personality', worker, context, () =>
      client.personality(worker, context),
    );
    this.#personalities.set(worker.id, personality);
    return personality;
  }

  async #isWell(worker: Worker): Promise<boolean> {
    const { client, clock, events } = this.#options;
    const startMs = clock.nowMs();
    const context = {
      signal: new AbortController().signal,
      deadlineMs: startMs + PROBE_MS,
    };
    // Not through WorkerCalls: the breaker that asks must not be told of its own question.
    const outcome = await runAttempt({ context, clock, timeoutMs: PROBE_MS }, (limited) =>
      client.health(worker, limited),
    ).then(
      () => 'ok',
      () => 'unavailable',
    );
    const success = outcome === 'ok';
    const latencyMs = clock.nowMs() - startMs;
    const event = { method: 'health', worker: worker.id, success, latencyMs, bytes: 0 } as const;
    events.workerCall({ ...event, outcome });
    return success;
  }

  #noteInexpressible(path: ByteString, reason: InexpressibleReason, message: string): void {
    const { events, logger } = this.#options;
    events.inexpressible(reason);
    if (this.#loggedPaths.has(path)) return;
    this.#loggedPaths.set(path, true);
    const then = this.#fallback.isConfigured(path) ? 'asking the under store' : 'failing with EIO';
    const fields = { path: displayByteString(path), reason, message };
    logger.warn(fields, `No worker of this cluster can be asked for this name; ${then}`);
  }
}
