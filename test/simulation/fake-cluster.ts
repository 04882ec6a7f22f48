/**
 * The cluster side of a simulation: holds the jobs that the core has submitted and brings each, one
 * small step at a time and in any order, to its end. As long as a fetch runs it owns the slots of
 * the pages that it has not handed over, and scribbles over them to prove that nobody else does.
 */
import assert from 'node:assert/strict';
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import type { Slab } from '../../src/cache/index.ts';
import { batchOf } from '../../src/vfs/index.ts';
import type { FsErrorCode, Job, JobId, JobResult, StatusMessage } from '../../src/vfs/index.ts';
import type { FakeBackings } from './fake-backings.ts';
import { BIG, isListable, isVersion, statusOf } from './world.ts';
import type { State, World } from './world.ts';

type RunningJob = Exclude<Job, { kind: 'cancel' }>;
type FetchJob = Extract<Job, { kind: 'fetch' }>;
type Entry = readonly [ByteString, StatusMessage];

interface Running {
  readonly job: RunningJob;
  readonly submittedMs: number;
  /** Not moved before this. */
  readyMs: number;
  /** How long the answer to a question is on its way once the cluster has looked. */
  readonly travelMs: number;
  pagesDone: number;
  /** The next page's bytes are in its slots. */
  isPageWritten: boolean;
  /** Of a question: the answer, once it was looked up. */
  status: State | 'absent' | undefined;
  entries: Entry[] | undefined;
  isCancelled: boolean;
}

export interface Delivery {
  readonly job: RunningJob;
  readonly submittedMs: number;
  readonly result: JobResult;
}

const CODES: readonly FsErrorCode[] = [
  'unavailable',
  'timeout',
  'permission',
  'inexpressible',
  'unsupported',
  'stale',
  'not-a-directory',
  'is-a-directory',
  'interrupted',
  'io',
];
/** Of jobs that outlive the requests that wait for them, in a hundred. */
const SLOW_PERCENT = 3;
/** Of questions whose answer is old news when it comes, in a hundred. */
const LATE_PERCENT = 6;

export class FakeCluster {
  readonly #clock: Clock;
  readonly #world: World;
  readonly #slab: Slab;
  readonly #pageSizeBytes: number;
  readonly #backings: FakeBackings | undefined;
  readonly #running = new Map<JobId, Running>();
  /** When a path's job last failed for no reason of the world. */
  readonly injectedMs = new Map<ByteString, number>();
  isAway = false;
  isCalm = false;

  constructor(
    clock: Clock,
    world: World,
    slab: Slab,
    pageSizeBytes: number,
    backings?: FakeBackings,
  ) {
    this.#backings = backings;
    this.#clock = clock;
    this.#world = world;
    this.#slab = slab;
    this.#pageSizeBytes = pageSizeBytes;
  }

  get count(): number {
    return this.#running.size;
  }

  /** When the oldest listing of the path that is under way was asked for. */
  listingSinceMs(path: ByteString): number {
    let sinceMs = Infinity;
    for (const { job, submittedMs } of this.#running.values()) {
      if (job.kind === 'list' && job.path === path) sinceMs = Math.min(sinceMs, submittedMs);
    }
    return sinceMs;
  }

  submit(job: Job, random: Random): void {
    if (job.kind === 'cancel') {
      const running = this.#running.get(job.id);
      if (running !== undefined) running.isCancelled = true;
      return;
    }
    const isSlow = !this.isCalm && random.below(100) < SLOW_PERCENT;
    const submittedMs = this.#clock.nowMs();
    const readyMs = submittedMs + (isSlow ? random.between(500, 3000) : 0);
    const isLate = !this.isCalm && random.below(100) < LATE_PERCENT;
    const travelMs = isLate ? random.between(10, 500) : 0;
    this.#running.set(job.id, {
      job,
      submittedMs,
      readyMs,
      travelMs,
      pagesDone: 0,
      isPageWritten: false,
      status: undefined,
      entries: undefined,
      isCancelled: false,
    });
    if (job.kind === 'fetch') this.#checkOwned(job);
  }

  /** A slot that a fetch writes to is no other fetch's. */
  #checkOwned(job: FetchJob): void {
    const others = new Set<number>();
    for (const running of this.#running.values()) {
      if (running.job !== job) for (const slot of ownedSlots(running)) others.add(slot);
    }
    for (const page of job.pages) {
      assert.ok(
        page.lengthBytes > 0 && page.lengthBytes <= this.#pageSizeBytes,
        'a page of odd length',
      );
      for (const slot of page.slots) {
        assert.ok(!others.has(slot), `slot ${slot} is given to two fetches`);
        others.add(slot);
      }
    }
    assert.ok(job.pages.length > 0, 'a fetch of nothing');
  }

  get slotsOwned(): number {
    let count = 0;
    for (const running of this.#running.values()) count += ownedSlots(running).length;
    return count;
  }

  /** Moves one job a little; what came of it, if it has something to tell. */
  step(random: Random): Delivery | undefined {
    const nowMs = this.#clock.nowMs();
    const ready = [...this.#running.values()].filter(({ readyMs }) => readyMs <= nowMs);
    if (ready.length === 0) return undefined;
    // The oldest often, so that none waits for ever.
    const running = random.chance(0.3) ? (ready[0] as Running) : random.pick(ready);
    const result = this.#advance(running, random);
    if (result === undefined) return undefined;
    const { job, submittedMs } = running;
    return { job, submittedMs, result };
  }

  #advance(running: Running, random: Random): JobResult | undefined {
    if (running.isCancelled) return this.#fail(running, 'interrupted', random);
    if (this.isAway && random.chance(0.5)) {
      return this.#fail(running, random.pick(['unavailable', 'timeout']), random);
    }
    if (!this.isCalm && random.chance(0.02)) return this.#fail(running, random.pick(CODES), random);
    switch (running.job.kind) {
      case 'stat':
        return this.#stat(running, random);
      case 'list':
        return this.#list(running, random);
      case 'fetch':
        return this.#fetch(running, running.job, random);
      case 'find-backing': {
        const { id, path, version } = running.job;
        this.#running.delete(id);
        // A copy stays when the file is another one.
        const state = this.#world.during(path, -Infinity).find((each) => isVersion(each, version));
        const hasCopy = state !== undefined && random.chance(0.6);
        return { kind: 'backing', id, backing: hasCopy ? this.#backings?.offer(state) : undefined };
      }
      case 'locate': {
        const { id, path } = running.job;
        this.#running.delete(id);
        return { kind: 'located', id, ufsPath: ufsPathOf(path), workers: workersOf(path) };
      }
      default:
        throw new Error('A job of no known kind');
    }
  }

  #fail(running: Running, code: FsErrorCode, random: Random): JobResult {
    const { id, path } = running.job;
    this.#scribble(running, random);
    this.#running.delete(id);
    this.injectedMs.set(path, this.#clock.nowMs());
    return { kind: 'failed', id, code, reason: 'Injected' };
  }

  /** Garbage into every slot that is still this job's. */
  #scribble(running: Running, random: Random): void {
    for (const slot of ownedSlots(running)) this.#slab.slot(slot).fill(random.below(256));
  }

  #stat(running: Running, random: Random): JobResult | undefined {
    const { id, path } = running.job;
    // The answer is of the moment when the cluster looked, which is before it arrives.
    if (running.status === undefined) {
      running.status = this.#world.now(path) ?? 'absent';
      if (this.#travels(running)) return undefined;
    }
    if (random.chance(0.3)) return undefined;
    this.#running.delete(id);
    if (running.status === 'absent') {
      return { kind: 'failed', id, code: 'not-found', reason: 'No such path' };
    }
    return { kind: 'status', id, status: statusOf(running.status) };
  }

  #travels(running: Running): boolean {
    running.readyMs = this.#clock.nowMs() + running.travelMs;
    return running.travelMs > 0;
  }

  /** Paths that questions under way will be told to be absent. */
  missed(): ByteString[] {
    return [...this.#running.values()]
      .filter(({ status }) => status === 'absent')
      .map(({ job }) => job.path);
  }

  #list(running: Running, random: Random): JobResult | undefined {
    const { id, path } = running.job;
    if (running.entries === undefined) {
      if (!this.#world.isDirectory(path)) {
        this.#running.delete(id);
        const code = this.#world.now(path) === undefined ? 'not-found' : 'not-a-directory';
        return { kind: 'failed', id, code, reason: 'No such directory' };
      }
      const listed = this.#world.children(path).filter(isListable);
      // Most clusters list a directory in the same order each time.
      const names = path === BIG && random.chance(0.7) ? listed : random.shuffle(listed);
      running.entries = names.map((name) => {
        return [name, statusOf(this.#world.now(joinPath(path, name)) as State)];
      });
      if (this.#travels(running) || random.chance(0.3)) return undefined;
    }
    const taken = running.entries.splice(0, random.below(9));
    const isLast = running.entries.length === 0 && random.chance(0.7);
    if (isLast) this.#running.delete(id);
    // A cluster that starts a listing again elsewhere tells some names twice.
    else if (taken.length > 0 && random.chance(0.05)) running.entries.push(random.pick(taken));
    const names = taken.map(([name]) => name);
    const batch = batchOf(
      names,
      taken.map(([, status]) => status),
    );
    return { kind: 'listed', id, batch, isLast, unheardMs: 0 };
  }

  #fetch(running: Running, job: FetchJob, random: Random): JobResult | undefined {
    const page = job.pages[running.pagesDone] as FetchJob['pages'][number];
    if (!running.isPageWritten) {
      if (random.chance(0.3)) {
        this.#scribble(running, random);
        return undefined;
      }
      const state = this.#world.now(job.path);
      if (state === undefined) return this.#fail(running, 'not-found', random);
      if (!isVersion(state, job.version)) return this.#fail(running, 'stale', random);
      this.#scribble(running, random);
      const start = (job.firstPage + running.pagesDone) * this.#pageSizeBytes;
      const bytes = this.#world.content(state).subarray(start, start + page.lengthBytes);
      assert.equal(bytes.length, page.lengthBytes, 'a page past the end of its file');
      this.#slab.writeToPage(page.slots, 0, bytes);
      running.isPageWritten = true;
      if (random.chance(0.5)) return undefined;
    }
    running.isPageWritten = false;
    const pageIndex = job.firstPage + running.pagesDone++;
    if (running.pagesDone === job.pages.length) this.#running.delete(job.id);
    return { kind: 'page', id: job.id, pageIndex };
  }
}

function ownedSlots({ job, pagesDone }: Running): number[] {
  if (job.kind !== 'fetch') return [];
  return job.pages.slice(pagesDone).flatMap((page) => [...page.slots]);
}

export function ufsPathOf(path: ByteString): ByteString {
  return `file:///data${path}` as ByteString;
}

export function workersOf(path: ByteString): string[] {
  return path.includes('a') ? [`worker-${path.length}`] : [];
}
