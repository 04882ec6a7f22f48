/**
 * Fills the slots of a fetch: from the disk tier what it has, from the cluster the rest. Pages are
 * handed over in order; what came from the cluster is kept on disk behind the reader's back.
 */
import type { Slab } from '../cache/index.ts';
import type { CachedContent, DiskTier, PageCopy } from '../cache/disk/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { CallContext } from '../cluster/index.ts';
import type { WritableStore } from '../store/index.ts';
import { isSameVersion } from '../vfs/index.ts';
import type { Job, JobResult } from '../vfs/index.ts';
import { versionOf } from './versions.ts';
import { statusMessage } from './write-jobs.ts';

/** Read from disk at once: large enough for the disk, small enough that several threads take part. */
const DISK_READ_BYTES = 1024 * 1024;

export interface FetcherParts {
  readonly files: Pick<WritableStore, 'read' | 'stat'>;
  readonly slab: Slab;
  readonly pageSizeBytes: number;
  readonly disk: Pick<DiskTier, 'contentOf'> | undefined;
  readonly deliver: (result: JobResult) => void;
}

/** Whoever opens a file waits so long for workers that do not answer; then a copy on disk has to do. */
const ASK_MS = 5_000;
const WITHOUT_ANSWER: ReadonlySet<string> = new Set(['unavailable', 'timeout']);

type FetchJob = Extract<Job, { kind: 'fetch' }>;

/** Pages of a job that follow each other, by their order in the job. */
interface Run {
  readonly first: number;
  readonly end: number;
}

export class Fetcher {
  readonly #parts: FetcherParts;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  /** All of it, as far as anybody can tell before it is read. */
  isOnDisk({ path, version, firstPage, pages }: FetchJob): boolean {
    const content = this.#parts.disk?.contentOf(path, version);
    return content !== undefined && pages.every((_, order) => content.isKept(firstPage + order));
  }

  /** Whether the file is there in the version that the disk has. */
  async #ask({ path, version }: FetchJob, context: CallContext): Promise<void> {
    const deadlineMs = Math.min(context.deadlineMs, performance.now() + ASK_MS);
    const within = { signal: context.signal, deadlineMs };
    const status = await this.#parts.files.stat(path, within).catch((error: unknown) => {
      if (error instanceof ClusterError && WITHOUT_ANSWER.has(error.code)) return undefined;
      throw error;
    });
    if (status === undefined) return;
    if (status.kind !== 'file' || !isSameVersion(statusMessage(status), version)) {
      throw new ClusterError('version-changed', 'The file is not the one that was listed', {
        path,
      });
    }
  }

  async run(job: FetchJob, context: CallContext): Promise<void> {
    this.#parts.slab.prepare(job.pages.flatMap((page) => page.slots));
    const content = this.#parts.disk?.contentOf(job.path, job.version);
    const fetch = new Fetch(this.#parts, job, content, context);
    const isOnDisk = (order: number): boolean => content?.has(job.firstPage + order) === true;
    const runs = runsOf(job.pages.length, isOnDisk);
    const [only] = runs;
    if (only !== undefined && runs.length === 1 && !only.isChosen) {
      await fetch.fromCluster(only);
      return;
    }
    if (job.mustAsk && runs.some(({ isChosen }) => isChosen)) await this.#ask(job, context);
    // The slots are free for others with the job's last result: nobody may write into them any more.
    const ends = await Promise.allSettled(
      runs.map((run) => (run.isChosen ? fetch.fromDisk(run) : fetch.fromCluster(run))),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
}

/** One job. */
class Fetch {
  readonly #parts: FetcherParts;
  readonly #job: FetchJob;
  readonly #content: CachedContent | undefined;
  readonly #context: CallContext;
  readonly #isReady: boolean[];
  #handedOver = 0;

  constructor(
    parts: FetcherParts,
    job: FetchJob,
    content: CachedContent | undefined,
    context: CallContext,
  ) {
    this.#parts = parts;
    this.#job = job;
    this.#content = content;
    this.#context = context;
    this.#isReady = job.pages.map(() => false);
  }

  /** The page belongs to the core as soon as those before it do. */
  #ready(order: number): void {
    const { id, firstPage } = this.#job;
    this.#isReady[order] = true;
    while (this.#isReady[this.#handedOver] === true) {
      const pageIndex = firstPage + this.#handedOver++;
      this.#parts.deliver({ kind: 'page', id, pageIndex });
    }
  }

  /** What turns out to be missing or wrong is fetched from the cluster. */
  async fromDisk({ first, end }: Run): Promise<void> {
    const pagesOfRead = Math.max(1, Math.floor(DISK_READ_BYTES / this.#parts.pageSizeBytes));
    const reads: Promise<readonly boolean[]>[] = [];
    for (let at = first; at < end; at += pagesOfRead) {
      reads.push(this.#readDisk(at, Math.min(end, at + pagesOfRead)));
    }
    const isRight = (await Promise.all(reads)).flat();
    const wrong = runsOf(end - first, (order) => isRight[order] !== true);
    const ends = await Promise.allSettled(
      wrong
        .filter(({ isChosen }) => isChosen)
        .map((run) => this.fromCluster({ first: first + run.first, end: first + run.end })),
    );
    for (const ended of ends) if (ended.status === 'rejected') throw ended.reason;
  }

  async #readDisk(first: number, end: number): Promise<readonly boolean[]> {
    const pages = this.#job.pages
      .slice(first, end)
      .map((_, order) => this.#memoryOf(first + order));
    const isRight = await this.#content?.read(this.#job.firstPage + first, pages);
    isRight?.forEach((isThere, order) => {
      if (isThere) this.#ready(first + order);
    });
    return isRight ?? pages.map(() => false);
  }

  /** All of a page's memory. */
  #memoryOf(order: number): Uint8Array[] {
    const { slots, lengthBytes } = this.#pageAt(order);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < lengthBytes;) {
      const piece = this.#parts.slab.memoryAt(slots, at, lengthBytes - at);
      if (piece === undefined) throw new Error('A page has too few slots');
      pieces.push(piece);
      at += piece.length;
    }
    return pieces;
  }

  #pageAt(order: number): FetchJob['pages'][number] {
    return this.#job.pages[order] as FetchJob['pages'][number];
  }

  async fromCluster(run: Run): Promise<void> {
    const { files, slab, pageSizeBytes } = this.#parts;
    const { path, version, firstPage, pages: all } = this.#job;
    const pages = all.slice(run.first, run.end);
    const lengthBytes = pages.reduce((sum, page) => sum + page.lengthBytes, 0);
    /** By page: up to where its bytes have arrived in order. Several pages may arrive side by side. */
    const arrived = pages.map(() => 0);
    const copies: PageCopy[] = [];
    /** Those are not touched any more. */
    let ready = 0;
    const makeReady = (): void => {
      const order = run.first + ready++;
      const copy = this.#content?.copy(firstPage + order, this.#memoryOf(order));
      if (copy !== undefined) copies.push(copy);
      this.#ready(order);
    };
    const note = (start: number, end: number): void => {
      noteArrival(arrived, pageSizeBytes, start, end);
      // The last page waits until the whole read is known to be good.
      while (ready < pages.length - 1 && arrived[ready] === pageSizeBytes) makeReady();
    };
    const sink = (chunk: Uint8Array, offsetInRange: number): void => {
      this.#store(pages, chunk, offsetInRange, ready * pageSizeBytes);
      note(offsetInRange, offsetInRange + chunk.length);
    };
    const direct = {
      memoryAt: (offset: number): Uint8Array | undefined => {
        const page = pages[Math.floor(offset / pageSizeBytes)];
        const offsetInPage = offset % pageSizeBytes;
        if (page === undefined || offset < ready * pageSizeBytes) return undefined;
        return slab.memoryAt(page.slots, offsetInPage, page.lengthBytes - offsetInPage);
      },
      received: (offset: number, bytes: number): void => note(offset, offset + bytes),
    };
    const offset = (firstPage + run.first) * pageSizeBytes;
    const range = { path, offset, lengthBytes, version: versionOf(version) };
    let isGood = false;
    try {
      await files.read(range, Object.assign(sink, { direct }), this.#context);
      if (pages.some((page, index) => arrived[index] !== page.lengthBytes)) {
        throw new ClusterError('protocol', 'A read ended without all of its bytes');
      }
      while (ready < pages.length) makeReady();
      isGood = true;
    } finally {
      // What was handed over before a read failed may be right; only what is known to be is kept.
      if (isGood) void this.#content?.keep(copies);
      else this.#content?.discard(copies);
    }
  }

  /**
   * Copies a chunk into the pages it covers, from `minOffset` on: pages that are ready belong to the
   * core, a repeated delivery must not touch them (their slots may hold something else).
   */
  #store(pages: FetchJob['pages'], chunk: Uint8Array, offsetInRange: number, minOffset: number) {
    const { slab, pageSizeBytes } = this.#parts;
    const end = offsetInRange + chunk.length;
    let at = Math.max(offsetInRange, minOffset);
    while (at < end) {
      const index = Math.floor(at / pageSizeBytes);
      const page = pages[index];
      const pageStart = index * pageSizeBytes;
      if (page === undefined || at >= pageStart + page.lengthBytes) {
        throw new ClusterError('protocol', 'More bytes came than were asked for');
      }
      const take = Math.min(end, pageStart + page.lengthBytes) - at;
      const from = at - offsetInRange;
      slab.writeToPage(page.slots, at - pageStart, chunk.subarray(from, from + take));
      at += take;
    }
  }
}

/** Cut where the choice changes. */
function runsOf(
  count: number,
  isChosen: (order: number) => boolean,
): (Run & { readonly isChosen: boolean })[] {
  const runs: { first: number; end: number; isChosen: boolean }[] = [];
  for (let order = 0; order < count; order++) {
    const last = runs.at(-1);
    const chosen = isChosen(order);
    if (last?.isChosen === chosen) last.end++;
    else runs.push({ first: order, end: order + 1, isChosen: chosen });
  }
  return runs;
}

/**
 * The chunks of a page come in order; a repeated attempt begins at or before the place reached. A
 * chunk that leaves a gap does not count: its page then waits for the end of the read.
 */
export function noteArrival(
  arrived: number[],
  pageSizeBytes: number,
  start: number,
  end: number,
): void {
  const last = Math.min(Math.floor((end - 1) / pageSizeBytes), arrived.length - 1);
  for (let index = Math.floor(start / pageSizeBytes); index <= last; index++) {
    const reached = arrived[index] as number;
    const pageStart = index * pageSizeBytes;
    if (Math.max(0, start - pageStart) > reached) continue;
    arrived[index] = Math.max(reached, Math.min(end - pageStart, pageSizeBytes));
  }
}
