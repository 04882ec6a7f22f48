/**
 * Reads a range from one open-source worker: from its pages where they may be believed and are
 * likely to be there, and through its S3 port for the rest.
 */
import type { AttemptSink } from './attempt.ts';
import type { ClusterEvents } from './cluster-events.ts';
import { hedgedPage, Hedging, type AskForPage } from './hedging.ts';
import { isUnderRoot, lostName } from './inexpressible.ts';
import type { PageTrust } from './page-trust.ts';
import type { PathChoice } from './path-choice.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { CallContext, DataSource, FileVersion, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import type { VersionCheck } from './version-check.ts';
import type { WorkerCalls } from './worker-calls.ts';
import type { S3Outcome, WorkerClient } from './worker-client.ts';

/** A range that lies within its file; never empty. */
export interface RangeJob {
  readonly path: ByteString;
  readonly ufsPath: ByteString;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly version: FileVersion;
}

export type RangeOutcome =
  | {
      readonly kind: 'data';
      readonly source: DataSource;
      /** The answer with the bytes told the version, all of it; pages do not. */
      readonly isVersionTold: boolean;
    }
  | { readonly kind: 'redirect'; readonly host: string; readonly port: number };

interface Span {
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Enough to fill a connection pool's latency, few enough to leave room for other readers. */
const PAGES_AT_ONCE = 4;

function discard(): void {
  // The bytes of a probe are not wanted.
}

export class OssReader {
  readonly #client: WorkerClient;
  readonly #calls: WorkerCalls;
  readonly #trust: PageTrust;
  readonly #choice: PathChoice;
  readonly #versions: VersionCheck;
  readonly #pageSizeBytes: number;
  readonly #clock: Clock;
  /** Pages of a longer range share their connections' bandwidth: they take longer than others. */
  readonly #hedging: Hedging;

  constructor(parts: {
    readonly client: WorkerClient;
    readonly calls: WorkerCalls;
    readonly trust: PageTrust;
    readonly choice: PathChoice;
    readonly versions: VersionCheck;
    readonly pageSizeBytes: number;
    readonly clock: Clock;
    readonly events: Pick<ClusterEvents, 'hedge'>;
  }) {
    this.#client = parts.client;
    this.#calls = parts.calls;
    this.#trust = parts.trust;
    this.#choice = parts.choice;
    this.#versions = parts.versions;
    this.#pageSizeBytes = parts.pageSizeBytes;
    this.#clock = parts.clock;
    this.#hedging = new Hedging(parts.events);
  }

  /** `isOwner`: pages lie with the owner only, so nobody else is asked for them. */
  async read(
    worker: Worker,
    job: RangeJob,
    isOwner: boolean,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<RangeOutcome> {
    const mustUsePages = isUnderRoot(job.path);
    if (mustUsePages && !isOwner) throw rootFile(job, worker);
    // A lost name has no id that the worker would know; the S3 call below says so.
    const isLost = lostName(job.path) !== undefined;
    const usesPages = isOwner && !isLost && this.#choice.choose(job) === 'page';
    if (!mustUsePages && !usesPages) return this.readThrough(worker, job, sink, context);
    const isWhole = ([span]: readonly Span[]): boolean => span?.lengthBytes === job.lengthBytes;
    const missing = await this.#versions.around(
      worker,
      job,
      context,
      () => this.#readPages(worker, job, sink, context),
      // Where no page was used, the S3 port tells the version itself.
      isWhole,
    );
    if (missing.length === 0) {
      this.#choice.notePageHit(job);
      return { kind: 'data', source: 'page', isVersionTold: false };
    }
    if (mustUsePages) throw rootFile(job, worker);
    let isVersionTold = isWhole(missing);
    for (const span of missing) {
      const outcome = await this.#readS3(worker, job, span, sink, context);
      // That somebody else's pages are not here says nothing about them.
      if (outcome.kind === 'redirect') return outcome;
      isVersionTold &&= outcome.isVersionTold;
    }
    this.#choice.notePageMiss(job);
    return { kind: 'data', source: 's3', isVersionTold };
  }

  /** Through the S3 port alone; Enterprise workers have it too. */
  readThrough(
    worker: Worker,
    job: RangeJob,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<RangeOutcome> {
    return this.#readS3(worker, job, { offset: 0, lengthBytes: job.lengthBytes }, sink, context);
  }

  /** Returns what no page gave, as spans relative to the job, in order. */
  async #readPages(
    worker: Worker,
    job: RangeJob,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<Span[]> {
    const pages = this.#pagesOf(job);
    const isBeyondFirst = pages.some((page) => page.index > 0);
    if (this.#trust.mismatch !== undefined) return mergeSpans(pages);
    if (isBeyondFirst && !(await this.#prove(worker, job, context))) return mergeSpans(pages);
    const missing: PageSpan[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      for (let page = pages[next]; page !== undefined; page = pages[next]) {
        next += 1;
        // After the first miss the rest is likely missing too, and reads through in one request.
        const isHere =
          missing.length === 0 && (await this.#readPage(worker, job, page, sink, context));
        if (!isHere) missing.push(page);
      }
    };
    const width = Math.min(PAGES_AT_ONCE, pages.length);
    const results = await Promise.allSettled(Array.from({ length: width }, work));
    // All have ended by now: no page of this attempt writes into the sink any more.
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return mergeSpans(missing);
  }

  async #readPage(
    worker: Worker,
    job: RangeJob,
    page: PageSpan,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<boolean> {
    // With both given a longer page than ours is clipped by the worker, and page 0 is right anyway.
    const request = {
      ufsPath: job.ufsPath,
      pageIndex: page.index,
      offsetInPage: page.offsetInPage,
      lengthBytes: page.lengthBytes,
      isEnd: isEndOf(job, page),
    };
    const ask: AskForPage = (into, limited) =>
      this.#client.readPage(worker, request, into, limited);
    const part = sink.part(page.offset, page.lengthBytes);
    const startMs = this.#clock.nowMs();
    const outcome = await this.#calls.call(
      'page',
      worker,
      context,
      () => hedgedPage(this.#hedging, ask, part, page.lengthBytes, context),
      (answer) =>
        answer.kind === 'miss'
          ? { outcome: 'miss', bytes: 0 }
          : { outcome: 'ok', bytes: Math.min(answer.lengthBytes, page.lengthBytes) },
    );
    if (outcome.kind === 'miss') return false;
    if (outcome.lengthBytes === page.lengthBytes) {
      this.#hedging.note(this.#clock.nowMs() - startMs);
      return true;
    }
    // An old page: the file was longer. The S3 port tells the length and time of what it reads, so it
    // decides what the file is now.
    if (outcome.lengthBytes > page.lengthBytes) {
      if (isUnderRoot(job.path)) throw otherVersion(job, worker);
      return false;
    }
    // Shorter than the version has it: an old page or another page size.
    if (page.index === 0) {
      const pageBytes = page.offsetInPage + outcome.lengthBytes;
      if (outcome.lengthBytes > 0) this.#trust.noteShort(worker, pageBytes, job);
      await this.#prove(worker, job, context);
    }
    return false;
  }

  #prove(worker: Worker, job: RangeJob, context: CallContext): Promise<boolean> {
    const file = { path: job.path, lengthBytes: job.version.lengthBytes };
    const probe = async (offsetInPage: number, pageIndex: number): Promise<number | undefined> => {
      const request = { ufsPath: job.ufsPath, pageIndex, offsetInPage, lengthBytes: 1 };
      const outcome = await this.#calls.call(
        'page',
        worker,
        context,
        () => this.#client.readPage(worker, request, discard, context),
        (answer) => ({ outcome: answer.kind === 'miss' ? 'miss' : 'ok', bytes: 0 }),
      );
      return outcome.kind === 'miss' ? undefined : outcome.lengthBytes;
    };
    return this.#trust.prove(worker, file, probe, context);
  }

  async #readS3(
    worker: Worker,
    job: RangeJob,
    span: Span,
    sink: AttemptSink,
    context: CallContext,
  ): Promise<RangeOutcome> {
    const { path, ufsPath, version } = job;
    const offset = job.offset + span.offset;
    const request = { path, ufsPath, offset, lengthBytes: span.lengthBytes, version };
    const outcome = await this.#calls.call(
      's3',
      worker,
      context,
      async () => {
        const part = sink.part(span.offset, span.lengthBytes);
        const answer = await this.#client.readS3(worker, request, part, context);
        checkS3(answer, span, job, worker);
        return answer;
      },
      (answer) => ({
        outcome: answer.kind === 'data' ? 'ok' : answer.kind,
        bytes: answer.kind === 'data' ? answer.lengthBytes : 0,
      }),
    );
    if (outcome.kind === 'redirect') return outcome;
    if (outcome.kind === 'not-found') {
      throw new ClusterError('not-found', 'The worker says that the file does not exist', {
        path: job.path,
        worker: worker.id,
      });
    }
    const isVersionTold = outcome.mtimeMs !== undefined;
    if (isVersionTold) {
      this.#choice.noteVersion(ufsPath, version, this.#clock.nowMs());
    }
    if (offset === 0) this.#trust.allowRetry(worker);
    this.#choice.noteReadThrough({ ufsPath, offset, lengthBytes: span.lengthBytes });
    return { kind: 'data', source: 's3', isVersionTold };
  }

  #pagesOf(job: RangeJob): PageSpan[] {
    const pages: PageSpan[] = [];
    const end = job.offset + job.lengthBytes;
    for (let at = job.offset; at < end;) {
      const index = Math.floor(at / this.#pageSizeBytes);
      const pageEnd = Math.min(end, (index + 1) * this.#pageSizeBytes);
      pages.push({
        index,
        offsetInPage: at - index * this.#pageSizeBytes,
        offset: at - job.offset,
        lengthBytes: pageEnd - at,
      });
      at = pageEnd;
    }
    return pages;
  }
}

interface PageSpan extends Span {
  readonly index: number;
  readonly offsetInPage: number;
}

function isEndOf(job: RangeJob, { offset, lengthBytes }: Span): boolean {
  return job.offset + offset + lengthBytes === job.version.lengthBytes;
}

/** What the worker client already checks is checked again: this is where wrong bytes would pass. */
function checkS3(answer: S3Outcome, span: Span, job: RangeJob, worker: Worker): void {
  if (answer.kind !== 'data') return;
  const details = { path: job.path, worker: worker.id };
  const isOtherTime =
    answer.mtimeMs !== undefined && answer.mtimeMs !== Math.trunc(job.version.mtimeMs);
  if (answer.fileLengthBytes !== job.version.lengthBytes || isOtherTime) {
    throw otherVersion(job, worker);
  }
  if (answer.lengthBytes !== span.lengthBytes) {
    const message = `${answer.lengthBytes} of ${span.lengthBytes} bytes came`;
    throw new ClusterError('protocol', message, { ...details, retryable: true });
  }
}

function otherVersion({ path }: RangeJob, worker: Worker): ClusterError {
  const details = { path, worker: worker.id };
  return new ClusterError('version-changed', 'The file is not the one that was opened', details);
}

function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: { offset: number; lengthBytes: number }[] = [];
  for (const { offset, lengthBytes } of [...spans].sort((a, b) => a.offset - b.offset)) {
    const last = merged.at(-1);
    if (last !== undefined && last.offset + last.lengthBytes === offset) {
      last.lengthBytes += lengthBytes;
    } else merged.push({ offset, lengthBytes });
  }
  return merged;
}

function rootFile(job: RangeJob, worker: Worker): ClusterError {
  return new ClusterError(
    'inexpressible',
    'A file directly under the root is reachable only while the worker has it cached: ' +
      'the S3 port has no bucket for it. Set --ufs to a file:// under store on this machine, or move it into a directory',
    { path: job.path, worker: worker.id },
  );
}
