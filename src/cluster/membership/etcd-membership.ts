/**
 * Membership from etcd: live workers are the leased keys under `/ServiceDiscovery/<cluster>/`.
 *
 * A full range read is the only truth; a watch from the revision of that read merely makes the next
 * read come soon, and a jittered timer makes it come in any case. So a compacted revision, a lost
 * connection or a restarted etcd all have the same cure: a new connection, a read, a watch.
 * While etcd is away the last good view stays.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { ClusterEvents } from '../cluster-events.ts';
import type { CallContext, MembershipView, Worker } from '../types.ts';
import { ClusterError } from '../types.ts';
import type { EtcdSourceOptions, RangeAnswer } from './etcd-source.ts';
import { EtcdRefusal, EtcdSource } from './etcd-source.ts';
import type { Membership, MembershipStatus } from './membership.ts';
import { ViewHolder } from './membership.ts';
import { Waker } from './waker.ts';
import { ENTRY_LENGTH_MAX, parseWorkerEntry } from './worker-entry.ts';

export interface EtcdMembershipOptions extends Omit<EtcdSourceOptions, 'requestTimeoutMs'> {
  readonly clusterName: string;
  /** Of every worker: etcd does not tell it. */
  readonly s3Port: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ClusterEvents;
  readonly requestTimeoutMs?: number;
  /** Between reads when the watch is quiet; each wait is 75 % to 125 % of it. */
  readonly refreshMs?: number;
  /** Between an empty answer and the read that confirms it. */
  readonly emptyConfirmMs?: number;
  readonly random?: () => number;
  /** The view until the first answer: what an earlier process knew. */
  readonly knownWorkers?: readonly Worker[];
}

/** A read of 10,000 entries of 400 bytes takes etcd well under a second; 5 s is a sick etcd. */
const REQUEST_TIMEOUT_MS = 5_000;
/** Alluxio's own clients read every 120 s; the watch is our fast path, this the safety net. */
const REFRESH_MS = 30_000;
/** An etcd that came back without its data gets its workers back when they notice, within seconds. */
const EMPTY_CONFIRM_MS = 5_000;
/** Many workers join or leave together; one read a second, as Alluxio rebuilds its ring. */
const TOUCH_DELAY_MS = 1_000;
const RETRY_MS_MIN = 250;
/** A mount must be back soon after etcd is, and 1000 mounts must not stampede: jittered 5 s. */
const RETRY_MS_MAX = 5_000;
/** Ten times the largest cluster we know of; more is somebody else's prefix. */
const WORKERS_MAX = 10_000;
/** Bad keys are remembered so that each is logged once; a bound, since keys are not ours. */
const BAD_KEYS_MAX = 1_000;

export class EtcdMembership implements Membership {
  readonly source: string;
  readonly isWhole = true;
  readonly #options: EtcdMembershipOptions;
  readonly #prefix: string;
  readonly #holder = new ViewHolder();
  readonly #waker = new Waker();
  readonly #badKeys = new Set<string>();
  /** Ends with the first good answer, or with the first refusal. */
  readonly #firstAnswer: Promise<void>;
  readonly #loop: Promise<void>;
  #resolveFirstAnswer: () => void = () => undefined;
  #lastGoodAtMs: number | undefined;
  #lastError: string | undefined;
  #isRefused = false;
  #isWatchLost = false;
  #isTouched = false;
  #isEmptyOnce = false;
  #isClosed = false;

  /** Starts at once; until the first answer the view is what was known before, if anything was. */
  constructor(options: EtcdMembershipOptions) {
    this.#options = options;
    this.source = `etcd ${options.endpoints.join(',')} cluster ${options.clusterName}`;
    this.#prefix = `/ServiceDiscovery/${options.clusterName}/`;
    this.#firstAnswer = new Promise((resolve) => {
      this.#resolveFirstAnswer = resolve;
    });
    this.#holder.replace(options.knownWorkers ?? []);
    this.#loop = this.#run();
  }

  /**
   * Resolves with the first good answer; throws `permission` when etcd refuses us before one, and
   * `timeout` or `cancelled`. The source goes on in any case.
   */
  async ready(context: CallContext): Promise<void> {
    const waker = new Waker();
    const abort = (): void => waker.wake();
    context.signal.addEventListener('abort', abort, { once: true });
    try {
      if (!context.signal.aborted) {
        const waitMs = Math.max(0, context.deadlineMs - performance.now());
        await Promise.race([this.#firstAnswer, waker.wait(waitMs)]);
      }
    } finally {
      waker.wake();
      context.signal.removeEventListener('abort', abort);
    }
    if (this.#lastGoodAtMs !== undefined) return;
    if (context.signal.aborted)
      throw new ClusterError('cancelled', 'Waiting for etcd was cancelled');
    if (this.#isRefused) throw new ClusterError('permission', this.#lastError ?? '');
    throw new ClusterError(
      'timeout',
      `No answer from ${this.source}: ${this.#lastError ?? 'none yet'}`,
      {
        retryable: true,
      },
    );
  }

  view(): MembershipView {
    return this.#holder.view;
  }

  status(): MembershipStatus {
    if (this.#lastGoodAtMs === undefined) return 'starting';
    return this.#lastError === undefined ? 'current' : 'stale';
  }

  lastGoodAtMs(): number | undefined {
    return this.#lastGoodAtMs;
  }

  lastError(): string | undefined {
    return this.#lastError;
  }

  onChange(listener: (view: MembershipView) => void): () => void {
    return this.#holder.onChange(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waker.wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isClosed) {
      let source: EtcdSource | undefined;
      try {
        source = this.#connect();
        await this.#follow(source, () => {
          failures = 0;
        });
      } catch (error) {
        failures += 1;
        this.#noteFailure(error);
      } finally {
        await source?.close();
      }
      const backoffMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10));
      if (!this.#isClosed) await this.#waker.wait(backoffMs * (0.5 + this.#random() / 2));
    }
  }

  /** Reads and watches over one connection until it fails, the watch is lost, or the close. */
  async #follow(source: EtcdSource, onRead: () => void): Promise<void> {
    let isWatching = false;
    this.#isWatchLost = false;
    while (!this.#isClosed && !this.#isWatchLost) {
      this.#isTouched = false;
      const answer = await source.readPrefix(this.#prefix, WORKERS_MAX);
      if (this.#isClosed) return;
      const isSettled = this.#accept(answer);
      onRead();
      if (!isWatching) {
        isWatching = true;
        await source.watchPrefix(this.#prefix, answer.revision, {
          onTouched: () => {
            // Only the first touch ends the pause: those that follow share its read.
            if (this.#isTouched) return;
            this.#isTouched = true;
            this.#waker.wake();
          },
          onLost: (error) => {
            if (this.#isClosed) return;
            this.#isWatchLost = true;
            this.#options.events.membership('watch-lost', this.view().workers.length);
            this.#options.logger.debug({ error: error.message }, 'Lost the watch on etcd');
            this.#waker.wake();
          },
        });
      }
      await this.#pause(isSettled);
    }
  }

  async #pause(isSettled: boolean): Promise<void> {
    if (!isSettled) {
      await this.#waker.wait(this.#options.emptyConfirmMs ?? EMPTY_CONFIRM_MS);
      return;
    }
    if (!this.#isTouched && !this.#isWatchLost) {
      const refreshMs = this.#options.refreshMs ?? REFRESH_MS;
      await this.#waker.wait(refreshMs * (0.75 + this.#random() / 2));
    }
    if (this.#isTouched && !this.#isClosed && !this.#isWatchLost) {
      await this.#waker.wait(Math.min(TOUCH_DELAY_MS, this.#options.refreshMs ?? REFRESH_MS));
    }
  }

  /** Returns false for an answer that has to be confirmed by another read. */
  #accept(answer: RangeAnswer): boolean {
    const { events, logger, clock } = this.#options;
    const workers = this.#parse(answer);
    const held = this.view().workers.length;
    if (workers.length === 0 && answer.entries.length > 0) {
      throw new Error(`None of ${answer.entries.length} entries in etcd could be understood`);
    }
    const isFirstEmpty = workers.length === 0 && held > 0 && !this.#isEmptyOnce;
    if (isFirstEmpty) {
      this.#isEmptyOnce = true;
      events.membership('empty-unconfirmed', held);
      logger.warn({ held }, 'etcd says that no worker is alive; asking again before believing it');
      return false;
    }
    this.#isEmptyOnce = false;
    if (this.#lastError !== undefined) logger.info({ source: this.source }, 'etcd answers again');
    this.#lastError = undefined;
    this.#isRefused = false;
    this.#lastGoodAtMs = clock.nowMs();
    events.membership('read-ok', workers.length);
    if (this.#holder.replace(workers)) {
      const { generation } = this.view();
      events.membership('changed', workers.length);
      const fields = { workers: workers.map((worker) => worker.id), generation };
      if (workers.length === 0) logger.warn(fields, 'No worker is alive, says etcd');
      else logger.info(fields, 'The workers of the cluster changed');
    }
    this.#resolveFirstAnswer();
    return true;
  }

  #parse(answer: RangeAnswer): Worker[] {
    const byId = new Map<string, Worker>();
    for (const { key, value } of answer.entries) {
      try {
        // Bytes first: a huge value is not even decoded.
        if (value.length > ENTRY_LENGTH_MAX) throw new Error('Value is too long');
        const worker = parseWorkerEntry(value.toString('utf8'), this.#options);
        byId.set(worker.id, worker);
      } catch (error) {
        this.#noteBadEntry(key, error);
      }
    }
    if (answer.isTruncated) this.#noteBadEntry(this.#prefix, new Error('Too many entries'));
    return [...byId.values()];
  }

  #noteBadEntry(key: string, error: unknown): void {
    this.#options.events.membership('bad-entry', this.view().workers.length);
    if (this.#badKeys.has(key) || this.#badKeys.size >= BAD_KEYS_MAX) return;
    this.#badKeys.add(key);
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.logger.warn({ key, reason }, 'Left out an entry in etcd that says no worker');
  }

  #noteFailure(error: unknown): void {
    if (this.#isClosed) return;
    const message = error instanceof Error ? error.message : String(error);
    this.#options.events.membership('read-failed', this.view().workers.length);
    const isRefused = error instanceof EtcdRefusal;
    // Once per outage; the next line is the one that says it is over.
    if (this.#lastError === undefined || (isRefused && !this.#isRefused)) {
      const fields = { source: this.source, error: message, workers: this.view().workers.length };
      const what = isRefused ? 'etcd refuses us' : 'etcd does not answer';
      this.#options.logger.warn(fields, `${what}; the last good view stays`);
    }
    this.#lastError = message;
    this.#isRefused = isRefused;
    if (isRefused) this.#resolveFirstAnswer();
  }

  #connect(): EtcdSource {
    const { requestTimeoutMs = REQUEST_TIMEOUT_MS, ...options } = this.#options;
    return new EtcdSource({ ...options, requestTimeoutMs });
  }

  #random(): number {
    return (this.#options.random ?? Math.random)();
  }
}
