/**
 * Which data path a range takes on open source: the page endpoint is the fastest but has only what
 * the worker holds; the S3 port reads through. Learned per file, and over all files how often pages
 * are there at all, so that a cold data set does not pay a miss for every file.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import type { FileVersion } from './types.ts';

export interface FileRange {
  readonly ufsPath: ByteString;
  readonly offset: number;
  readonly lengthBytes: number;
}

interface FileState {
  /** What the page endpoint last said of this file. */
  pages: 'unknown' | 'held' | 'missing';
  /** Whether the file's first answer has gone into the hit rate. */
  hasCounted: boolean;
  /** What was read through and is therefore likely held now: [from, to). */
  readFrom: number;
  readTo: number;
  /** The version that a worker last told, and when. */
  version: FileVersion | undefined;
  versionAtMs: number;
  /** The worker that was redirected to, or served, last; valid for one generation of the view. */
  ownerId: string | undefined;
  ownerGeneration: number;
}

/** A few hundred bytes each: 20 MB at most, and more files than are open or being scanned. */
const FILES_MAX = 50_000;
/** Weight of the newest answer: about the last 20 files count. */
const HIT_RATE_WEIGHT = 0.05;
/** Below this the wasted round trips of misses cost more than hits save. */
const HIT_RATE_LOW = 0.4;
/** How often a path believed cold is tried all the same, to notice that the data set warmed up. */
const PROBE_EVERY = 16;

export class PathChoice {
  readonly #files = new LRUCache<ByteString, FileState>({ max: FILES_MAX });
  #hitRate = 0.6;
  #sinceProbe = 0;

  choose(range: FileRange): 'page' | 's3' {
    const file = this.#files.get(range.ufsPath);
    if (file?.pages === 'held') return 'page';
    if (file?.pages === 'missing') return isReadThrough(range, file) ? 'page' : 's3';
    if (this.#hitRate >= HIT_RATE_LOW) return 'page';
    this.#sinceProbe += 1;
    if (this.#sinceProbe < PROBE_EVERY) return 's3';
    this.#sinceProbe = 0;
    return 'page';
  }

  /** As `choose`, of whatever is asked without counting: never a probe of what is believed cold. */
  isLikelyHeld(range: FileRange): boolean {
    const file = this.#files.get(range.ufsPath);
    if (file?.pages === 'held') return true;
    if (file?.pages === 'missing') return isReadThrough(range, file);
    return this.#hitRate >= HIT_RATE_LOW;
  }

  notePageHit(range: FileRange): void {
    const file = this.#fileOf(range.ufsPath);
    if (!file.hasCounted) this.#learn(1);
    file.hasCounted = true;
    // Pages that a read through of ours left there are no sign that the rest is there too.
    if (file.pages !== 'missing') file.pages = 'held';
  }

  /** Some pages of the range were not held by the owner, and have been read through since. */
  notePageMiss(range: FileRange): void {
    const file = this.#fileOf(range.ufsPath);
    if (!file.hasCounted) this.#learn(0);
    file.hasCounted = true;
    file.pages = 'missing';
  }

  noteReadThrough({ ufsPath, offset, lengthBytes }: FileRange): void {
    const file = this.#fileOf(ufsPath);
    if (file.pages === 'unknown') file.pages = 'missing';
    const end = offset + lengthBytes;
    const touches = offset <= file.readTo && end >= file.readFrom && file.readTo > 0;
    file.readFrom = touches ? Math.min(file.readFrom, offset) : offset;
    file.readTo = touches ? Math.max(file.readTo, end) : end;
  }

  /** A worker told this version just now. */
  noteVersion(ufsPath: ByteString, version: FileVersion, nowMs: number): void {
    const file = this.#fileOf(ufsPath);
    file.version = { lengthBytes: version.lengthBytes, mtimeMs: version.mtimeMs };
    file.versionAtMs = nowMs;
  }

  /** Whether a worker told this very version at or after `sinceMs`. */
  isConfirmed(ufsPath: ByteString, version: FileVersion, sinceMs: number): boolean {
    const file = this.#files.peek(ufsPath);
    return (
      file?.version !== undefined &&
      file.versionAtMs >= sinceMs &&
      isSameVersion(file.version, version)
    );
  }

  noteOwner(ufsPath: ByteString, ownerId: string, generation: number): void {
    const file = this.#fileOf(ufsPath);
    file.ownerId = ownerId;
    file.ownerGeneration = generation;
  }

  ownerOf(ufsPath: ByteString, generation: number): string | undefined {
    const file = this.#files.peek(ufsPath);
    return file?.ownerGeneration === generation ? file.ownerId : undefined;
  }

  /** It was written, moved or removed by us. */
  forgetFile(ufsPath: ByteString): void {
    this.#files.delete(ufsPath);
  }

  /** After a view change pages may lie with other workers. */
  forget(): void {
    this.#files.clear();
  }

  #learn(hit: 0 | 1): void {
    this.#hitRate += (hit - this.#hitRate) * HIT_RATE_WEIGHT;
  }

  #fileOf(ufsPath: ByteString): FileState {
    let file = this.#files.get(ufsPath);
    if (file === undefined) {
      const nothing = {
        readFrom: 0,
        readTo: 0,
        version: undefined,
        versionAtMs: 0,
        ownerId: undefined,
        ownerGeneration: -1,
      };
      file = { pages: 'unknown', hasCounted: false, ...nothing };
      this.#files.set(ufsPath, file);
    }
    return file;
  }
}

/** A read through of ours has left it with the worker. */
function isReadThrough({ offset, lengthBytes }: FileRange, file: FileState): boolean {
  return offset >= file.readFrom && offset + lengthBytes <= file.readTo;
}

/** Times are whole milliseconds on some paths and fractions on others. */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  return a.lengthBytes === b.lengthBytes && Math.trunc(a.mtimeMs) === Math.trunc(b.mtimeMs);
}
