/** The page cache of a worker: pages by file id and index, in memory, bounded by bytes. */
import { open } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';

export interface PagedFile {
  readonly fileId: string;
  /** Path on the machine's file system. */
  readonly filePath: string;
  readonly lengthBytes: number;
}

/** The under store no longer has the bytes that the cached metadata promise. */
export class UnderStoreMismatch extends Error {}

export class PageStore {
  readonly pageSizeBytes: number;
  readonly #pages: LRUCache<string, Buffer>;
  /** So that one file's pages can be dropped without a scan of all. */
  readonly #indexesOfFile = new Map<string, Set<number>>();
  /**
   * Pages that are being read, by file; taken away where the file changes meanwhile. (A real worker is
   * not known to be so careful; our writer tells it of a change only after reads of its own are over.)
   */
  readonly #reading = new Map<string, Set<object>>();
  #pagesLoaded = 0;

  constructor(options: { pageSizeBytes: number; cacheBytes: number }) {
    this.pageSizeBytes = options.pageSizeBytes;
    this.#pages = new LRUCache({
      maxSize: options.cacheBytes,
      // An empty page still costs its entry.
      sizeCalculation: (page) => page.length + 256,
      dispose: (_page, key, reason) => {
        if (reason !== 'set') this.#forget(key);
      },
    });
  }

  get pagesCached(): number {
    return this.#pages.size;
  }

  get bytesCached(): number {
    return this.#pages.calculatedSize;
  }

  get pagesLoaded(): number {
    return this.#pagesLoaded;
  }

  get(fileId: string, index: number): Buffer | undefined {
    return this.#pages.get(`${fileId}/${index}`);
  }

  put(fileId: string, index: number, page: Buffer): void {
    this.#pages.set(`${fileId}/${index}`, page);
    const indexes = this.#indexesOfFile.get(fileId);
    if (indexes === undefined) this.#indexesOfFile.set(fileId, new Set([index]));
    else indexes.add(index);
  }

  drop(fileId: string): void {
    this.#reading.delete(fileId);
    for (const index of this.#indexesOfFile.get(fileId) ?? []) {
      this.#pages.delete(`${fileId}/${index}`);
    }
  }

  /**
   * The bytes of a range inside the file; what is missing is read through and kept. Open source
   * (`prefix`) reads a page from its start only as far as the range goes and keeps that: a page in
   * the middle of a file may then be short.
   */
  async *read(
    file: PagedFile,
    offset: number,
    lengthBytes: number,
    fill: 'whole' | 'prefix',
  ): AsyncGenerator<Buffer, void, undefined> {
    const end = offset + lengthBytes;
    let position = offset;
    while (position < end) {
      const index = Math.floor(position / this.pageSizeBytes);
      const pageStart = index * this.pageSizeBytes;
      const pageEnd = Math.min(pageStart + this.pageSizeBytes, file.lengthBytes);
      const neededEnd = Math.min(end, pageEnd);
      let page = this.get(file.fileId, index);
      if (page === undefined || page.length < neededEnd - pageStart) {
        const loadEnd = fill === 'prefix' ? neededEnd : pageEnd;
        page = await this.#load(file, index, loadEnd - pageStart);
      }
      const part = page.subarray(position - pageStart, end - pageStart);
      if (part.length === 0) throw new UnderStoreMismatch(`No bytes at ${position}`);
      yield part;
      position += part.length;
    }
  }

  async #load(file: PagedFile, index: number, lengthBytes: number): Promise<Buffer> {
    const start = index * this.pageSizeBytes;
    const page = Buffer.allocUnsafeSlow(lengthBytes);
    const reading = this.#reading.get(file.fileId) ?? new Set();
    this.#reading.set(file.fileId, reading.add(page));
    try {
      const handle = await open(file.filePath, 'r');
      try {
        let filled = 0;
        while (filled < page.length) {
          const left = page.length - filled;
          const { bytesRead } = await handle.read(page, filled, left, start + filled);
          if (bytesRead === 0) throw new UnderStoreMismatch(`File ends at ${start + filled}`);
          filled += bytesRead;
        }
      } finally {
        await handle.close();
      }
      this.#pagesLoaded += 1;
      if (this.#reading.get(file.fileId) === reading) this.put(file.fileId, index, page);
      return page;
    } finally {
      reading.delete(page);
      const isLast = reading.size === 0 && this.#reading.get(file.fileId) === reading;
      if (isLast) this.#reading.delete(file.fileId);
    }
  }

  #forget(key: string): void {
    const slash = key.lastIndexOf('/');
    const fileId = key.slice(0, slash);
    const indexes = this.#indexesOfFile.get(fileId);
    indexes?.delete(Number(key.slice(slash + 1)));
    if (indexes?.size === 0) this.#indexesOfFile.delete(fileId);
  }
}
