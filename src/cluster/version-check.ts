/**
 * Whether a file is still the version that was opened. Neither the pages of open-source workers nor
 * the ranges of Enterprise tell a version: an overwritten file of equal length would be read as a mix
 * of two.
 */
import type { Clock } from '../base/clock.ts';
import type { RangeJob } from './oss-reader.ts';
import type { PathChoice } from './path-choice.ts';
import { isSameVersion } from './path-choice.ts';
import type { CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';
import type { WorkerCalls } from './worker-calls.ts';
import type { WorkerClient } from './worker-client.ts';

/**
 * So lately a status or an S3 answer must have told the version. An open has just asked; a long
 * sequential read asks once a second, which is nothing beside its pages.
 */
const VERSION_MS = 1_000;

export class VersionCheck {
  readonly #client: WorkerClient;
  readonly #calls: WorkerCalls;
  readonly #choice: PathChoice;
  readonly #pageSizeBytes: number;
  readonly #clock: Clock;

  constructor(parts: {
    readonly client: WorkerClient;
    readonly calls: WorkerCalls;
    readonly choice: PathChoice;
    readonly pageSizeBytes: number;
    readonly clock: Clock;
  }) {
    this.#client = parts.client;
    this.#calls = parts.calls;
    this.#choice = parts.choice;
    this.#pageSizeBytes = parts.pageSizeBytes;
    this.#clock = parts.clock;
  }

  /** Nobody has to be asked before bytes of it are believed. */
  isConfirmed({ ufsPath, version }: RangeJob): boolean {
    // One page is of one version; which one, the attributes' TTL answers for as it does for them.
    if (version.lengthBytes <= this.#pageSizeBytes) return true;
    return this.#choice.isConfirmed(ufsPath, version, this.#clock.nowMs() - VERSION_MS);
  }

  /**
   * Runs `read` and confirms the version. A sink may hand on each page but the last while the read goes
   * on, so a longer read begins when the version is confirmed; that of a page, meanwhile.
   * `isTold`: the answer told the version itself.
   */
  async around<T>(
    worker: Worker,
    job: RangeJob,
    context: CallContext,
    read: () => Promise<T>,
    isTold: (result: T) => boolean = () => false,
  ): Promise<T> {
    if (this.isConfirmed(job)) return read();
    const confirming = this.#confirm(worker, job, context);
    // Looked at below; until then its failure must not count as unhandled.
    confirming.catch(() => undefined);
    if (this.#spansPages(job)) await confirming;
    const result = await read();
    if (!isTold(result)) await confirming;
    return result;
  }

  #spansPages({ offset, lengthBytes }: RangeJob): boolean {
    const last = offset + lengthBytes - 1;
    return Math.floor(offset / this.#pageSizeBytes) !== Math.floor(last / this.#pageSizeBytes);
  }

  async #confirm(worker: Worker, job: RangeJob, context: CallContext): Promise<void> {
    const status = await this.#calls.call('stat', worker, context, () =>
      this.#client.stat(worker, job.path, context),
    );
    if (status.type !== 'file' || !isSameVersion(status, job.version)) {
      throw new ClusterError('version-changed', 'The file is not the one that was opened', {
        path: job.path,
        worker: worker.id,
      });
    }
    this.#choice.noteVersion(job.ufsPath, job.version, this.#clock.nowMs());
  }
}
