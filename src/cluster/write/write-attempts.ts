/**
 * Single writing steps at whichever worker takes them. Every step may be repeated: what an attempt
 * left half done, the next one replaces.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { LinkedSignal } from '../../base/linked-signal.ts';
import { remainingMs, runAttempt } from '../attempt.ts';
import type { ClusterEvents, WorkerMethod } from '../cluster-events.ts';
import { ATTEMPT_MS_MAX, noAnswer } from '../failover.ts';
import { WORKERS_PER_CALL_MAX, type Placement } from '../placement.ts';
import type { ReadsUnderWay } from '../reads-under-way.ts';
import type { CallContext, FileStatus, Worker } from '../types.ts';
import { ClusterError } from '../types.ts';
import type { WorkerCalls } from '../worker-calls.ts';
import { isAnswer, toClusterError } from '../worker-calls.ts';
import type { WorkerClient } from '../worker-client.ts';
import { Pool } from '../worker/pool.ts';
import type { WorkerWrites, WriteAnswer, WritePath } from '../worker-writes.ts';
import type { UploadSource } from './cluster-writer.ts';
import { StallWatch } from './stall-watch.ts';

export interface WriteAttemptsParts {
  readonly client: WorkerClient;
  readonly calls: WorkerCalls;
  readonly placement: Placement;
  readonly clock: Clock;
  readonly events: ClusterEvents;
  readonly reads: ReadsUnderWay;
  /** Without a byte taken by the worker: as long as a reader waits for one. */
  readonly stallMs?: number | undefined;
}

const STALL_MS = 15_000;
/** What a worker may take to answer, besides the bytes that it has to move for it … */
const ANSWER_MS = 30_000;
/** … at no less than this: a store behind a slow line, or one that shares its disk with many. */
const BYTES_PER_MS_MIN = 2_000;
/** Nobody waits for it, and it is one small answer. */
const LOOK_MS = 5_000;
/** Pages that a worker has to fetch first; a read that hangs is not waited for. */
const READS_MS = 5_000;
/** One worker that stumbles is asked again; three failures are not chance. */
const ATTEMPTS_MIN = 3;
/**
 * At one worker. An open-source worker copies on a thread that may be the very one that has to bring it the
 * bytes: on two cores two at a time stopped it for good, seen with curl alone; one may, for minutes.
 */
const COPIES_MAX = 1;
/** For its turn among the copies of many files at once, each of which may have to move its bytes first. */
const TURN_MS = 10 * 60_000;
/** Doubles; a worker that closed may be starting anew. */
const PAUSE_MS = 50;

type Attempt<T> = (worker: Worker, context: CallContext) => Promise<T>;

export class WriteAttempts {
  readonly #parts: WriteAttemptsParts;
  readonly #stallMs: number;
  /** By worker, who may copy there now. */
  readonly #copying = new Map<string, Pool<symbol>>();

  constructor(parts: WriteAttemptsParts) {
    this.#parts = parts;
    this.#stallMs = parts.stallMs ?? STALL_MS;
  }

  get stallMs(): number {
    return this.#stallMs;
  }

  /** Resolves with the MD5 of what was sent, which the worker has confirmed if it tells one. */
  async put(at: WritePath, source: UploadSource, signal: AbortSignal): Promise<string> {
    return this.#each('put', at, signal, async (worker) => {
      const watch = new StallWatch(signal, this.#stallMs);
      try {
        return await this.#putOnce(worker, at, source, watch);
      } finally {
        watch.end();
      }
    });
  }

  /** Of a file of known length. An MD5 that is told and differs is an error. */
  async copy(
    from: WritePath,
    to: WritePath,
    content: { readonly lengthBytes: number; readonly md5?: string | undefined },
    signal: AbortSignal,
  ): Promise<WriteAnswer> {
    return this.#each('copy', to, signal, async (worker) => {
      const turns = this.#copying.get(worker.id) ?? new Pool(COPIES_MAX, () => Symbol(worker.id));
      this.#copying.set(worker.id, turns);
      const limit = { signal, deadlineMs: performance.now() + TURN_MS };
      const turn = await turns.acquire({ workerId: worker.id, path: to.path }, limit);
      // The worker says nothing before it is done.
      const watch = new StallWatch(signal, answerMs(content.lengthBytes));
      try {
        const { calls } = this.#parts;
        const { context } = watch;
        const run = (): Promise<WriteAnswer> => this.#writes.copy(worker, from, to, context);
        const answer = await calls.call('copy', worker, context, run);
        assertSame(content.md5, answer.md5, to, worker);
        return answer;
      } finally {
        watch.end();
        turns.release(turn, true);
      }
    });
  }

  /** Once workers have answered what this process reads of the file now; false where it reads nothing. */
  readsEnded(at: WritePath, signal: AbortSignal): Promise<boolean> {
    return whileWorth(signal, (limit) => this.#parts.reads.ended(at.path, limit));
  }

  /** Before a file is changed or taken away; until then, this process reads nothing more of it. */
  holdReads(at: WritePath, signal: AbortSignal): Promise<() => void> {
    return whileWorth(signal, (limit) => this.#parts.reads.hold(at.path, limit));
  }

  makeDirectory(at: WritePath, signal: AbortSignal): Promise<void> {
    return this.#small('mkdir', at, signal, (worker, context) =>
      this.#writes.makeDirectory(worker, at, context),
    );
  }

  remove(at: WritePath, signal: AbortSignal): Promise<void> {
    return this.#small('delete', at, signal, (worker, context) =>
      this.#writes.remove(worker, at, context),
    );
  }

  refresh(at: WritePath, signal: AbortSignal): Promise<void> {
    return this.#small('refresh', at, signal, (worker, context) =>
      this.#writes.refresh(worker, at, context),
    );
  }

  move(from: WritePath, to: WritePath, signal: AbortSignal): Promise<void> {
    return this.#small('move', from, signal, (worker, context) =>
      this.#writes.move(worker, from, to, context),
    );
  }

  /** As the workers tell it, never the under store. */
  stat(at: WritePath, signal: AbortSignal): Promise<FileStatus> {
    return this.#small('stat', at, signal, (worker, context) =>
      this.#parts.client.stat(worker, at.path, context),
    );
  }

  /** As `lookUp`, with fewer requests. */
  look(at: WritePath, signal: AbortSignal): Promise<FileStatus | undefined> {
    return this.#small('stat', at, signal, (worker, context) =>
      this.#writes.look(worker, at, context),
    );
  }

  /** Undefined where there is nothing. */
  async lookUp(at: WritePath, signal: AbortSignal): Promise<FileStatus | undefined> {
    try {
      return await this.stat(at, signal);
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** Asked of this worker and of no other one. Undefined where there is nothing. */
  async lookUpAt(
    worker: Worker,
    at: WritePath,
    signal: AbortSignal,
  ): Promise<FileStatus | undefined> {
    const { calls, clock } = this.#parts;
    const context = { signal, deadlineMs: clock.nowMs() + LOOK_MS };
    return runAttempt({ context, clock, timeoutMs: LOOK_MS }, (limited) =>
      calls.call('refresh', worker, limited, () => this.#writes.look(worker, at, limited)),
    );
  }

  get #writes(): WorkerWrites {
    const { writes } = this.#parts.client;
    if (writes === undefined) throw new ClusterError('unsupported', 'This client only reads');
    return writes;
  }

  async #putOnce(
    worker: Worker,
    at: WritePath,
    source: UploadSource,
    watch: StallWatch,
  ): Promise<string> {
    const { lengthBytes } = source;
    const answerTimeoutMs = answerMs(lengthBytes);
    const hash = createHash('md5');
    let sourceError: ClusterError | undefined;
    const chunks = this.#watched(source, watch, hash, (error) => {
      sourceError = error;
    });
    const { context } = watch;
    const body = { lengthBytes, chunks, answerTimeoutMs };
    const run = (): Promise<WriteAnswer> => this.#writes.put(worker, at, body, context);
    try {
      const answer = await this.#parts.calls.call('put', worker, context, run);
      const md5 = hash.digest('hex');
      assertSame(md5, answer.md5, at, worker);
      return md5;
    } catch (error) {
      throw sourceError ?? error;
    }
  }

  async *#watched(
    source: UploadSource,
    watch: StallWatch,
    hash: { update(chunk: Uint8Array): unknown },
    onSourceError: (error: ClusterError) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { lengthBytes } = source;
    let sent = 0;
    try {
      for await (const chunk of source.open()) {
        hash.update(chunk);
        sent += chunk.length;
        if (sent > lengthBytes) break;
        watch.allow(this.#stallMs);
        yield chunk;
      }
      if (sent !== lengthBytes) throw new Error(`It gave ${sent} of ${lengthBytes} bytes`);
    } catch (error) {
      onSourceError(error instanceof ClusterError ? error : unreadable(error));
      watch.giveUp();
      throw error;
    }
    watch.allow(answerMs(lengthBytes));
  }

  #small<T>(
    method: WorkerMethod,
    at: WritePath,
    signal: AbortSignal,
    attempt: Attempt<T>,
  ): Promise<T> {
    const { calls, clock } = this.#parts;
    return this.#each(method, at, signal, (worker) => {
      const context = { signal, deadlineMs: clock.nowMs() + ATTEMPT_MS_MAX };
      return runAttempt({ context, clock, timeoutMs: ATTEMPT_MS_MAX }, (limited) =>
        calls.call(method, worker, limited, () => attempt(worker, limited)),
      );
    });
  }

  /**
   * The owner first, then the next ones, then all over again, then once those with an open breaker: a
   * program that writes has nowhere else to go. An answer ends it.
   */
  async #each<T>(
    method: WorkerMethod,
    at: WritePath,
    signal: AbortSignal,
    attempt: (worker: Worker) => Promise<T>,
  ): Promise<T> {
    const { placement, events, clock } = this.#parts;
    const unbounded = { signal, deadlineMs: Infinity };
    const workers = await placement.candidates(at.ufsPath, true, unbounded);
    const attempts = workers.length === 0 ? 0 : Math.max(workers.length, ATTEMPTS_MIN);
    const turns = Array.from({ length: attempts }, (_, i) => workers[i % workers.length] as Worker);
    let last: ClusterError | undefined;
    for (const [i, worker] of turns.entries()) {
      remainingMs(unbounded, clock);
      try {
        return await attempt(worker);
      } catch (error) {
        last = toClusterError(error, worker);
        if (!isWorthAnother(last) || signal.aborted) throw last;
        events.retry(method, last.code);
      }
      if (i + 1 === attempts) {
        const owners = await placement.owners(at.ufsPath, WORKERS_PER_CALL_MAX, unbounded);
        turns.push(...owners.filter((owner) => !workers.includes(owner)));
      } else if (i + 1 < attempts && i + 1 >= workers.length) await pause(i, signal);
    }
    throw noAnswer(last).error;
  }
}

/** Waits for reads, for as long as is worth it. */
function whileWorth<T>(signal: AbortSignal, wait: (limit: AbortSignal) => Promise<T>): Promise<T> {
  const limit = new LinkedSignal([signal]);
  limit.abortAfter(READS_MS, () => new ClusterError('timeout', 'Reads took too long'));
  return wait(limit.signal).finally(() => limit.end());
}

function unreadable(error: unknown): ClusterError {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `The bytes to upload cannot be read: ${reason}`;
  return new ClusterError('protocol', message, { cause: error });
}

function isWorthAnother(error: ClusterError): boolean {
  if (isAnswer(error) || error.code === 'inexpressible' || error.code === 'cancelled') return false;
  return error.retryable || error.code === 'timeout';
}

async function pause(i: number, signal: AbortSignal): Promise<void> {
  await delay(PAUSE_MS * 2 ** i, undefined, { signal }).catch(() => undefined);
}

function answerMs(lengthBytes: number): number {
  return ANSWER_MS + lengthBytes / BYTES_PER_MS_MIN;
}

function assertSame(
  sent: string | undefined,
  told: string | undefined,
  { path }: WritePath,
  worker: Worker,
): void {
  if (sent === undefined || told === undefined || sent === told) return;
  throw new ClusterError('protocol', 'The worker stored other bytes than were sent', {
    path,
    worker: worker.id,
    retryable: true,
  });
}
