/**
 * The under store as the last resort: asked within its rate limit, believed only when what it has
 * is what was opened.
 */
import type { Logger } from '../base/logger.ts';
import type { ByteString } from '../base/byte-string.ts';
import { displayByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import { AttemptSink, remainingMs, runAttempt } from './attempt.ts';
import type { ClusterEvents, FallbackReason } from './cluster-events.ts';
import { lostName } from './inexpressible.ts';
import type { RangeJob } from './oss-reader.ts';
import { isSameVersion } from './path-choice.ts';
import type { ByteSink, CallContext, FileStatus, FileVersion } from './types.ts';
import { ClusterError } from './types.ts';
import type { UnderStore } from './under-store.ts';
import type { UnderStoreGate } from './under-store-gate.ts';
import { toClusterError } from './worker-calls.ts';

export interface UnderStoreFallbackParts {
  readonly store: UnderStore | undefined;
  /** Whether the cluster's files lie somewhere else: then the store has nothing to do with them. */
  readonly isRootWrong: () => boolean;
  readonly gate: UnderStoreGate;
  readonly clock: Clock;
  readonly events: ClusterEvents;
  readonly logger: Logger;
}

/** An answer about reachability holds this long, so that a burst of failures asks once. */
const REACHABLE_MS = 1_000;
/**
 * A local mount that hangs (a dead NFS server, say) is as good as away. What is remote may have to
 * look for credentials first.
 */
const REACHABLE_TIMEOUT_MS = 5_000;
/** Stats of names that listings leave out; such names are rare. */
const SUPPLEMENT_STATS_AT_ONCE = 8;

export class UnderStoreFallback {
  readonly #parts: UnderStoreFallbackParts;
  #isReachable = false;
  #checkedAtMs = -Infinity;
  #check: Promise<boolean> | undefined;

  constructor(parts: UnderStoreFallbackParts) {
    this.#parts = parts;
    // So that the status is right before the first fallback.
    void this.#recheck();
  }

  /** Whether it can be counted on: one that was found away does not spare the workers anything. */
  isConfigured(path: ByteString): boolean {
    const wasFoundAway = this.#checkedAtMs !== -Infinity && !this.#isReachable;
    return this.#isOurs && !wasFoundAway && this.#covers(path);
  }

  #covers(path: ByteString): boolean {
    return this.#parts.store?.covers?.(path) !== false;
  }

  get #isOurs(): boolean {
    return this.#parts.store !== undefined && !this.#parts.isRootWrong();
  }

  /** Whether it can be asked beside every listing of a worker. */
  get hasCheapNames(): boolean {
    return this.#isOurs && this.#parts.store?.names !== undefined;
  }

  /** Whether it takes changes: else a writer need not ask whether it answers. */
  get hasWrites(): boolean {
    return this.#isOurs && this.#parts.store?.writes !== undefined;
  }

  /** Whether changes can be made in it that are one step, past workers that could make them, too. */
  get hasAtomicRenames(): boolean {
    return this.#isOurs && this.#parts.store?.writes?.isRenameAtomic === true;
  }

  get status(): 'available' | 'off' | 'unreachable' {
    if (!this.#isOurs) return 'off';
    if (this.#isReachable) return 'available';
    // Whoever looks keeps an old "no" from standing for ever; the answer is there for the next look.
    if (this.#parts.clock.nowMs() - this.#checkedAtMs >= REACHABLE_MS) void this.#recheck();
    return 'unreachable';
  }

  /** Why the store is not reachable, where it knows. */
  get problem(): string | undefined {
    return this.status === 'unreachable' ? this.#parts.store?.problem : undefined;
  }

  /** The store, when there is one for the path that answers. */
  async reachable(path?: ByteString): Promise<UnderStore | undefined> {
    const { store, clock } = this.#parts;
    if (store === undefined || !this.#isOurs) return undefined;
    if (path !== undefined && !this.#covers(path)) return undefined;
    const isFresh = clock.nowMs() - this.#checkedAtMs < REACHABLE_MS;
    const answer = isFresh && this.#check === undefined ? this.#isReachable : await this.#recheck();
    // A worker may have told better while we asked.
    return answer && this.#isOurs ? store : undefined;
  }

  async stat(
    store: UnderStore,
    path: ByteString,
    reason: FallbackReason,
    context: CallContext,
  ): Promise<FileStatus> {
    this.#parts.events.fallback(reason);
    return this.#run(0, context, (attempt) => store.stat(path, attempt));
  }

  async *list(
    store: UnderStore,
    path: ByteString,
    reason: FallbackReason,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    this.#parts.events.fallback(reason);
    await this.#parts.gate.enter(0, context);
    try {
      yield* store.list(path, context);
    } catch (error) {
      throw toClusterError(error);
    }
  }

  async read(
    store: UnderStore,
    job: RangeJob,
    reason: FallbackReason,
    sink: ByteSink,
    context: CallContext,
  ): Promise<void> {
    const { events } = this.#parts;
    const { path, offset, lengthBytes, version } = job;
    events.fallback(reason);
    const guarded = new AttemptSink(sink, lengthBytes);
    try {
      const answer = await this.#run(lengthBytes, context, (attempt) =>
        store.read({ path, offset, lengthBytes }, guarded.part(0, lengthBytes), attempt),
      );
      if (!isWhatWasOpened(answer.version, version)) {
        const message = 'The under store has another version of the file than the one opened';
        throw new ClusterError('version-changed', message, { path });
      }
      if (answer.lengthBytes !== lengthBytes || guarded.receivedBytes !== lengthBytes) {
        const message = `The under store gave ${answer.lengthBytes} of ${lengthBytes} bytes`;
        throw new ClusterError('protocol', message, { path, retryable: true });
      }
      events.bytesRead('under-store', lengthBytes);
    } finally {
      guarded.end();
    }
  }

  /**
   * Entries of a directory that worker listings leave out or garble because of their names. Never
   * fails: what the workers listed is worth having without them.
   */
  async supplement(
    store: UnderStore,
    path: ByteString,
    listed: ReadonlySet<ByteString>,
    context: CallContext,
  ): Promise<FileStatus[]> {
    const found: FileStatus[] = [];
    try {
      // Not counted with what goes past the workers: names are asked for only where they cost little.
      const lost: ByteString[] = [];
      for await (const batch of store.names?.(path, context) ?? []) {
        for (const name of batch) {
          if (lostName(name) !== undefined && !listed.has(name)) lost.push(name);
        }
      }
      if (lost.length === 0) return found;
      this.#parts.events.fallback('list-supplement');
      const parent = path === '/' ? '' : path;
      let next = 0;
      const work = async (): Promise<void> => {
        for (let name = lost[next]; name !== undefined; name = lost[next]) {
          next += 1;
          const child = `${parent}/${name}` as ByteString;
          // Gone since it was listed, or not to be looked at: as if it had not been there.
          const status = await store.stat(child, context).catch(() => undefined);
          if (status !== undefined) found.push({ ...status, name });
        }
      };
      await Promise.all(Array.from({ length: SUPPLEMENT_STATS_AT_ONCE }, work));
    } catch (error) {
      remainingMs(context, this.#parts.clock);
      const fields = { path: displayByteString(path), error: toClusterError(error).message };
      this.#parts.logger.debug(fields, 'Could not ask the under store for names workers lose');
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#parts.store?.close();
  }

  async #run<T>(
    bytes: number,
    context: CallContext,
    run: (context: CallContext) => Promise<T>,
  ): Promise<T> {
    await this.#parts.gate.enter(bytes, context);
    const { clock } = this.#parts;
    try {
      return await runAttempt({ context, clock, timeoutMs: remainingMs(context, clock) }, run);
    } catch (error) {
      throw toClusterError(error);
    }
  }

  #recheck(): Promise<boolean> {
    const { store, clock } = this.#parts;
    if (store === undefined) return Promise.resolve(false);
    this.#check ??= (async () => {
      const signal = new AbortController().signal;
      const context = { signal, deadlineMs: clock.nowMs() + REACHABLE_TIMEOUT_MS };
      const limits = { context, clock, timeoutMs: REACHABLE_TIMEOUT_MS };
      const ask = (attempt: CallContext): Promise<boolean> => store.isReachable(attempt);
      const isReachable = await runAttempt(limits, ask).catch(() => false);
      this.#tell(isReachable);
      this.#isReachable = isReachable;
      this.#checkedAtMs = clock.nowMs();
      this.#check = undefined;
      return this.#isReachable;
    })();
    return this.#check;
  }

  /** Once for each time that it goes or comes, and at the start only where it is away. */
  #tell(isReachable: boolean): void {
    const { store, logger } = this.#parts;
    const isFirst = this.#checkedAtMs === -Infinity;
    if (isFirst ? isReachable : isReachable === this.#isReachable) return;
    if (isReachable) {
      logger.info({}, 'The under store can be reached again');
      return;
    }
    const problem = store?.problem ?? 'it gave no answer';
    logger.warn({ problem }, 'The under store cannot be reached; only workers can serve files');
  }
}

/**
 * Some stores know whole seconds only, where a worker had told milliseconds. A hash, where both tell
 * one, settles what length and such a time leave open.
 */
function isWhatWasOpened(stored: FileVersion, opened: FileVersion): boolean {
  const { mtimeResolutionMs = 1, contentHash } = stored;
  const mtimeMs = Math.floor(opened.mtimeMs / mtimeResolutionMs) * mtimeResolutionMs;
  const isHashSame =
    contentHash === undefined ||
    opened.contentHash === undefined ||
    contentHash === opened.contentHash;
  return isHashSame && isSameVersion(stored, { ...opened, mtimeMs });
}
