/**
 * Lists a directory at whichever worker answers, and adds what workers lose: open source leaves
 * names with `?` out, garbles `\`, and fails for a directory that holds a name of invalid UTF-8.
 */
import { runBounded } from '../base/bounded-run.ts';
import type { ByteString } from '../base/byte-string.ts';
import { displayByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import { remainingMs } from './attempt.ts';
import type { Watch } from './attempt.ts';
import type { Breakers } from './breaker.ts';
import type { ClusterEvents, FallbackReason } from './cluster-events.ts';
import type { NoAnswer } from './failover.ts';
import { noAnswer, watchOf } from './failover.ts';
import type { Placement } from './placement.ts';
import type { CallContext, FileStatus, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import type { UnderStoreFallback } from './under-store-fallback.ts';
import type { WorkerCalls } from './worker-calls.ts';
import { isAnswer, toClusterError } from './worker-calls.ts';
import type { WorkerClient } from './worker-client.ts';

export interface ListingRouterParts {
  readonly client: WorkerClient;
  readonly calls: WorkerCalls;
  readonly placement: Placement;
  readonly breakers: Breakers;
  readonly fallback: UnderStoreFallback;
  readonly clock: Clock;
  readonly events: ClusterEvents;
  readonly noteInexpressible: (error: ClusterError, directory: ByteString) => void;
}

/** A worker that is quiet for this long within a listing is left for the next one. */
const BATCH_MS_MAX = 20_000;
const UNREACHED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

export class ListingRouter {
  readonly #parts: ListingRouterParts;

  constructor(parts: ListingRouterParts) {
    this.#parts = parts;
  }

  async *list(
    path: ByteString,
    ufsPath: ByteString,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    const { placement, fallback, events, clock } = this.#parts;
    // After a failure half way the next worker begins again: names already given are left out.
    const listed = new Set<ByteString>();
    let last: ClusterError | undefined;
    const isLastResort = !fallback.isConfigured(path);
    const workers = await placement.candidates(ufsPath, isLastResort, context);
    for (const [i, worker] of workers.entries()) {
      remainingMs(context, clock);
      try {
        const hasOthers = !isLastResort || i + 1 < workers.length;
        yield* fresh(this.#listAt(worker, path, hasOthers, context), listed);
        yield* this.#supplement(path, listed, context);
        return;
      } catch (error) {
        last = toClusterError(error, worker);
        if (isAnswer(last) || context.signal.aborted) throw last;
        if (last.code === 'inexpressible') break;
        events.retry('list', last.code);
      }
    }
    const { reason, error } = whyNot(path, last, fallback.status !== 'off');
    yield* fresh(this.#fromUnderStore(path, reason, error, context), listed);
  }

  /** One call for the breaker and the counters, though its answer comes in pieces. */
  async *#listAt(
    worker: Worker,
    path: ByteString,
    hasOthers: boolean,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    const { client, calls, clock, breakers } = this.#parts;
    const watch = hasOthers ? watchOf(breakers, worker) : undefined;
    const linked = new LinkedSignal([context.signal]);
    const limited: CallContext = { signal: linked.signal, deadlineMs: context.deadlineMs };
    const batches = client.list(worker, path, limited)[Symbol.asyncIterator]();
    try {
      // The first batch decides whether the worker answers at all; the rest may take its time, as
      // long as it keeps coming.
      for (let isFirst = true; ; isFirst = false) {
        const leftMs = remainingMs(context, clock);
        const waitMs = Math.min(BATCH_MS_MAX, isFirst ? leftMs / 2 : leftMs);
        const next = (): Promise<IteratorResult<FileStatus[]>> =>
          withTimeout(batches.next(), waitMs, context.signal, isFirst ? watch : undefined);
        const batch = isFirst ? await calls.call('list', worker, limited, next) : await next();
        if (batch.done === true) return;
        yield batch.value;
      }
    } finally {
      linked.abort(new ClusterError('cancelled', 'The listing was left'));
      // Not awaited: a generator stuck in a call cannot return before that call ends.
      void batches.return?.()?.catch(() => undefined);
    }
  }

  /** For both personalities: they parse paths alike, and a listing says not what it left out. */
  async *#supplement(
    path: ByteString,
    listed: ReadonlySet<ByteString>,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    const { fallback } = this.#parts;
    if (!fallback.hasCheapNames) return;
    const store = await fallback.reachable(path);
    if (store === undefined) return;
    const added = await fallback.supplement(store, path, listed, context);
    if (added.length > 0) yield added;
  }

  async *#fromUnderStore(
    path: ByteString,
    reason: FallbackReason,
    error: ClusterError,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    const { fallback, noteInexpressible, clock } = this.#parts;
    if (reason === 'inexpressible') noteInexpressible(error, path);
    remainingMs(context, clock);
    const store = await fallback.reachable(path);
    if (store === undefined) throw error;
    yield* fallback.list(store, path, reason, context);
  }
}

async function* fresh(
  batches: AsyncIterable<FileStatus[]>,
  listed: Set<ByteString>,
): AsyncGenerator<FileStatus[], void, undefined> {
  for await (const batch of batches) {
    const news = batch.filter((entry) => !listed.has(entry.name));
    for (const entry of news) listed.add(entry.name);
    if (news.length > 0) yield news;
  }
}

function whyNot(
  path: ByteString,
  last: ClusterError | undefined,
  hasUnderStore: boolean,
): NoAnswer {
  if (last?.code === 'inexpressible') return { reason: 'inexpressible', error: last };
  if (last === undefined) return noAnswer(last);
  // What the user can find out and we cannot: whether it is this directory or the workers.
  const message =
    `No worker could list "${displayByteString(path)}"; the last one asked said: ${last.message}. ` +
    (isAway(last)
      ? ''
      : 'If other directories can be listed, then this one holds a name that is not valid UTF-8, ' +
        'which open-source workers fail for. ') +
    (hasUnderStore
      ? 'The under store of --ufs, which could list it, does not answer either'
      : 'It would be listed from the under store if --ufs were a file:// directory of this ' +
        'machine and --under-store-fallback auto');
  const code = last.code === 'timeout' ? 'timeout' : 'unavailable';
  const details = { path, worker: last.worker, retryable: true, cause: last };
  return { reason: 'workers-failed', error: new ClusterError(code, message, details) };
}

/** The worker was not reached at all. */
function isAway(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (UNREACHED.has((each as NodeJS.ErrnoException).code ?? '')) return true;
  }
  return false;
}

function withTimeout<T>(
  step: Promise<T>,
  timeoutMs: number,
  signal: AbortSignal,
  watch: Watch | undefined,
): Promise<T> {
  const cancelled = (): ClusterError => new ClusterError('cancelled', 'The call was cancelled');
  const timedOut = (): ClusterError => {
    const message = `No entries came within ${Math.round(timeoutMs)} ms`;
    return new ClusterError('timeout', message, { retryable: true });
  };
  return runBounded({ signal, timeoutMs, cancelled, timedOut, watch }, () => step);
}
