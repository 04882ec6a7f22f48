/**
 * Whether a worker's pages are as long as ours. The API never says, and with another page size the
 * page endpoint answers wrong bytes for every page but the first. So nothing beyond page 0 is
 * believed before a proof: on a file longer than our page, byte `pageSize` of page 0 is exactly its
 * end (200 with no bytes) if and only if the page held there is as long as ours. Longer, a byte
 * comes; shorter, the worker closes, though byte 0 is there.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { ClusterEvents } from './cluster-events.ts';
import type { CallContext, Worker } from './types.ts';
import { ClusterError } from './types.ts';

/** Asks for one byte of a page: bytes that came, or undefined for a miss. */
export type ByteProbe = (offsetInPage: number, pageIndex: number) => Promise<number | undefined>;

export interface PageTrustOptions {
  readonly pageSizeBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ClusterEvents;
}

/** Page sizes that clusters are set to; one that is none of them is told without its value. */
const KNOWN_SIZES = Array.from({ length: 16 }, (_, i) => 4096 * 2 ** i);
/** A proof that found no page 0 is tried again on a later file, not on every read of a cold one. */
const RETRY_MS = 500;
/** Different files with first pages of the same short size before that is called the page size. */
const SHORT_FILES_MIN = 2;

export class PageTrust {
  readonly #options: PageTrustOptions;
  /** Worker ids; bounded by `retain`. */
  readonly #proven = new Set<string>();
  readonly #retryAtMs = new Map<string, number>();
  /** By the size that page 0 had: files with so short a page. Bounded by sizes and files needed. */
  readonly #shortFiles = new Map<number, Set<ByteString>>();
  #mismatch: string | undefined;

  constructor(options: PageTrustOptions) {
    this.#options = options;
  }

  /** Why pages are off, once they are. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  isProven(worker: Worker): boolean {
    return this.#mismatch === undefined && this.#proven.has(worker.id);
  }

  /** The worker has just read a first page through: the next proof will find it. */
  allowRetry(worker: Worker): void {
    this.#retryAtMs.delete(worker.id);
  }

  /** It was written by us: what its first page was is no evidence about the new one. */
  forgetFile(path: ByteString): void {
    for (const files of this.#shortFiles.values()) files.delete(path);
  }

  /** A worker that left may come back with another configuration. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#proven) if (!ids.has(id)) this.#proven.delete(id);
    for (const id of this.#retryAtMs.keys()) if (!ids.has(id)) this.#retryAtMs.delete(id);
  }

  /** Tries to prove the page size on a file longer than a page. True: pages may be believed. */
  async prove(
    worker: Worker,
    file: { readonly path: ByteString; readonly lengthBytes: number },
    probe: ByteProbe,
    context: CallContext,
  ): Promise<boolean> {
    const { pageSizeBytes, clock } = this.#options;
    if (this.isProven(worker)) return true;
    if (this.#mismatch !== undefined || file.lengthBytes <= pageSizeBytes) return false;
    if (clock.nowMs() < (this.#retryAtMs.get(worker.id) ?? -Infinity)) return false;
    this.#retryAtMs.set(worker.id, clock.nowMs() + RETRY_MS);
    const atEnd = await probe(pageSizeBytes, 0);
    if (atEnd === 0) {
      this.#proven.add(worker.id);
      return true;
    }
    const isLonger = atEnd !== undefined;
    // A miss: either page 0 is not held, or it ends before that byte.
    if (!isLonger && (await probe(0, 0)) !== 1) return false;
    const size = await this.#sizeOfPage(isLonger, file.lengthBytes, probe, context);
    // A worker caches a page only as far as a range read of another client went, so one short page
    // proves nothing, and one of no usual size even less.
    if (!isLonger) {
      if (size === undefined) return false;
      // Pages of our size end before this index, so one that is there is of a smaller size.
      const pastTheEnd = Math.ceil(file.lengthBytes / pageSizeBytes);
      const isProven = (await probe(0, pastTheEnd)) === 1;
      if (!isProven && !this.#isConfirmedShort(size, file.path)) return false;
    }
    this.#declareMismatch(worker, size, isLonger);
    return false;
  }

  /** The first page of a file that would be one page of ours ended after so many bytes. */
  noteShort(
    worker: Worker,
    size: number,
    file: { readonly path: ByteString; readonly version: { readonly lengthBytes: number } },
  ): void {
    const { pageSizeBytes } = this.#options;
    const isOnePage = file.version.lengthBytes <= pageSizeBytes;
    if (!isOnePage || size >= file.version.lengthBytes || !KNOWN_SIZES.includes(size)) return;
    if (this.#isConfirmedShort(size, file.path)) this.#declareMismatch(worker, size, false);
  }

  #isConfirmedShort(size: number, path: ByteString): boolean {
    const files = this.#shortFiles.get(size) ?? new Set();
    files.add(path);
    this.#shortFiles.set(size, files);
    return files.size >= SHORT_FILES_MIN;
  }

  async #sizeOfPage(
    isLonger: boolean,
    fileLengthBytes: number,
    probe: ByteProbe,
    context: CallContext,
  ): Promise<number | undefined> {
    const ours = this.#options.pageSizeBytes;
    for (const size of KNOWN_SIZES) {
      const isCandidate = size < fileLengthBytes && (isLonger ? size > ours : size < ours);
      if (!isCandidate) continue;
      if (context.signal.aborted) throw new ClusterError('cancelled', 'The call was cancelled');
      // Only the very end of the page answers with no bytes.
      if ((await probe(size, 0)) === 0) return size;
    }
    return undefined;
  }

  #declareMismatch(worker: Worker, size: number | undefined, isLonger: boolean): void {
    if (this.#mismatch !== undefined) return;
    const ours = this.#options.pageSizeBytes;
    const theirs = size === undefined ? (isLonger ? 'longer' : 'shorter') : `${size} bytes long`;
    const advice = size === undefined ? "the cluster's page size" : String(size);
    this.#mismatch =
      `Pages of ${worker.id} (${worker.host}) are ${theirs}, ours ${ours} bytes; ` +
      `set --page-size (alluxio.worker.page.store.page.size) to ${advice}`;
    this.#options.logger.error(
      { worker: worker.id, ours, theirs: size },
      `${this.#mismatch}. Reading goes on over the slower S3 port, with correct bytes`,
    );
    this.#options.events.pageSizeMismatch(this.#mismatch);
  }
}
