/** The journal's bytes on a disk: appended, cut back after a failure, replaced as a whole. */
import { open, readFile, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setBlocksAside } from '../sys/index.ts';

/**
 * Blocks of a full disk that are the journal's already: an upload that would make room there has to be
 * noted first. Some 2 KiB each; half of it at least is there when the disk fills up.
 */
const RESERVE_BYTES = 1024 * 1024;

export interface JournalDisk {
  /** The disk is full but for what was set aside: nothing that could do without may be appended. */
  readonly isShort: boolean;
  /** Empty where there is none yet. */
  read(): Promise<Buffer>;
  append(bytes: Buffer): Promise<void>;
  /** Back to this length, after an append that failed. */
  truncate(lengthBytes: number): Promise<void>;
  /** What was appended survives a power failure. */
  sync(): Promise<void>;
  /** All or nothing, also in a power failure. */
  replace(bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export class FileJournalDisk implements JournalDisk {
  readonly #path: string;
  #file: FileHandle | undefined;
  #lengthBytes = 0;
  /** Up to this length the disk cannot be too full. */
  #reservedBytes = 0;
  #isShort = false;

  constructor(path: string) {
    this.#path = path;
  }

  get isShort(): boolean {
    return this.#isShort;
  }

  async read(): Promise<Buffer> {
    try {
      return await readFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    }
  }

  async append(bytes: Buffer): Promise<void> {
    const file = await this.#opened();
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at);
      at += bytesWritten;
      this.#lengthBytes += bytesWritten;
    }
    this.#reserve(file);
  }

  async truncate(lengthBytes: number): Promise<void> {
    const file = await this.#opened();
    await file.truncate(lengthBytes);
    this.#lengthBytes = lengthBytes;
    // What was set aside behind the end went with it.
    this.#reservedBytes = 0;
    this.#reserve(file);
  }

  async sync(): Promise<void> {
    await (await this.#opened()).datasync();
  }

  async replace(bytes: Buffer): Promise<void> {
    const next = `${this.#path}.new`;
    try {
      const file = await open(next, 'w', 0o600);
      try {
        await file.writeFile(bytes);
        // Before the old file gives back its own.
        setBlocksAside(file.fd, bytes.length + RESERVE_BYTES);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(next, this.#path);
    } catch (error) {
      await rm(next, { force: true }).catch(() => undefined);
      throw error;
    }
    await this.close();
    await syncDirectory(dirname(this.#path));
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file === undefined) {
      this.#file = await open(this.#path, 'a', 0o600);
      this.#lengthBytes = (await this.#file.stat()).size;
      this.#reservedBytes = 0;
      this.#reserve(this.#file);
    }
    return this.#file;
  }

  #reserve(file: FileHandle): void {
    if (this.#reservedBytes - this.#lengthBytes >= RESERVE_BYTES / 2) return;
    const wanted = this.#lengthBytes + RESERVE_BYTES;
    const outcome = setBlocksAside(file.fd, wanted);
    this.#isShort = outcome === 'full';
    if (outcome === 'done') this.#reservedBytes = wanted;
  }
}
