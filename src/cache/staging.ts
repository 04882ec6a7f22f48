/**
 * Where bytes wait that programs have written and the cluster does not have yet: one local file for
 * each file that is being changed. Calls are synchronous and go to the page cache of the kernel: a
 * thread hop would cost more than they do.
 */
import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

export type StagingError = 'no-space' | 'io';

export interface StagingFile {
  /** Inside the staging directory. */
  readonly name: string;
  write(data: Uint8Array, offset: number): StagingError | undefined;
  /** Bytes that were never written read as zeros; undefined where the disk fails. */
  read(offset: number, lengthBytes: number): Uint8Array | undefined;
  truncate(lengthBytes: number): StagingError | undefined;
  /** Closes and deletes it. */
  remove(): void;
  /** Closes it; it is somebody else's from here on, with so many bytes of the budget. */
  handOver(lengthBytes: number): void;
}

export interface StagingArea {
  create(): StagingFile | StagingError;
  /** Whether so many more bytes may be held; they then are, until given back. */
  reserve(lengthBytes: number): boolean;
  giveBack(lengthBytes: number): void;
  /** A file that was handed over is gone. */
  released(name: string): void;
}

/** A write that found the disk full, or beyond a quota or the largest file of it. */
const FULL_CODES: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

function errorOf(error: unknown): StagingError {
  return FULL_CODES.includes((error as NodeJS.ErrnoException).code ?? '') ? 'no-space' : 'io';
}

export interface StagingOptions {
  /** Exists. */
  readonly directory: string;
  /** Hard bound over all staging files of this mount. */
  readonly limitBytes: number;
  /** Keeps names of different lives of the daemon apart. */
  readonly prefix: string;
  readonly onError: (error: unknown) => void;
  /** Of all bytes held, those that were handed over and are not released yet. */
  readonly onUsage?: (heldBytes: number, handedOverBytes: number) => void;
}

const BLOCK_BYTES = 512;

export class StagingDirectory implements StagingArea {
  readonly #options: StagingOptions;
  readonly #handedOver = new Map<string, number>();
  /** Gone before they were handed over: the two words come from two threads. */
  readonly #goneBefore = new Set<string>();
  #heldBytes = 0;
  #handedOverBytes = 0;
  #last = 0;

  constructor(options: StagingOptions) {
    this.#options = options;
    this.#adopt();
  }

  /** What is there belongs to uploads that an earlier life acknowledged: it counts, too. */
  #adopt(): void {
    const { directory, onError } = this.#options;
    try {
      for (const name of readdirSync(directory)) {
        const stat = statSync(join(directory, name), { throwIfNoEntry: false });
        // It is through already.
        if (stat === undefined) continue;
        const lengthBytes = Math.min(stat.size, stat.blocks * BLOCK_BYTES);
        this.#heldBytes += lengthBytes;
        this.#noteHandedOver(name, lengthBytes);
      }
    } catch (error) {
      onError(error);
    }
  }

  create(): StagingFile | StagingError {
    const name = `${this.#options.prefix}-${++this.#last}`;
    try {
      const path = join(this.#options.directory, name);
      const fd = openSync(path, 'wx+', 0o600);
      const handOver = (lengthBytes: number): void => {
        this.#noteHandedOver(name, lengthBytes);
      };
      return new DiskFile({ name, path, fd, handOver, onError: this.#options.onError });
    } catch (error) {
      this.#options.onError(error);
      return errorOf(error);
    }
  }

  reserve(lengthBytes: number): boolean {
    if (this.#heldBytes + lengthBytes > this.#options.limitBytes) return false;
    this.#heldBytes += lengthBytes;
    this.#tell();
    return true;
  }

  giveBack(lengthBytes: number): void {
    this.#heldBytes -= lengthBytes;
    this.#tell();
  }

  released(name: string): void {
    const lengthBytes = this.#handedOver.get(name);
    if (lengthBytes === undefined) {
      this.#goneBefore.add(name);
      return;
    }
    this.#handedOver.delete(name);
    this.#handedOverBytes -= lengthBytes;
    this.giveBack(lengthBytes);
  }

  #noteHandedOver(name: string, lengthBytes: number): void {
    if (this.#goneBefore.delete(name)) {
      this.giveBack(lengthBytes);
      return;
    }
    this.#handedOver.set(name, lengthBytes);
    this.#handedOverBytes += lengthBytes;
    this.#tell();
  }

  #tell(): void {
    this.#options.onUsage?.(this.#heldBytes, this.#handedOverBytes);
  }
}

/** Of a mount that cannot be written to. */
export const NO_STAGING: StagingArea = {
  create: () => 'io',
  reserve: () => false,
  giveBack: () => undefined,
  released: () => undefined,
};

interface DiskFileParts {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
  readonly handOver: (lengthBytes: number) => void;
  readonly onError: (error: unknown) => void;
}

class DiskFile implements StagingFile {
  readonly name: string;
  readonly #path: string;
  readonly #fd: number;
  readonly #handOver: (lengthBytes: number) => void;
  readonly #onError: (error: unknown) => void;

  constructor(parts: DiskFileParts) {
    this.name = parts.name;
    this.#path = parts.path;
    this.#fd = parts.fd;
    this.#handOver = parts.handOver;
    this.#onError = parts.onError;
  }

  write(data: Uint8Array, offset: number): StagingError | undefined {
    return this.#attempt(() => {
      let done = 0;
      while (done < data.length) {
        done += writeSync(this.#fd, data, done, data.length - done, offset + done);
      }
    });
  }

  read(offset: number, lengthBytes: number): Uint8Array | undefined {
    // Past the end of what was written it stays zero.
    const out = Buffer.alloc(lengthBytes);
    const error = this.#attempt(() => {
      let done = 0;
      while (done < lengthBytes) {
        const count = readSync(this.#fd, out, done, lengthBytes - done, offset + done);
        if (count === 0) return;
        done += count;
      }
    });
    return error === undefined ? out : undefined;
  }

  truncate(lengthBytes: number): StagingError | undefined {
    return this.#attempt(() => ftruncateSync(this.#fd, lengthBytes));
  }

  remove(): void {
    closeSync(this.#fd);
    this.#attempt(() => unlinkSync(this.#path));
  }

  handOver(lengthBytes: number): void {
    closeSync(this.#fd);
    this.#handOver(lengthBytes);
  }

  #attempt(act: () => void): StagingError | undefined {
    try {
      act();
      return undefined;
    } catch (error) {
      this.#onError(error);
      return errorOf(error);
    }
  }
}
