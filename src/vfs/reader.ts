/**
 * File content: every read is answered from pages of the memory tier; pages that are missing are
 * fetched once for all who wait, neighbours in one job.
 *
 * INVARIANT: a read that waits for pages has pinned all of its pages and reserved all that were
 * missing, so it can always finish; a read for which that is impossible waits in `#starved` and
 * holds nothing.
 */
import { LRUCache } from 'lru-cache';
import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { Page } from '../cache/index.ts';
import { reportFailure } from './context.ts';
import type { CoreContext } from './context.ts';
import { contentOfHandle } from './handles.ts';
import type { FileHandle } from './handles.ts';
import type { Content, Inode } from './inode.ts';
import type { Metadata } from './metadata.ts';
import { failureOf } from './pending.ts';
import type { Place } from './read-ahead.ts';
import type { StagedFile } from './staged-file.ts';
import type { FsErrorCode, RequestId } from './types.ts';
import { doubt } from './versions.ts';
import type { Writer } from './writer.ts';

/**
 * Longest run of neighbouring pages fetched by one job. Measured on an open-source worker: a
 * connection carries 340 MB/s in ranges of 4 MiB, and longer ones are held in its memory whole.
 */
const RUN_BYTES_MAX = 4 * 1024 * 1024;
/** Jobs under way at which nothing more is fetched ahead: demand keeps room. */
const JOBS_FOR_AHEAD_MAX = 32;
/** The same for files that nobody has opened: with as many, a worker serves small files best. */
const JOBS_FOR_SCANS_MAX = 16;

interface PendingRead {
  readonly request: RequestId;
  readonly handle: FileHandle;
  /** As it was when the read began; a read that finds another one at its end begins again. */
  readonly content: Content;
  /** What the program asked for. */
  readonly offset: number;
  readonly end: number;
  /** The part of it that the pages cover: all, unless the rest is staged. */
  readonly pagesFrom: number;
  readonly pagesEnd: number;
  /** Up to which offset the file should be on its way once this read is under way. */
  readonly aheadEnd: number;
  /** Where the reader is expected besides. */
  readonly places: readonly Place[];
  readonly pages: Page[];
  missing: number;
}

/** Told how a fetch ended, once. */
type Ended = (error: FsErrorCode | undefined) => void;

export type SeekWhence = 'data' | 'hole';

export class Reader {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #writer: Writer;
  readonly #waiting = new Map<Page, PendingRead[]>();
  /** Who waits for the only page of a small file without reading it. */
  readonly #warming = new Map<Page, Ended[]>();
  /** Who has such a page fetched ahead, and does not wait. */
  readonly #ahead = new Map<Page, Ended>();
  #starved: PendingRead[] = [];
  /** One report a file and reason within a while is enough for the log. */
  readonly #reported = new LRUCache<string, true>({ max: 1024 });

  constructor(context: CoreContext, metadata: Metadata, writer: Writer) {
    this.#context = context;
    this.#metadata = metadata;
    this.#writer = writer;
  }

  read(request: RequestId, handle: FileHandle, offset: number, sizeBytes: number): void {
    const content = contentOfHandle(handle);
    if (content.isStale) {
      this.#context.counters.add('staleHandles');
      this.#context.replies.error(request, 'stale');
      return;
    }
    const { staged } = handle.inode;
    const isStaged = staged !== undefined && staged.base === content;
    const end = Math.min(offset + sizeBytes, isStaged ? staged.lengthBytes : content.lengthBytes);
    if (offset >= end) {
      this.#context.replies.data(request, [], 0);
      return;
    }
    const runs = isStaged ? staged.runs(offset, end).filter(({ from }) => from === 'base') : [];
    if (isStaged && runs.length === 0) {
      this.#answerStaged(request, staged, [], { offset, end, pagesFrom: end });
      return;
    }
    const pagesFrom = runs[0]?.start ?? offset;
    const pagesEnd = runs.at(-1)?.end ?? end;
    const aheadEnd = Math.min(handle.readAhead.next(offset, end), content.lengthBytes);
    const read: PendingRead = {
      request,
      handle,
      content,
      offset,
      end,
      pagesFrom,
      pagesEnd,
      aheadEnd,
      places: handle.readAhead.places(),
      pages: [],
      missing: 0,
    };
    if (!this.#start(read, this.#starved.length > 0)) {
      this.#starved.push(read);
      this.#context.pending.add(request, (code) => this.#giveUp(read, code));
    } else if (read.missing > 0) {
      this.#context.pending.add(request, (code) => this.#giveUp(read, code));
    } else {
      this.#context.counters.add('hitBytes', end - offset);
      this.#answer(read);
    }
  }

  /** The cluster has no holes: all of a file is data, and its end is the only hole. */
  seek(request: RequestId, handle: FileHandle, offset: number, whence: SeekWhence): void {
    const { replies } = this.#context;
    const end = handle.inode.staged?.lengthBytes ?? contentOfHandle(handle).lengthBytes;
    if (offset < 0 || offset >= end) replies.error(request, 'no-data');
    else replies.offset(request, whence === 'data' ? offset : end);
  }

  /** What was staged lies over what the base has; both as they are now. */
  #answerStaged(
    request: RequestId,
    staged: StagedFile,
    base: readonly Uint8Array[],
    range: Pick<PendingRead, 'offset' | 'end' | 'pagesFrom'>,
  ): void {
    const end = Math.min(range.end, staged.lengthBytes);
    const out = Buffer.alloc(Math.max(0, end - range.offset));
    let at = range.pagesFrom - range.offset;
    for (const segment of base) {
      if (at < out.length) out.set(segment.subarray(0, out.length - at), at);
      at += segment.length;
    }
    for (const run of staged.runs(range.offset, end)) {
      const start = run.start - range.offset;
      if (run.from === 'zero') out.fill(0, start, run.end - range.offset);
      else if (run.from === 'staging') {
        const bytes = staged.read(run);
        if (bytes === undefined) {
          this.#context.replies.error(request, 'io');
          return;
        }
        out.set(bytes, start);
      }
    }
    this.#context.replies.data(request, [out], out.length);
  }

  /** A read whose file this mount has written, or moved, in the meantime. */
  #again(read: PendingRead): void {
    this.read(read.request, read.handle, read.offset, read.end - read.offset);
  }

  /**
   * Starts to fetch a small file that is being opened: its reader comes in a moment. `ended` is called
   * with how that ended, and whoever gives it waits. False: nothing is to be fetched, or nothing can be
   * now.
   */
  warm(inode: Inode, content: Content, ended?: Ended): boolean {
    if (!this.isSmall(content.lengthBytes)) return false;
    const present = this.#context.tier.find(content, 0);
    if (present !== undefined) {
      const isOnItsWay = present.state === 'filling' && this.#isWordAwaited(present);
      if (!isOnItsWay || ended === undefined) return false;
    }
    const jobsMax = ended === undefined ? JOBS_FOR_AHEAD_MAX : Infinity;
    const page = present ?? this.#reserveAhead(content, 0, content.lengthBytes, jobsMax)[0];
    if (page === undefined) return false;
    if (ended !== undefined) this.#warming.set(page, [...(this.#warming.get(page) ?? []), ended]);
    if (present === undefined) this.#submit(inode, content, [page]);
    return true;
  }

  /** The like for a small file that may be opened some time, of which nothing is here. */
  fetchAhead(inode: Inode, content: Content, ended: Ended): boolean {
    const [page] = this.#reserveAhead(content, 0, content.lengthBytes, JOBS_FOR_SCANS_MAX);
    if (page === undefined) return false;
    this.#ahead.set(page, ended);
    this.#submit(inode, content, [page]);
    return true;
  }

  /** It is fetched as a whole. */
  isSmall(lengthBytes: number): boolean {
    return lengthBytes > 0 && lengthBytes <= this.#context.tier.pageSizeBytes;
  }

  #warmed(page: Page, error: FsErrorCode | undefined): void {
    const ahead = this.#ahead.get(page);
    this.#ahead.delete(page);
    ahead?.(error);
    const waiting = this.#warming.get(page) ?? [];
    this.#warming.delete(page);
    for (const ended of waiting) ended(error);
  }

  /** Pins and reserves all pages of a read, or nothing. False: there is no room now. */
  #start(read: PendingRead, mustQueueIfMissing: boolean): boolean {
    const { tier } = this.#context;
    const { content } = read;
    const { inode, readAhead } = read.handle;
    const first = Math.floor(read.pagesFrom / tier.pageSizeBytes);
    const last = Math.floor((read.pagesEnd - 1) / tier.pageSizeBytes);
    const present: Page[] = [];
    const missing: number[] = [];
    for (let index = first; index <= last; index++) {
      const page = tier.find(content, index);
      if (page === undefined) missing.push(index);
      else present.push(page);
    }
    if (missing.length > 0) {
      if (mustQueueIfMissing) return false;
      for (const page of present) tier.pin(page);
      const lengths = missing.map((index) => this.#pageLength(content, index));
      if (!tier.canReserve(lengths)) {
        for (const page of present) tier.unpin(page);
        return false;
      }
    } else for (const page of present) tier.pin(page);
    read.pages.push(...present);
    const reserved: Page[] = [];
    for (const index of missing) {
      const page = tier.reserve(content, index, false);
      assert(page !== undefined, 'Room that was promised is not there');
      tier.pin(page);
      reserved.push(page);
      read.pages.push(page);
    }
    for (const page of read.pages) if (page.state === 'filling') this.#wait(read, page);
    // Whoever waits has missed, also where read-ahead has asked for the page before.
    this.#context.counters.add('pageHits', read.pages.length - read.missing);
    this.#context.counters.add('pageMisses', read.missing);
    if (read.missing > 0) this.#context.counters.add('missBytes', read.end - read.offset);
    // Pages ahead that are neighbours of the missing ones travel with them.
    const ahead = this.#reserveAhead(content, last + 1, read.aheadEnd);
    const nearest = missing[0] ?? ahead[0]?.index;
    if (nearest !== undefined) {
      const furthest = ahead.at(-1)?.index ?? last;
      const { pageSizeBytes } = tier;
      readAhead.fetching(content, nearest * pageSizeBytes, (furthest + 1) * pageSizeBytes);
    }
    this.#submit(inode, content, [...reserved, ...ahead]);
    for (const { offset, end } of read.places) {
      const place = Math.floor(offset / tier.pageSizeBytes);
      this.#submit(inode, content, this.#reserveAhead(content, place, end));
    }
    return true;
  }

  #wait(read: PendingRead, page: Page): void {
    read.missing++;
    const others = this.#waiting.get(page);
    if (others === undefined) this.#waiting.set(page, [read]);
    else others.push(read);
  }

  #pageLength(content: Content, index: number): number {
    const { pageSizeBytes } = this.#context.tier;
    return Math.min(pageSizeBytes, content.lengthBytes - index * pageSizeBytes);
  }

  /** Reserves what is missing of the pages from `first` up to the byte `target`, room permitting. */
  #reserveAhead(
    content: Content,
    first: number,
    target: number,
    jobsMax = JOBS_FOR_AHEAD_MAX,
  ): Page[] {
    const { tier, jobs } = this.#context;
    const pages: Page[] = [];
    if (jobs.count >= jobsMax) return pages;
    const limit = Math.min(target, content.lengthBytes);
    for (let index = first; index * tier.pageSizeBytes < limit; index++) {
      if (tier.find(content, index) !== undefined) continue;
      const usage = tier.usage();
      // What is fetched ahead may take half of the memory, so that demand finds room.
      if (usage.slotsFilling * 2 >= usage.slotsTotal || this.#starved.length > 0) break;
      const page = tier.reserve(content, index, true);
      if (page === undefined) break;
      this.#context.counters.add('readAheadBytes', page.lengthBytes);
      pages.push(page);
    }
    return pages;
  }

  /** One job for every run of neighbouring pages, in the order given. */
  #submit(inode: Inode, content: Content, pages: readonly Page[]): void {
    let run: Page[] = [];
    let runBytes = 0;
    for (const page of pages) {
      const previous = run.at(-1);
      const isNeighbour = previous === undefined || page.index === previous.index + 1;
      if (!isNeighbour || runBytes + page.lengthBytes > RUN_BYTES_MAX) {
        if (run.length > 0) this.#submitRun(inode, content, run);
        run = [];
        runBytes = 0;
      }
      run.push(page);
      runBytes += page.lengthBytes;
    }
    if (run.length > 0) this.#submitRun(inode, content, run);
  }

  #submitRun(inode: Inode, content: Content, run: readonly Page[]): void {
    const path = this.#pathOf(inode, content);
    const askedMs = this.#context.clock.nowMs();
    inode.openHandles++;
    let done = 0;
    this.#context.jobs.submit(
      (id) => ({
        kind: 'fetch',
        id,
        path,
        version: content.version,
        firstPage: (run[0] as Page).index,
        pages: run.map((page) => ({ lengthBytes: page.lengthBytes, slots: [...page.slots] })),
        isAhead: run.every((page) => !this.#isAwaited(page)),
        mustAsk: run.some((page) => this.#isWordAwaited(page)),
      }),
      (result) => {
        if (result.kind === 'page') {
          const page = run[done++] as Page;
          assert(page.index === result.pageIndex, 'Pages of a run came out of order');
          this.#context.tier.complete(page);
          content.fetchedMs = Math.max(content.fetchedMs, askedMs);
          this.#pageEnded(page, undefined);
          if (done < run.length) return false;
        } else {
          const { code, reason } = failureOf(result);
          const rest = run.slice(done);
          // The path vanished or changed under an open handle: that handle is stale, not absent.
          const isOutdated = code === 'stale' || code === 'not-found';
          if (this.#pathOf(inode, content) !== path) this.#runOvertaken(rest, (again) => again());
          else if (isOutdated && this.#isChanging(inode, content)) {
            this.#runOvertaken(rest, (again) => this.#whenChanged(inode, again));
          } else this.#runFailed(inode, content, rest, isOutdated ? 'stale' : code, reason);
        }
        inode.openHandles--;
        this.#metadata.release(inode);
        this.#feedStarved();
        return true;
      },
    );
  }

  #isAwaited(page: Page): boolean {
    return this.#waiting.has(page) || this.#warming.has(page);
  }

  /** Somebody learns from its coming that the file is still there. */
  #isWordAwaited(page: Page): boolean {
    return this.#warming.has(page) || this.#ahead.has(page);
  }

  #pathOf(inode: Inode, content: Content): ByteString {
    return content.keptPath ?? this.#context.inodes.path(inode);
  }

  /** This mount changes it, so that the cluster may have what we are not told of yet. */
  #isChanging(inode: Inode, content: Content): boolean {
    const { staged } = inode;
    const isUploading = staged?.isUploading === true && staged.base === content;
    return isUploading || this.#context.moves.isMoving(inode);
  }

  #whenChanged(inode: Inode, run: () => void): void {
    this.#context.moves.whenStill(inode, () => this.#writer.whenSettled(inode, run));
  }

  /** This mount has moved or written the file while it was being read: whoever waits asks again. */
  #runOvertaken(pages: readonly Page[], when: (again: () => void) => void): void {
    const { pending, replies, tier } = this.#context;
    for (const page of pages) {
      tier.abandon(page);
      this.#warmed(page, undefined);
      const reads = this.#waiting.get(page) ?? [];
      this.#waiting.delete(page);
      for (const read of reads) {
        if (read.missing === 0) continue;
        this.#finish(read, () => {
          for (const each of read.pages) tier.unpin(each);
          const { request } = read;
          pending.add(request, (code) => {
            if (pending.take(request)) replies.error(request, code);
          });
          when(() => {
            if (pending.take(request)) this.#again(read);
          });
        });
      }
    }
  }

  #runFailed(
    inode: Inode,
    content: Content,
    pages: readonly Page[],
    code: FsErrorCode,
    reason: string,
  ): void {
    const isOutdated = code === 'stale';
    const isWanted =
      inode.openedContent === content ||
      pages.some((page) => !this.#ahead.has(page) || this.#isAwaited(page));
    if (isOutdated && !isWanted) doubt(inode, content);
    else if (isOutdated && content.successor === undefined)
      this.#metadata.versionChanged(inode, content);
    const key = `${code} ${content.fileId}`;
    // A file that nobody has asked for is asked for again by whoever comes to need it.
    if (isWanted && !this.#reported.has(key)) {
      this.#reported.set(key, true);
      reportFailure(this.#context, inode, code, reason);
    }
    for (const page of pages) {
      this.#context.tier.abandon(page);
      this.#pageEnded(page, code);
    }
  }

  #pageEnded(page: Page, error: FsErrorCode | undefined): void {
    this.#warmed(page, error);
    const reads = this.#waiting.get(page);
    this.#waiting.delete(page);
    for (const read of reads ?? []) {
      // A read may wait for several pages of one failed run: the first failure answered it.
      if (read.missing === 0) continue;
      read.missing--;
      if (error !== undefined) this.#finish(read, () => this.#fail(read, error));
      else if (read.missing === 0) this.#finish(read, () => this.#answer(read));
    }
  }

  #finish(read: PendingRead, answer: () => void): void {
    this.#stopWaiting(read);
    if (this.#context.pending.take(read.request)) answer();
  }

  #stopWaiting(read: PendingRead): void {
    read.missing = 0;
    for (const page of read.pages) {
      const others = this.#waiting.get(page);
      if (others === undefined) continue;
      const rest = others.filter((other) => other !== read);
      if (rest.length === 0) this.#waiting.delete(page);
      else this.#waiting.set(page, rest);
    }
  }

  #fail(read: PendingRead, code: FsErrorCode): void {
    for (const page of read.pages) this.#context.tier.unpin(page);
    if (code === 'stale' && read.content.successor !== undefined) this.#again(read);
    else this.#context.replies.error(read.request, code);
  }

  /** Interrupted, or too late: the pages go on being fetched, the request does not wait. */
  #giveUp(read: PendingRead, code: FsErrorCode): void {
    this.#starved = this.#starved.filter((other) => other !== read);
    this.#finish(read, () => this.#fail(read, code));
    this.#feedStarved();
  }

  #answer(read: PendingRead): void {
    const { tier } = this.#context;
    const segments: Uint8Array[] = [];
    let isWhole = true;
    if (read.pages.length > 1) read.pages.sort((a, b) => a.index - b.index);
    for (const page of read.pages) {
      tier.unpin(page);
      if (page.state !== 'ready') {
        isWhole = false;
        continue;
      }
      const start = page.index * tier.pageSizeBytes;
      const from = Math.max(read.pagesFrom - start, 0);
      const to = Math.min(read.pagesEnd - start, page.lengthBytes);
      if (page.isUnread) this.#context.counters.add('readAheadUsedBytes', page.lengthBytes);
      tier.segments(page, from, to - from, segments);
      tier.touch(page);
    }
    const { staged } = read.handle.inode;
    if (contentOfHandle(read.handle) !== read.content) this.#again(read);
    // Pages only vanish under a waiting read when their version does.
    else if (!isWhole) this.#context.replies.error(read.request, 'stale');
    else if (staged !== undefined && staged.base === read.content) {
      this.#answerStaged(read.request, staged, segments, read);
    } else this.#context.replies.data(read.request, segments, read.end - read.offset);
  }

  /** Reads that found no room try again, in the order they came. */
  #feedStarved(): void {
    while (this.#starved.length > 0) {
      const read = this.#starved[0] as PendingRead;
      if (read.content.isStale && read.content.successor === undefined) {
        this.#starved.shift();
        if (this.#context.pending.take(read.request)) {
          this.#context.replies.error(read.request, 'stale');
        }
        continue;
      }
      if (!this.#start(read, false)) return;
      this.#starved.shift();
      if (read.missing === 0 && this.#context.pending.take(read.request)) this.#answer(read);
    }
  }

  /** For tests: walks everything and throws where an invariant is broken. */
  checkInvariants(): void {
    const waits = new Map<PendingRead, number>();
    for (const [page, reads] of this.#waiting) {
      assert(page.state !== 'ready', 'A read waits for a page that is there');
      assert(reads.length > 0, 'Nobody waits for a page, but a list is kept');
      for (const read of reads) waits.set(read, (waits.get(read) ?? 0) + 1);
    }
    const pins = new Map<Page, number>();
    for (const [read, count] of waits) {
      assert(read.missing === count, 'A read waits for more or fewer pages than it lacks');
      for (const page of read.pages) pins.set(page, (pins.get(page) ?? 0) + 1);
    }
    for (const [page, count] of pins) assert(page.pins === count, 'A page is pinned by nobody');
    for (const read of this.#starved) assert(read.pages.length === 0, 'A starved read holds pages');
  }
}
