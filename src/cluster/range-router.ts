/**
 * Reads a range from wherever it can be had: the owner, the worker that a redirect names, the next
 * workers on the ring, the under store; under one deadline.
 */
import type { Clock } from '../base/clock.ts';
import { displayByteString } from '../base/byte-string.ts';
import { AttemptSink, remainingMs, runAttempt } from './attempt.ts';
import type { Breakers } from './breaker.ts';
import type { ReadResult } from './cluster-client.ts';
import type { ClusterEvents, FallbackReason } from './cluster-events.ts';
import { noAnswer, shareMs, watchOf } from './failover.ts';
import type { OssReader, RangeJob, RangeOutcome } from './oss-reader.ts';
import type { PathChoice } from './path-choice.ts';
import { isSameVersion } from './path-choice.ts';
import type { Placement } from './placement.ts';
import type { QuickPages } from './quick-pages.ts';
import type { ByteSink, CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import type { UnderStoreFallback } from './under-store-fallback.ts';
import type { VersionCheck } from './version-check.ts';
import { isAnswer, toClusterError } from './worker-calls.ts';
import type { WorkerCalls } from './worker-calls.ts';
import type { Personality, WorkerClient } from './worker-client.ts';

export interface RangeRouterParts {
  readonly client: WorkerClient;
  readonly calls: WorkerCalls;
  readonly placement: Placement;
  readonly breakers: Breakers;
  readonly choice: PathChoice;
  readonly oss: OssReader;
  readonly versions: VersionCheck;
  readonly quick: QuickPages;
  readonly fallback: UnderStoreFallback;
  readonly personalityOf: (worker: Worker, context: CallContext) => Promise<Personality>;
  readonly clock: Clock;
  readonly events: ClusterEvents;
  /** Enterprise ranges are asked for by under store path: not where ours are wrong. */
  readonly isRootWrong: () => boolean;
  /** Called for a file that no worker path can carry, before the under store is tried. */
  readonly noteInexpressible: (error: ClusterError, job: RangeJob) => void;
}

/** Four candidates and as many redirects among them: more would be workers that disagree. */
const TRIES_MAX = 8;
/** Two workers that name the same dead owner speak for all: each asks the same membership. */
const DEAD_REDIRECTS_MAX = 2;

/** What one read has seen so far. */
interface Search {
  readonly job: RangeJob;
  readonly tried: Set<string>;
  readonly failed: Set<string>;
  /** Owners that redirects named. */
  readonly named: Set<string>;
  readonly queue: Worker[];
  last: ClusterError | undefined;
  /** Named by redirects but not answering: address, and how many workers named one. */
  deadOwner: string | undefined;
  deadRedirects: number;
  /** Asked although its breaker is open. */
  trial: string | undefined;
}

export class RangeRouter {
  readonly #parts: RangeRouterParts;
  /** Enterprise workers without a range endpoint, by id; bounded by the workers of the view. */
  readonly #withoutRange = new Set<string>();
  /** Ids of workers whose breaker is open and that one reader is asking all the same. */
  readonly #onTrial = new Set<string>();

  constructor(parts: RangeRouterParts) {
    this.#parts = parts;
  }

  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#withoutRange) if (!ids.has(id)) this.#withoutRange.delete(id);
  }

  read(job: RangeJob, sink: ByteSink, context: CallContext): Promise<ReadResult> {
    const quick = this.#parts.quick.read(job, sink, context);
    if (quick === undefined) return this.#search(job, sink, context);
    return quick.then(({ worker, failure }) => {
      if (failure === undefined) return { source: 'page', worker: worker.id };
      return this.#search(
        job,
        sink,
        context,
        failure === 'unclear' ? undefined : { worker, failure },
      );
    });
  }

  /** `before`: the worker that was asked the quick way, and how it failed. */
  async #search(
    job: RangeJob,
    sink: ByteSink,
    context: CallContext,
    before?: { readonly worker: Worker; readonly failure: ClusterError },
  ): Promise<ReadResult> {
    const { placement, fallback, events } = this.#parts;
    const search: Search = {
      job,
      tried: new Set(),
      failed: new Set(),
      named: new Set(),
      queue: await placement.candidates(job.ufsPath, !fallback.isConfigured(job.path), context),
      last: undefined,
      deadOwner: undefined,
      deadRedirects: 0,
      trial: undefined,
    };
    if (before !== undefined) {
      search.tried.add(before.worker.id);
      this.#noteFailure(search, before.worker, before.failure, context);
    }
    try {
      for (let tries = 0; tries < TRIES_MAX && !this.#isHopeless(search); tries += 1) {
        const worker = search.queue.shift();
        if (worker === undefined) break;
        if (search.tried.has(worker.id)) continue;
        const outcome = await this.#try(worker, search, sink, context);
        if (outcome?.kind === 'data') {
          events.bytesRead(outcome.source, job.lengthBytes);
          const result = { source: outcome.source, worker: worker.id };
          return outcome.isVersionTold ? { ...result, isVersionTold: true } : result;
        }
        if (outcome?.kind === 'redirect') this.#follow(worker, outcome, search);
      }
    } finally {
      if (search.trial !== undefined) this.#onTrial.delete(search.trial);
    }
    return this.#fallBack(search, sink, context);
  }

  #isHopeless(search: Search): boolean {
    return search.last?.code === 'inexpressible' || search.deadRedirects >= DEAD_REDIRECTS_MAX;
  }

  /** Undefined after a failure that leaves others to be tried; throws what ends the search. */
  async #try(
    worker: Worker,
    search: Search,
    sink: ByteSink,
    context: CallContext,
  ): Promise<RangeOutcome | undefined> {
    const { clock, fallback, breakers } = this.#parts;
    // Pages lie with the owner: by our ring, or by what a redirect said.
    const isOwner = search.tried.size === 0 || search.named.has(worker.id);
    search.tried.add(worker.id);
    const hasFallback = fallback.isConfigured(search.job.path);
    const hasOthers = search.queue.length > 0 || hasFallback;
    // Other workers would only send us back.
    const watch = hasFallback ? watchOf(breakers, worker) : undefined;
    const timeoutMs = shareMs(remainingMs(context, clock), hasOthers);
    const guarded = new AttemptSink(sink, search.job.lengthBytes);
    try {
      return await runAttempt({ context, clock, timeoutMs, watch }, (limited) =>
        this.#ask(worker, search, isOwner, guarded, limited),
      );
    } catch (error) {
      this.#noteFailure(search, worker, toClusterError(error, worker), context);
      return undefined;
    } finally {
      guarded.end();
    }
  }

  /** Throws it where it ends the search. */
  #noteFailure(search: Search, worker: Worker, failure: ClusterError, context: CallContext): void {
    if (context.signal.aborted || isAnswer(failure)) throw failure;
    search.last = failure;
    search.failed.add(worker.id);
    if (failure.code !== 'inexpressible') this.#parts.events.retry('s3', failure.code);
  }

  async #ask(
    worker: Worker,
    search: Search,
    isOwner: boolean,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<RangeOutcome> {
    const { oss, placement, choice, personalityOf } = this.#parts;
    const { job } = search;
    try {
      const personality = await personalityOf(worker, context);
      if (personality === 'enterprise') return await this.#askRange(worker, job, sink, context);
      const outcome = await oss.read(worker, job, isOwner, sink, context);
      if (outcome.kind === 'data') {
        // Pages lie with the owner only, and the S3 port sends everybody else away.
        choice.noteOwner(job.ufsPath, worker.id, placement.view.generation);
        if (outcome.source === 's3') placement.virtualNodes.noteServed(job.ufsPath, worker.host);
      }
      return outcome;
    } catch (error) {
      const failure = toClusterError(error, worker);
      if (failure.code !== 'not-found' && failure.code !== 'version-changed') throw failure;
      throw await this.#confirm(worker, search, failure, context);
    }
  }

  async #askRange(
    worker: Worker,
    job: RangeJob,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<RangeOutcome> {
    const { client, calls, oss, versions, isRootWrong } = this.#parts;
    const { path, ufsPath, offset, lengthBytes, version } = job;
    if (!this.#withoutRange.has(worker.id) && !isRootWrong()) {
      try {
        const request = { path, ufsPath, offset, lengthBytes, version };
        const ask = () => client.readRange(worker, request, sink.part(0, lengthBytes), context);
        const received = await versions.around(worker, job, context, () =>
          calls.call('range', worker, context, ask, (bytes) => ({ outcome: 'ok', bytes })),
        );
        if (received === lengthBytes)
          return { kind: 'data', source: 'range', isVersionTold: false };
        const message = `${received} of ${lengthBytes} bytes came`;
        throw new ClusterError('protocol', message, { path, worker: worker.id, retryable: true });
      } catch (error) {
        if (toClusterError(error).code !== 'unsupported') throw error;
        this.#withoutRange.add(worker.id);
      }
    }
    return oss.readThrough(worker, job, sink, context);
  }

  /**
   * "Gone" and "changed" end the reader's file, so each worker that says so is asked once more in
   * another way: one that still tells the opened version has merely failed to read it.
   */
  async #confirm(
    worker: Worker,
    search: Search,
    failure: ClusterError,
    context: CallContext,
  ): Promise<ClusterError> {
    const { client, calls } = this.#parts;
    const { path, version } = search.job;
    const details = { path, worker: worker.id, cause: failure };
    try {
      const status = await calls.call('stat', worker, context, () =>
        client.stat(worker, path, context),
      );
      const isSame = status.type === 'file' && isSameVersion(status, version);
      if (isSame) {
        const message = `The worker tells the version that was opened but answers another: ${failure.message}`;
        return new ClusterError('protocol', message, { ...details, retryable: true });
      }
      const message = 'The file is not the one that was opened';
      return new ClusterError('version-changed', message, details);
    } catch (error) {
      const second = toClusterError(error, worker);
      if (second.code === 'not-found') return second;
      if (isAnswer(second)) return failure;
      // A worker that cannot say it twice may be wrong the first time: somebody else is asked.
      const message = `The worker says that the file changed and cannot confirm it: ${second.message}`;
      return new ClusterError('protocol', message, { ...details, retryable: true });
    }
  }

  #follow(
    from: Worker,
    redirect: { readonly host: string; readonly port: number },
    search: Search,
  ): void {
    const { placement, events } = this.#parts;
    const { host, port } = redirect;
    const owner = placement.workerAt(host, port);
    placement.virtualNodes.noteRedirect(search.job.ufsPath, host);
    const isTried = owner !== undefined && search.tried.has(owner.id);
    if (owner !== undefined && !isTried && this.#mayAnswer(owner, search)) {
      events.redirect('followed', from.id, host);
      search.named.add(owner.id);
      search.queue.unshift(owner);
      return;
    }
    // A worker that was tried and sent us on is not dead: the two disagree about the owner.
    if (owner !== undefined && isTried && !search.failed.has(owner.id)) {
      events.redirect('loop', from.id, host);
      return;
    }
    events.redirect(owner === undefined ? 'owner-unknown' : 'owner-failing', from.id, host);
    search.deadOwner = owner === undefined ? `${host}:${port}` : `${owner.id} (${host}:${port})`;
    search.deadRedirects += 1;
  }

  /**
   * Where nothing else could answer, an open breaker may be wrong: an error is certain otherwise. One
   * reader at a time finds out, so that a worker that hangs does not take all readers' places.
   */
  #mayAnswer(owner: Worker, search: Search): boolean {
    const { breakers, fallback } = this.#parts;
    if (breakers.isAvailable(owner)) return true;
    if (fallback.isConfigured(search.job.path) || this.#onTrial.has(owner.id)) return false;
    this.#onTrial.add(owner.id);
    search.trial = owner.id;
    return true;
  }

  async #fallBack(search: Search, sink: ByteSink, context: CallContext): Promise<ReadResult> {
    const { fallback, clock, noteInexpressible } = this.#parts;
    remainingMs(context, clock);
    const { job } = search;
    const { reason, error } = whyNot(search);
    if (reason === 'inexpressible') noteInexpressible(error, job);
    const store = await fallback.reachable(job.path);
    if (store === undefined) throw error;
    await fallback.read(store, job, reason, sink, context);
    return { source: 'under-store', worker: undefined };
  }
}

function whyNot(search: Search): { reason: FallbackReason; error: ClusterError } {
  const { job, last, deadOwner } = search;
  if (last?.code === 'inexpressible') return { reason: 'inexpressible', error: last };
  if (deadOwner === undefined) return noAnswer(last);
  const message =
    `The workers send readers of "${displayByteString(job.path)}" to ${deadOwner}, which does not ` +
    'answer; they go on doing so until its lease in etcd ends, up to 120 s. ' +
    'With --ufs set to a file:// under store on this machine it would be read from there';
  const details = { path: job.path, retryable: true, cause: last };
  return { reason: 'owner-dead', error: new ClusterError('unavailable', message, details) };
}
