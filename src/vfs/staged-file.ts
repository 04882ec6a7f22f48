/**
 * What a program has changed of one file and the cluster does not have yet. Written bytes lie in a
 * staging file; the rest is the base version's, as far as it was not cut off, and zeros.
 *
 * INVARIANT: staged ranges lie below `lengthBytes`; base bytes are valid below `baseLimit`, which
 * never exceeds the base's length.
 */
import { assert } from '../base/assert.ts';
import type { StagingArea, StagingError, StagingFile } from '../cache/index.ts';
import type { AttributeChange, UploadSegment } from '../store/index.ts';
import { Extents } from './extents.ts';
import type { Content } from './inode.ts';

/**
 * Ranges of one file that are kept apart, some 16 bytes each: islands of single pages in a file of at
 * least 8 GiB. Whoever writes more finds the staging area full until an upload.
 */
const EXTENTS_MAX = 2 ** 20;
/** Zeros are written in steps, so that no huge buffer is needed. */
const ZERO_STEP_BYTES = 1024 * 1024;

/** A stretch of the file as it is now. */
export interface StagedRun {
  readonly start: number;
  readonly end: number;
  readonly from: UploadSegment['from'];
}

/** What an upload under way carries. */
interface Snapshot {
  readonly generation: number;
  readonly attributes: AttributeChange;
  /** How much of what it carries was not cut off since it began. */
  limitBytes: number;
}

export class StagedFile {
  readonly #area: StagingArea;
  readonly #file: StagingFile;
  readonly #extents = new Extents();
  #base: Content;
  #baseLimit: number;
  /** Beside the extents; it may be filled already, by an upload that failed. */
  #baseReserved = 0;
  #lengthBytes: number;
  #generation = 0;
  #uploadedGeneration = 0;
  #snapshot: Snapshot | undefined;
  #attributes: AttributeChange = {};
  /** Wall time of the last change of the content. */
  mtimeMs: number;

  private constructor(area: StagingArea, file: StagingFile, base: Content, mtimeMs: number) {
    this.#area = area;
    this.#file = file;
    this.#base = base;
    this.#baseLimit = base.lengthBytes;
    this.#lengthBytes = this.#baseLimit;
    this.mtimeMs = mtimeMs;
  }

  static create(area: StagingArea, base: Content, mtimeMs: number): StagedFile | StagingError {
    const file = area.create();
    return typeof file === 'string' ? file : new StagedFile(area, file, base, mtimeMs);
  }

  get base(): Content {
    return this.#base;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Whether the cluster lacks something of it. */
  get isDirty(): boolean {
    return this.#generation > this.#uploadedGeneration;
  }

  get generation(): number {
    return this.#generation;
  }

  get uploadedGeneration(): number {
    return this.#uploadedGeneration;
  }

  get isUploading(): boolean {
    return this.#snapshot !== undefined;
  }

  /** Attributes that travel with the next upload. */
  get attributes(): AttributeChange {
    return this.#attributes;
  }

  changeAttributes(change: AttributeChange): void {
    const xattrs =
      change.xattrs === undefined
        ? this.#attributes.xattrs
        : new Map([...(this.#attributes.xattrs ?? []), ...change.xattrs]);
    this.#attributes = {
      ...this.#attributes,
      ...change,
      ...(xattrs === undefined ? {} : { xattrs }),
    };
    this.#generation++;
  }

  /** A file that is new must reach the cluster even when nothing is written to it. */
  touch(mtimeMs: number): void {
    this.#changed(mtimeMs);
  }

  write(data: Uint8Array, offset: number, mtimeMs: number): StagingError | undefined {
    const end = offset + data.length;
    if (this.#extents.count >= EXTENTS_MAX) return 'no-space';
    const wanted = this.#extents.missing(offset, end);
    if (!this.#area.reserve(wanted)) return 'no-space';
    const error = this.#file.write(data, offset);
    if (error !== undefined) {
      this.#area.giveBack(wanted);
      return error;
    }
    this.#extents.add(offset, end);
    this.#lengthBytes = Math.max(this.#lengthBytes, end);
    this.#changed(mtimeMs);
    return undefined;
  }

  truncate(lengthBytes: number, mtimeMs: number): StagingError | undefined {
    if (lengthBytes < this.#lengthBytes) {
      // What is cut off must read as zeros when the file grows again.
      const error = this.#file.truncate(lengthBytes);
      if (error !== undefined) return error;
      this.#forget(lengthBytes, this.#lengthBytes);
      this.#baseLimit = Math.min(this.#baseLimit, lengthBytes);
      if (this.#snapshot !== undefined) {
        this.#snapshot.limitBytes = Math.min(this.#snapshot.limitBytes, lengthBytes);
      }
    }
    this.#lengthBytes = lengthBytes;
    this.#changed(mtimeMs);
    return undefined;
  }

  /** Zeros over a range that ends within the file; nothing where it begins behind it. */
  zero(start: number, end: number, mtimeMs: number): StagingError | undefined {
    if (start >= end) return undefined;
    const step = Buffer.alloc(Math.min(end - start, ZERO_STEP_BYTES));
    for (let at = start; at < end; at += step.length) {
      const error = this.write(step.subarray(0, Math.min(step.length, end - at)), at, mtimeMs);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #forget(start: number, end: number): void {
    const before = this.#extents.totalBytes;
    this.#extents.remove(start, end);
    this.#area.giveBack(before - this.#extents.totalBytes);
  }

  #changed(mtimeMs: number): void {
    this.mtimeMs = mtimeMs;
    this.#generation++;
    // A time that a program set is overtaken by a later write.
    if (this.#attributes.mtimeMs !== undefined) {
      const { mtimeMs: _, ...rest } = this.#attributes;
      this.#attributes = rest;
    }
  }

  /** The range as it is now, cut at the end of the file. */
  runs(start: number, end: number): StagedRun[] {
    const limit = Math.min(end, this.#lengthBytes);
    const runs: StagedRun[] = [];
    for (const run of this.#extents.runs(start, limit)) {
      if (run.isHeld) {
        runs.push({ start: run.start, end: run.end, from: 'staging' });
        continue;
      }
      const cut = Math.min(Math.max(run.start, this.#baseLimit), run.end);
      if (cut > run.start) runs.push({ start: run.start, end: cut, from: 'base' });
      if (run.end > cut) runs.push({ start: cut, end: run.end, from: 'zero' });
    }
    return runs;
  }

  /** Bytes of a staged run; undefined where the disk fails. */
  read(run: StagedRun): Uint8Array | undefined {
    return this.#file.read(run.start, run.end - run.start);
  }

  /** Room on this disk for what is kept of the base, which is fetched to be acknowledged without it. */
  reserveBase(): boolean {
    let baseBytes = 0;
    for (const { start, end, from } of this.runs(0, this.#lengthBytes)) {
      if (from === 'base') baseBytes += end - start;
    }
    const wanted = Math.max(0, baseBytes - this.#baseReserved);
    if (!this.#area.reserve(wanted)) return false;
    this.#baseReserved += wanted;
    return true;
  }

  beginUpload(): {
    readonly stagingName: string;
    readonly segments: UploadSegment[];
    readonly attributes: AttributeChange;
  } {
    assert(this.#snapshot === undefined, 'Two uploads of one file at once');
    const attributes = this.#attributes;
    this.#snapshot = {
      generation: this.#generation,
      attributes,
      limitBytes: this.#lengthBytes,
    };
    const segments = this.runs(0, this.#lengthBytes).map(({ start, end, from }) => ({
      from,
      lengthBytes: end - start,
    }));
    return { stagingName: this.#file.name, segments, attributes };
  }

  /** The cluster has what the upload carried, as `content`; what was written since is on top of it. */
  uploaded(content: Content): void {
    const snapshot = this.#snapshot;
    assert(snapshot !== undefined, 'An upload ended that had not begun');
    this.#snapshot = undefined;
    this.#uploadedGeneration = snapshot.generation;
    this.#base = content;
    this.#baseLimit = Math.min(snapshot.limitBytes, content.lengthBytes);
    if (this.#attributes === snapshot.attributes) this.#attributes = {};
  }

  uploadFailed(): void {
    this.#snapshot = undefined;
  }

  /** Gives everything back: nobody needs it any more. */
  remove(): void {
    this.#area.giveBack(this.#extents.totalBytes + this.#baseReserved);
    this.#file.remove();
  }

  /** The file's bytes are the store's from here on; the budget stays used until it gives them back. */
  handOver(): void {
    this.#file.handOver(this.#extents.totalBytes + this.#baseReserved);
  }
}
