/**
 * Keeps the workers' listings true to what was written. The worker that owns a directory remembers
 * its listing and hears nothing of a change: names that are gone go on showing at every client, and
 * new ones are missing. What makes it drop the listing is any look at a name in there that is
 * missing, if it owns that name too. So names are tried on the ring until one fits, and looked up.
 * Nothing is ever made of that name.
 *
 * A directory is renewed at most every so often and never twice at once, however many names change.
 */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { byteStringOfText, displayByteString, type ByteString } from '../../base/byte-string.ts';
import type { Logger } from '../../base/logger.ts';
import type { Ring } from '../ring.ts';
import type { FileStatus, Worker } from '../types.ts';
import type { WritePath } from '../worker-writes.ts';
import { untellable } from './store-writer.ts';

export interface ListingRenewalsParts {
  /** Every ring that the workers may go by. */
  readonly rings: () => readonly Ring[];
  readonly ufsPathOf: (path: ByteString) => ByteString;
  /** Asks this one worker; undefined where there is nothing. */
  readonly lookUp: (
    worker: Worker,
    at: WritePath,
    signal: AbortSignal,
  ) => Promise<FileStatus | undefined>;
  readonly logger: Logger;
}

/** One look is about 5 ms of a worker's time: a directory that fills up costs it a twentieth. */
const GAP_MS = 100;
/** Directories looked into at a time: that keeps up with an archive being unpacked. */
const LOOKING_MAX = 8;
/** With the pauses between them, which double from `RETRY_MS`, some 6 s: a worker that restarts is back. */
const TRIES_MAX = 7;
const RETRY_MS = 100;
/** While no worker answers: some 100 bytes each, and more than a user changes in that time. */
const DIRECTORIES_MAX = 10_000;
/** What is not told by then is told by nobody: a program that ends must end. */
const CLOSE_MS = 3_000;
/** About as many as there are workers will do; a worker with a tiny share of the ring needs more. */
const NAMES_MAX = 100_000;

/** Times as performance.now() tells. */
interface Look {
  /** Of the oldest change that the look is for; undefined once it was made, or given up. */
  sinceMs: number | undefined;
  /** Of the oldest change that it may come too early for. */
  againMs: number | undefined;
}

export class ListingRenewals {
  readonly #parts: ListingRenewalsParts;
  /** Nobody else's name, so that it is missing. Always the same few: workers may count misses. */
  readonly #prefix = `.alluxio-fuse-look-${randomBytes(6).toString('hex')}-`;
  /** Directories to renew, the one that waits longest first, with the time of the oldest change. */
  readonly #waiting = new Map<ByteString, number>();
  readonly #begun = new Map<ByteString, Look>();
  /** No worker answered for these: whoever asks for them again later is heard. */
  readonly #failed = new Map<ByteString, number>();
  #lookingCount = 0;
  #hasOverflowed = false;
  readonly #stop = new AbortController();
  /** Ends the gaps between two looks. */
  readonly #hurry = new AbortController();
  #onIdle: (() => void) | undefined;

  constructor(parts: ListingRenewalsParts) {
    this.#parts = parts;
    // One of them bounds what goes on in many directories at once; that is no leak.
    setMaxListeners(0, this.#stop.signal, this.#hurry.signal);
  }

  /** Names in the directory were changed; to be called after that. */
  changed(directory: ByteString): void {
    if (this.#stop.signal.aborted || untellable(this.#nameIn(directory, 0)) !== undefined) return;
    const sinceMs = this.#failed.get(directory) ?? performance.now();
    this.#failed.delete(directory);
    const look = this.#begun.get(directory);
    if (look === undefined) this.#enqueue(directory, sinceMs);
    else look.againMs = Math.min(sinceMs, look.againMs ?? Infinity);
  }

  /** When the oldest change was made that the workers have not been told of, as performance.now() tells. */
  oldSinceMs(directory: ByteString): number | undefined {
    const look = this.#begun.get(directory);
    const waiting = [this.#waiting.get(directory), this.#failed.get(directory)];
    const times = [...waiting, look?.sinceMs, look?.againMs].filter((ms) => ms !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /**
   * Once, and now; rejects where the owner does not answer. The rings are looked up anew each time:
   * an owner that did not answer may have left.
   */
  async renew(directory: ByteString): Promise<void> {
    // Whoever is asked for a name asks its owner: one look at a name does for every ring.
    const looks = new Map<ByteString, Worker>();
    for (const ring of this.#parts.rings()) {
      const found = this.#missingNameOf(directory, ring);
      if (found !== undefined) looks.set(found.path, found.owner);
    }
    if (looks.size === 0) throw new Error('No worker is known to own it');
    for (const [path, owner] of looks) {
      const at = { path, ufsPath: this.#parts.ufsPathOf(path) };
      const found = await this.#parts.lookUp(owner, at, this.#stop.signal);
      if (found !== undefined) throw new Error('The name that must be missing is there');
    }
  }

  /** Renews at once what waits, within a bound. */
  async close(): Promise<void> {
    this.#hurry.abort();
    if (this.#begun.size > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      const timer = setTimeout(() => this.#giveUp(), CLOSE_MS);
      await idle;
      clearTimeout(timer);
    }
    this.#stop.abort();
  }

  #giveUp(): void {
    const directories = this.#begun.size + this.#waiting.size;
    this.#stop.abort();
    this.#waiting.clear();
    const message =
      'Other clients may be shown old listings: the workers did not answer at the end';
    this.#parts.logger.warn({ directories }, message);
  }

  #enqueue(directory: ByteString, sinceMs: number): void {
    this.#waiting.set(directory, Math.min(sinceMs, this.#waiting.get(directory) ?? Infinity));
    const [oldest] = this.#waiting;
    if (this.#waiting.size > DIRECTORIES_MAX && oldest !== undefined) {
      this.#waiting.delete(oldest[0]);
      this.#noteFailed(...oldest);
      if (!this.#hasOverflowed) this.#warn(oldest[0], 'Too many directories wait for the workers');
      this.#hasOverflowed = true;
    }
    this.#next();
  }

  #next(): void {
    for (const [directory, sinceMs] of this.#waiting) {
      if (this.#lookingCount >= LOOKING_MAX) return;
      this.#waiting.delete(directory);
      void this.#begin(directory, { sinceMs, againMs: undefined });
    }
    this.#hasOverflowed = false;
  }

  async #begin(directory: ByteString, look: Look): Promise<void> {
    this.#begun.set(directory, look);
    this.#lookingCount += 1;
    await this.#look(directory, look);
    this.#lookingCount -= 1;
    this.#next();
    await pause(GAP_MS, this.#hurry.signal);
    this.#begun.delete(directory);
    const { againMs } = look;
    if (againMs !== undefined && !this.#stop.signal.aborted) this.#enqueue(directory, againMs);
    if (this.#begun.size === 0) this.#onIdle?.();
  }

  async #look(directory: ByteString, look: Look): Promise<void> {
    let reason = '';
    for (let i = 0; i < TRIES_MAX; i += 1) {
      if (i > 0) await pause(RETRY_MS * 2 ** (i - 1), this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      // What changes from here on, this look may come too early for.
      look.againMs = undefined;
      try {
        await this.renew(directory);
        look.sinceMs = undefined;
        return;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    if (this.#stop.signal.aborted) return;
    if (look.againMs !== undefined) look.againMs = look.sinceMs;
    else if (look.sinceMs !== undefined) this.#noteFailed(directory, look.sinceMs);
    look.sinceMs = undefined;
    this.#warn(directory, reason);
  }

  #noteFailed(directory: ByteString, sinceMs: number): void {
    if (this.#failed.size < DIRECTORIES_MAX) this.#failed.set(directory, sinceMs);
  }

  /** A name in the directory with the directory's own owner. */
  #missingNameOf(
    directory: ByteString,
    ring: Ring,
  ): { readonly path: ByteString; readonly owner: Worker } | undefined {
    const { ufsPathOf } = this.#parts;
    const owner = ring.ownerOf(ufsPathOf(directory));
    if (owner === undefined) return undefined;
    for (let i = 0; i < NAMES_MAX; i += 1) {
      const path = this.#nameIn(directory, i);
      if (ring.ownerOf(ufsPathOf(path))?.id === owner.id) return { path, owner };
    }
    return undefined;
  }

  #nameIn(directory: ByteString, index: number): ByteString {
    const parent = directory === '/' ? '' : directory;
    return `${parent}/${byteStringOfText(`${this.#prefix}${index}`)}` as ByteString;
  }

  #warn(directory: ByteString, reason: string): void {
    const fields = { path: displayByteString(directory), reason };
    this.#parts.logger.warn(fields, 'Other clients may be shown an old listing of this directory');
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
