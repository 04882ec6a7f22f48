/**
 * Runs the core's jobs against the cluster, on the cluster thread. Every job ends with exactly one
 * final result, whatever happens; every job has a deadline.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { DiskTier } from '../cache/disk/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { CallContext, ClusterClient, ClusterErrorCode } from '../cluster/index.ts';
import type { NodeStatus, WritableStore } from '../store/index.ts';
import { batchOf } from '../vfs/index.ts';
import type { FsErrorCode, Job, JobId } from '../vfs/index.ts';
import { Fetcher } from './fetcher.ts';
import type { FetcherParts } from './fetcher.ts';
import { isName } from './listed-name.ts';
import { isWriteJob, runWriteJob, statusMessage, writeTimeoutMs } from './write-jobs.ts';

/**
 * Fetches under way at once. Each is up to 4 MiB on a connection of its own; a worker serves small
 * files best at about 16 connections.
 */
const FETCHES_MAX = 24;
/** From a cache directory: more than the threads that read files keep busy. */
const DISK_MAX = 24;
/** Uploads and renames: each is mostly one stream through one connection. */
const CHANGES_MAX = 32;
/** Single questions and listings are small and must not wait behind fetches. */
const QUESTIONS_MAX = 64;
/** More than programs that wait in fsync at a time; each is a few hundred bytes. */
const WAITS_MAX = 1024;
/** Entries of one message to the core: some milliseconds of its time. */
const BATCH_ENTRIES_MAX = 1000;

export interface JobRunnerParts extends FetcherParts {
  readonly client: Pick<ClusterClient, 'locate'>;
  /** What the mount shows; with `writes`, also what it may change. */
  readonly files: Pick<WritableStore, 'stat' | 'list' | 'unheardMs' | 'read'>;
  readonly writes: WritableStore | undefined;
  readonly disk: Pick<DiskTier, 'contentOf' | 'findBacking'> | undefined;
  readonly requestTimeoutMs: number;
  /** Nothing with a longer path can be in the under store; workers only say that it is not there. */
  readonly pathBytesMax: number;
}

type RunnableJob = Exclude<Job, { kind: 'cancel' }>;

/** Somebody may have come to wait for what is fetched ahead: every so often that has its turn, too. */
const URGENT_TURNS = 8;

/** A bounded number of jobs under way; those that somebody waits for go first. */
class Lane {
  readonly #limit: number;
  readonly #urgent: (() => Promise<void>)[] = [];
  readonly #ahead: (() => Promise<void>)[] = [];
  #running = 0;
  #turns = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(run: () => Promise<void>, isAhead: boolean): void {
    (isAhead ? this.#ahead : this.#urgent).push(run);
    this.#next();
  }

  #next(): void {
    while (this.#running < this.#limit) {
      const isTurn = this.#ahead.length > 0 && ++this.#turns % URGENT_TURNS === 0;
      const run = (isTurn ? undefined : this.#urgent.shift()) ?? this.#ahead.shift();
      if (run === undefined) return;
      this.#running++;
      void run().finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }
}

/** The bounds of one job. A signal costs more than all else of a small file's job: only who asks has one. */
class JobContext implements CallContext {
  readonly deadlineMs: number;
  #controller: AbortController | undefined;
  #isAborted = false;
  #onAbort: (() => void) | undefined;

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** With properties of its own: some callees spread it. */
  plain(): CallContext {
    return { signal: this.signal, deadlineMs: this.deadlineMs };
  }

  watch(onAbort: (() => void) | undefined): boolean {
    this.#onAbort = onAbort;
    return !this.#isAborted;
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort();
    this.#onAbort?.();
  }
}

export class JobRunner {
  readonly #parts: JobRunnerParts;
  readonly #fetches = new Lane(FETCHES_MAX);
  readonly #disk = new Lane(DISK_MAX);
  readonly #questions = new Lane(QUESTIONS_MAX);
  readonly #changes = new Lane(CHANGES_MAX);
  readonly #waits = new Lane(WAITS_MAX);
  readonly #contexts = new Map<JobId, JobContext>();
  readonly #fetcher: Fetcher;
  #isClosed = false;

  constructor(parts: JobRunnerParts) {
    this.#parts = parts;
    this.#fetcher = new Fetcher(parts);
  }

  get runningCount(): number {
    return this.#contexts.size;
  }

  run(job: Job): void {
    if (job.kind === 'cancel') {
      this.#contexts.get(job.id)?.abort();
      return;
    }
    // The deadline counts from here: time in the queue is time that somebody waits.
    const { requestTimeoutMs } = this.#parts;
    const timeoutMs = isWriteJob(job) ? writeTimeoutMs(job, requestTimeoutMs) : requestTimeoutMs;
    const context = new JobContext(performance.now() + timeoutMs);
    this.#contexts.set(job.id, context);
    if (this.#isClosed) context.abort();
    this.#laneOf(job).add(() => this.#runToEnd(job, context), job.kind === 'fetch' && job.isAhead);
  }

  #laneOf(job: RunnableJob): Lane {
    if (job.kind === 'fetch') {
      if (!this.#fetcher.isOnDisk(job)) return this.#fetches;
      return job.mustAsk ? this.#questions : this.#disk;
    }
    // What this machine answers by itself must not wait behind those who wait for workers.
    if (job.kind === 'find-backing') return this.#disk;
    // It only waits for what others do, and so takes nobody's place.
    if (job.kind === 'sync-directory') return this.#waits;
    return isWriteJob(job) ? this.#changes : this.#questions;
  }

  /** Ends everything under way; results still come. */
  close(): void {
    this.#isClosed = true;
    for (const context of this.#contexts.values()) context.abort();
  }

  async #runToEnd(job: RunnableJob, context: JobContext): Promise<void> {
    try {
      if (context.isAborted) throw new ClusterError('cancelled', 'The job was cancelled');
      await this.#runOne(job, job.kind === 'fetch' ? context : context.plain());
    } catch (error) {
      this.#parts.deliver({ kind: 'failed', id: job.id, ...failureOf(error) });
    } finally {
      this.#contexts.delete(job.id);
    }
  }

  async #runOne(job: RunnableJob, context: CallContext): Promise<void> {
    const { client, files, writes, deliver, pathBytesMax } = this.#parts;
    if ((job.kind === 'rename' ? job.to : job.path).length > pathBytesMax) {
      const reason = `The under store holds no path of more than ${pathBytesMax} bytes below its root`;
      deliver({ kind: 'failed', id: job.id, code: 'name-too-long', reason });
      return;
    }
    if (isWriteJob(job)) {
      if (writes === undefined) throw new ClusterError('unsupported', 'The mount is read-only');
      deliver(await runWriteJob(writes, job, context));
      return;
    }
    switch (job.kind) {
      case 'stat': {
        const status = await files.stat(job.path, context);
        deliver({ kind: 'status', id: job.id, status: statusMessage(status) });
        return;
      }
      case 'list':
        await this.#list(job.id, job.path, context);
        return;
      case 'fetch':
        await this.#fetcher.run(job, context);
        return;
      case 'find-backing': {
        const backing = this.#parts.disk?.findBacking(job.path, job.version);
        deliver({ kind: 'backing', id: job.id, backing });
        return;
      }
      case 'locate': {
        const { ufsPath, workers } = await client.locate(job.path, 1, context);
        deliver({ kind: 'located', id: job.id, ufsPath, workers: workers.map(({ id }) => id) });
        return;
      }
    }
  }

  async #list(id: JobId, path: ByteString, context: CallContext): Promise<void> {
    const { files, deliver } = this.#parts;
    // As it was when the workers were asked.
    const unheardMs = files.unheardMs(path);
    let pending: NodeStatus[] = [];
    const send = (isLast: boolean): void => {
      const names = pending.map((status) => status.name);
      const batch = batchOf(names, pending.map(statusMessage));
      deliver({ kind: 'listed', id, batch, isLast, unheardMs });
      pending = [];
    };
    for await (const statuses of files.list(path, context)) {
      for (const status of statuses) {
        if (!isName(status.name)) continue;
        pending.push(status);
        if (pending.length >= BATCH_ENTRIES_MAX) send(false);
      }
      // What has arrived is shown while the rest is on its way.
      if (pending.length > 0) send(false);
    }
    send(true);
  }
}

function failureOf(error: unknown): { readonly code: FsErrorCode; readonly reason: string } {
  if (!(error instanceof ClusterError)) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { code: 'io', reason };
  }
  return { code: fsCodeOf(error.code), reason: error.message };
}

function fsCodeOf(code: ClusterErrorCode): FsErrorCode {
  switch (code) {
    case 'not-found':
    case 'not-a-directory':
    case 'is-a-directory':
    case 'permission':
    case 'exists':
    case 'not-empty':
    case 'no-space':
    case 'invalid':
    case 'inexpressible':
    case 'unavailable':
    case 'timeout':
    case 'unsupported':
      return code;
    case 'version-changed':
      return 'stale';
    case 'cancelled':
      return 'interrupted';
    case 'protocol':
      return 'io';
    default: {
      const unknown: never = code;
      throw new Error(`No error of the core for ${String(unknown)}`);
    }
  }
}
