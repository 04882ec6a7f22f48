/** The journal's bytes on a disk: appended, cut back after a failure, replaced as a whole. */
import { open, readFile, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface JournalDisk {
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

  constructor(path: string) {
    this.#path = path;
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
    }
  }

  async truncate(lengthBytes: number): Promise<void> {
    await (await this.#opened()).truncate(lengthBytes);
  }

  async sync(): Promise<void> {
    await (await this.#opened()).datasync();
  }

  async replace(bytes: Buffer): Promise<void> {
    const next = `${this.#path}.new`;
    const file = await open(next, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, this.#path);
    await syncDirectory(dirname(this.#path));
    await this.#file?.close();
    this.#file = undefined;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #opened(): Promise<FileHandle> {
    this.#file ??= await open(this.#path, 'a', 0o600);
    return this.#file;
  }
}
