/**
 * One cache directory: backing files, index and bounds. Errors of the disk end here: for whoever asks
 * they are pages that are not there.
 *
 * INVARIANT: a page once held is never written again, so a complete file is never touched.
 */
import { randomInt } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { BackingFiles } from './backing-files.ts';
import type { CacheKey } from './cache-key.ts';
import {
  checkFile,
  CorruptFileError,
  doubtIfTouched,
  isBadSector,
  isNoFile,
} from './check-file.ts';
import { checksumOf } from './checksum.ts';
import { lockDirectory } from './directory-lock.ts';
import type { LockHolder } from './directory-lock.ts';
import { DiskReader, OverdueError } from './disk-reader.ts';
import { FileTable, nowS, onDiskBytes } from './file-table.ts';
import type { Row } from './file-table.ts';
import { Health } from './health.ts';
import { HeldFiles } from './held-files.ts';
import { IndexLog } from './index-log.ts';
import { liveFiles, tableLoader } from './load-index.ts';
import { indexBytesOf } from './records.ts';
import type { FileIdentity, FileRecord } from './records.ts';
import { FILES_PER_TURN, Remover } from './remover.ts';
import { Room } from './room.ts';
import type { FreeSpace } from './room.ts';
import { sweep } from './sweep.ts';
import type {
  BackingMessage,
  DiskDirectoryStatus,
  DiskEvents,
  DiskFigures,
  DiskOperation,
  NotKept,
} from './types.ts';
import type { PageCopy } from './write-behind.ts';
import { openForPages, writePages } from './write-pages.ts';
import type { WriteBatch } from './write-pages.ts';
import { WritesUnderWay } from './writes-under-way.ts';

const TEND_MS = 10_000;
/** A use is written down so often: after a kill, the order of use is that exact. */
const USE_S = 300;
/** An index is not worth writing anew before so much of it is not true any more. */
const COMPACT_BYTES_MIN = 4 * 1024 * 1024;

export interface DirectoryOptions {
  readonly directory: string;
  readonly limitBytes: number;
  readonly freeSpace: FreeSpace;
  readonly pageSizeBytes: number;
  readonly holder: LockHolder;
  readonly figures: DiskFigures;
  readonly events: DiskEvents;
  readonly clock?: Clock;
}

export class DiskDirectory {
  readonly #options: DirectoryOptions;
  readonly #clock: Clock;
  readonly #files: BackingFiles;
  readonly #lock: FileHandle;
  readonly #reader = new DiskReader();
  readonly #room: Room;
  #table: FileTable;
  #log: IndexLog | undefined;
  #state: DiskDirectoryStatus['state'] = 'loading';
  #reason: string | undefined;
  #isClosed = false;
  readonly #health: Health;
  /** Taken for pages that are being written. */
  #reservedBytes = 0;
  #isCompacting = false;
  readonly #remover: Remover;
  readonly #writes: WritesUnderWay;
  readonly #held = new HeldFiles();
  readonly #timer: NodeJS.Timeout;
  readonly #loaded: Promise<void>;

  private constructor(options: DirectoryOptions, files: BackingFiles, lock: FileHandle) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#files = files;
    this.#lock = lock;
    this.#writes = new WritesUnderWay(this.#clock);
    this.#health = new Health(this.#clock, (reason) => this.#retire(reason));
    this.#room = new Room(files.root, options.freeSpace, this.#clock);
    this.#remover = new Remover(files, {
      gone: (bytes) => this.#room.freed(bytes),
      failed: (error) => this.#failed('remove', error),
    });
    this.#table = new FileTable(options.pageSizeBytes);
    this.#timer = setInterval(() => void this.#tend(), TEND_MS).unref();
    this.#loaded = this.#load();
  }

  /** Rejects where the directory cannot be used; what is in it is read in the background. */
  static async open(options: DirectoryOptions): Promise<DiskDirectory> {
    const files = new BackingFiles(options.directory);
    const lock = await lockDirectory(files, options);
    return new DiskDirectory(options, files, lock);
  }

  /** Resolves once the index is read (or the directory retired). */
  async loaded(): Promise<void> {
    await this.#loaded;
  }

  get isRetired(): boolean {
    return this.#state === 'retired';
  }

  find(key: CacheKey): Row | undefined {
    return this.#table.find(key);
  }

  hasPage(row: Row, index: number): boolean {
    return this.#table.hasPage(row, index);
  }

  /**
   * Reads pages that follow each other into the pieces of memory given for each; which of them are
   * there and what was written.
   */
  async read(
    row: Row,
    firstPage: number,
    pages: readonly (readonly Uint8Array[])[],
  ): Promise<boolean[]> {
    const table = this.#table;
    if (this.#reader.isOverdue) return pages.map(() => false);
    // Perhaps another file of the same key by now.
    if (pages.some((_, order) => !table.hasPage(row, firstPage + order))) {
      return pages.map(() => false);
    }
    const identity = table.identityOf(row);
    const sums = pages.map((_, order) => table.sumOf(row, firstPage + order));
    this.#use(row);
    try {
      const [path, position] = [this.#files.pathOf(identity), firstPage * table.pageSizeBytes];
      const isWhole = await this.#reader.read(path, pages.flat(), position);
      const isRight = pages.map((pieces, order) => isWhole && checksumOf(pieces) === sums[order]);
      if (isRight.includes(false)) {
        this.#corrupt(identity, isWhole ? 'a page has another checksum' : 'it is too short');
      }
      this.#health.succeeded();
      return isRight;
    } catch (error) {
      this.#unreadable(identity, error as Error);
      return pages.map(() => false);
    }
  }

  /** Never rejects. */
  async write(batch: WriteBatch): Promise<void> {
    await this.#writes.timed(batch, () => this.#write(batch));
  }

  async #write(batch: WriteBatch): Promise<void> {
    const notKept = (why: NotKept, pages: number): void => {
      this.#options.figures.notKeptPages[why] += pages;
    };
    if (this.#state !== 'serving' || this.#isClosed || this.#isPaused) {
      notKept(this.#state === 'loading' ? 'not-ready' : 'failed', batch.copies.length);
      return;
    }
    try {
      if (!this.#room.isFresh) await this.#room.refresh();
      const copies = this.#wanted(batch);
      if (copies.length === 0) return;
      const bytes = copies.reduce((sum, copy) => sum + onDiskBytes(copy.lengthBytes), 0);
      if (!(await this.#makeRoom(batch, bytes))) {
        notKept('no-room', copies.length);
        return;
      }
      await this.#writeReserved({ ...batch, copies }, bytes);
      this.#health.succeeded();
    } catch (error) {
      notKept('failed', batch.copies.length);
      this.#failed('write', error as Error);
    }
  }

  /** Threads that a disk keeps waiting are missing elsewhere. */
  get #isPaused(): boolean {
    return this.#health.isFull || this.#reader.isOverdue || this.#writes.isOverdue;
  }

  /** Those that are neither there nor on their way. */
  #wanted({ key, copies }: WriteBatch): readonly PageCopy[] {
    const row = this.#table.find(key);
    if (row === undefined) return copies;
    const nonce = this.#table.nonceOf(row);
    return copies.filter(
      ({ index }) => !this.#table.hasPage(row, index) && !this.#writes.hasPage(nonce, index),
    );
  }

  /** Evicts until so many bytes fit in; true: they are reserved. */
  async #makeRoom({ key, version, path, copies }: WriteBatch, bytes: number): Promise<boolean> {
    const own = this.#table.find(key);
    // A file that is larger than the cache would push out itself, and all others for nothing.
    const ownBytes = own === undefined ? 0 : this.#table.heldBytes(own);
    const share = this.#options.limitBytes / 2;
    if (version.lengthBytes > share && ownBytes + bytes > share) return false;
    const indexBytes = indexBytesOf(1, copies.length, path.length);
    const isFull = (): boolean =>
      this.#isOver(bytes, indexBytes) ||
      (this.#table.isFull && this.#table.find(key) === undefined);
    while (isFull()) {
      if (!this.#evictSome(isFull, key)) return false;
      if (isFull()) await nextTurn();
    }
    this.#reservedBytes += bytes;
    // They take their room until they are gone.
    while (this.#remover.isBusy && this.#isCrowded()) await this.#remover.progress();
    return true;
  }

  /** Whether so much more is too much, once all is done that is under way. */
  #isOver(moreBytes = 0, moreIndexBytes = 0): boolean {
    const bytes = this.#reservedBytes + moreBytes;
    if (this.usedBytes + bytes + moreIndexBytes > this.#options.limitBytes) return true;
    return this.#room.leftBytes + this.#remover.leavingBytes < bytes;
  }

  /** Whether what is reserved is too much at present. */
  #isCrowded(): boolean {
    const takenBytes = this.usedBytes + this.#remover.takenBytes;
    if (takenBytes + this.#reservedBytes > this.#options.limitBytes) return true;
    return this.#room.leftBytes < this.#reservedBytes;
  }

  #isEvictable(row: Row): boolean {
    if (this.#isWriting(row)) return false;
    return this.#held.isEmpty || !this.#held.has(this.#pathOf(row));
  }

  #isWriting(row: Row): boolean {
    return this.#writes.has(this.#table.nonceOf(row));
  }

  async #writeReserved(batch: WriteBatch, bytes: number): Promise<void> {
    let identity: FileIdentity | undefined;
    try {
      const { row, isNew } = this.#rowFor(batch);
      identity = this.#table.identityOf(row);
      await this.#writes.ofFile(identity.nonce, batch.copies, (isLast) =>
        this.#writePages(row, isNew, batch, isLast),
      );
    } catch (error) {
      // Nobody knows what is in it now.
      if (identity !== undefined) this.#forget(identity);
      throw error;
    } finally {
      this.#reservedBytes -= bytes;
      this.#room.wrote(bytes);
    }
  }

  #rowFor({ key, path, version }: WriteBatch): { readonly row: Row; readonly isNew: boolean } {
    const found = this.#table.find(key);
    if (found !== undefined) return { row: found, isNew: false };
    const identity = { key, nonce: randomInt(2 ** 32) };
    const lastUseS = nowS();
    const { lengthBytes, mtimeMs } = version;
    const row = this.#table.add(identity, lengthBytes, lastUseS, { isLoaded: false });
    this.#log?.append((log) => log.file({ ...identity, lengthBytes, mtimeMs, lastUseS, path }));
    return { row, isNew: true };
  }

  async #writePages(
    row: Row,
    isNew: boolean,
    { copies, version }: WriteBatch,
    isLast: () => boolean,
  ): Promise<void> {
    const table = this.#table;
    const identity = table.identityOf(row);
    const path = this.#files.pathOf(identity);
    const handle = await this.#writes.opened(identity.nonce, async (isFirst) => {
      if (isNew) await this.#files.makeFolder(path);
      return await openForPages(path, isNew, async (opened) => {
        if (isFirst && !isNew) await doubtIfTouched(opened, table, identity);
      });
    });
    if (handle === undefined) {
      this.#options.figures.notKeptPages.failed += copies.length;
      this.#forget(identity);
      return;
    }
    try {
      // Exactly as long as the file from the beginning, however much of it is there.
      if (isNew && copies.length < table.pagesOf(row)) await handle.truncate(version.lengthBytes);
      await writePages(handle, copies, table.pageSizeBytes);
      if (table.findExactly(identity) !== row) {
        // Dropped meanwhile, perhaps before it was made.
        this.#remover.remove(identity, 0);
        return;
      }
      const pages = copies.map(({ index, sum }) => ({ index, sum }));
      for (const { index, sum } of pages) table.addPage(row, index, sum);
      this.#log?.append((log) => log.pages(identity, pages));
      for (const { lengthBytes } of copies) this.#options.figures.writtenBytes += lengthBytes;
      // What became of pages that others may have touched is not known before all of the file is read.
      if (!isLast() || table.isUnsure(row)) return;
      const now = await handle.stat({ bigint: true });
      // One that has come meanwhile looks at it again.
      const isOurs = table.findExactly(identity) === row && isLast();
      if (isOurs && now.size === BigInt(version.lengthBytes)) table.setSeen(row, now);
    } finally {
      await handle.close();
    }
  }

  /** Undefined: not complete, or not checked since the daemon started. */
  backingOf(row: Row): BackingMessage | undefined {
    if (!this.#table.isComplete(row)) return undefined;
    const seen = this.#table.seenOf(row);
    if (seen === undefined) return undefined;
    this.#use(row);
    return { file: this.#pathOf(row), ...seen };
  }

  isComplete(row: Row): boolean {
    return this.#table.isComplete(row);
  }

  identityOf(row: Row): FileIdentity {
    return this.#table.identityOf(row);
  }

  /** Reads what is held of a file; what is not as it was written is gone then. */
  async verify(identity: FileIdentity, signal?: AbortSignal): Promise<void> {
    const row = this.#table.findExactly(identity);
    // What is being written is neither as long as it will be nor all there.
    if (row === undefined || this.#isWriting(row)) return;
    try {
      const table = this.#table;
      const seen = await checkFile(this.#files.pathOf(identity), table, identity, signal);
      const found = table.findExactly(identity);
      if (seen === undefined || found === undefined) return;
      if (table.isComplete(found) && !this.#isWriting(found)) table.setSeen(found, seen);
    } catch (error) {
      if (!this.#writes.has(identity.nonce)) this.#unreadable(identity, error as Error);
    }
  }

  /** What a failure to read says of the file. */
  #unreadable(identity: FileIdentity, error: NodeJS.ErrnoException): void {
    // Removed meanwhile, by us or by others.
    if (error.code === 'ENOENT') this.#forget(identity);
    else if (error instanceof CorruptFileError) this.#corrupt(identity, error.message);
    else if (isNoFile(error)) this.#corrupt(identity, 'it is no file');
    // All who read are late at once: only time makes it more (`#tend`).
    else if (error instanceof OverdueError) this.#options.figures.failures.read++;
    else {
      // It is fetched and written anew, elsewhere on the disk.
      if (isBadSector(error)) this.#forget(identity);
      this.#failed('read', error);
    }
  }

  /** Whether the file lies here; where it does, its check is not believed any more. */
  doubt(file: string): FileIdentity | undefined {
    const row = this.#rowOf(file);
    if (row === undefined) return undefined;
    this.#table.setSeen(row, undefined);
    return this.#table.identityOf(row);
  }

  hold(file: string): boolean {
    const row = this.#rowOf(file);
    if (row === undefined) return false;
    this.#held.hold(file);
    this.#use(row);
    return true;
  }

  release(file: string): void {
    this.#held.release(file);
    const row = this.#rowOf(file);
    if (row !== undefined) this.#use(row);
  }

  #rowOf(file: string): Row | undefined {
    const identity = this.#files.identityOf(file);
    return identity === undefined ? undefined : this.#table.findExactly(identity);
  }

  isHeld(identity: FileIdentity): boolean {
    return this.#held.has(this.#files.pathOf(identity));
  }

  /** The bytes that it freed; undefined where the file is not there, or is in use. */
  drop(identity: FileIdentity): number | undefined {
    const row = this.#table.findExactly(identity);
    if (row === undefined || !this.#isEvictable(row)) return undefined;
    const bytes = this.#table.heldBytes(row);
    this.#forget(identity);
    return bytes;
  }

  /** All files with what the index says of them, in no order; `rest` between some of them. */
  async list(
    tell: (file: FileRecord, heldPages: number, heldBytes: number) => void,
    rest?: () => Promise<void>,
  ): Promise<void> {
    const handler = liveFiles(this.#table, (record, row) => {
      const lastUseS = this.#table.lastUseOf(row);
      tell({ ...record, lastUseS }, this.#table.heldPages(row), this.#table.heldBytes(row));
    });
    await this.#log?.tell(handler, rest);
  }

  get usedBytes(): number {
    return this.#table.usedBytes + (this.#log?.sizeBytes ?? 0);
  }

  status(): DiskDirectoryStatus {
    const isFull = this.#state === 'serving' && this.#health.isFull;
    const reason = isFull ? 'the disk is full' : this.#reason;
    const { floorBytes } = this.#room;
    return {
      directory: this.#options.directory,
      state: this.#state,
      ...(reason === undefined ? {} : { reason }),
      usedBytes: this.usedBytes,
      limitBytes: this.#options.limitBytes,
      freeFloorBytes: Number.isFinite(floorBytes) ? floorBytes : 0,
      files: this.#table.fileCount,
      pages: this.#table.pageCount,
      indexBytes: this.#log?.sizeBytes ?? 0,
    };
  }

  /** Writes down what it knows, and lets others have the directory. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#loaded;
    await this.#remover.drained();
    try {
      await this.#log?.close();
    } catch (error) {
      this.#failed('index', error as Error);
    }
    this.#reader.clear();
    await this.#lock.close();
  }

  async #load(): Promise<void> {
    const table = this.#table;
    try {
      await this.#room.refresh();
      this.#log = await IndexLog.open(
        this.#files.indexPath,
        this.#options.pageSizeBytes,
        tableLoader(table),
        (error) => this.#failed('index', error),
      );
      table.sortByUse();
      if (this.#state === 'loading') this.#state = 'serving';
      await this.#shrink();
      void this.#sweep();
    } catch (error) {
      this.#options.figures.failures.index++;
      this.#retire(`its index cannot be read: ${(error as Error).message}`);
    }
  }

  async #sweep(): Promise<void> {
    try {
      await sweep(this.#files, this.#table, {
        isOver: () => this.#isClosed || this.isRetired,
        isWriting: (row) => this.#isWriting(row),
        forget: (identity) => this.#forget(identity),
      });
    } catch (error) {
      this.#failed('remove', error as Error);
    }
  }

  async #tend(): Promise<void> {
    if (this.#state !== 'serving' || this.#isClosed) return;
    if (this.#reader.isOverdue) return this.#failed('read', new OverdueError('read'));
    if (this.#writes.isOverdue) return this.#failed('write', new OverdueError('write'));
    try {
      await this.#room.refresh();
      await this.#shrink();
      await this.#compact();
    } catch (error) {
      this.#failed('index', error as Error);
    }
  }

  /** The limit may be lower than in another life, and others may have filled the disk. */
  async #shrink(): Promise<void> {
    const isOver = (): boolean => this.#isOver();
    while (isOver() && !this.#isClosed && this.#evictSome(isOver)) await nextTurn();
  }

  /** The least lately used, but for `own`, until `isOver` says no, or for one turn; false: there is none. */
  #evictSome(isOver: () => boolean, own?: CacheKey): boolean {
    const except = own === undefined ? undefined : this.#table.find(own);
    let evicted = 0;
    for (const row of this.#table.oldestFirst()) {
      if (row === except || !this.#isEvictable(row)) continue;
      this.#options.figures.evictedFiles++;
      this.#options.figures.evictedBytes += this.#table.heldBytes(row);
      this.#forget(this.#table.identityOf(row));
      if (++evicted === FILES_PER_TURN || !isOver()) break;
    }
    return evicted > 0;
  }

  async #compact(): Promise<void> {
    const { fileCount, pageCount } = this.#table;
    const neededBytes = indexBytesOf(fileCount, pageCount);
    const log = this.#log;
    const spareBytes = Math.min(COMPACT_BYTES_MIN, this.#options.limitBytes / 16);
    if (this.#isCompacting || log?.needsCompaction(neededBytes, spareBytes) !== true) return;
    this.#isCompacting = true;
    // For a while there are two.
    const reservedBytes = Math.min(neededBytes, log.sizeBytes);
    this.#reservedBytes += reservedBytes;
    try {
      await this.#shrink();
      await log.compact((builder) =>
        liveFiles(this.#table, (record, row) => {
          builder.file({ ...record, lastUseS: this.#table.lastUseOf(row) });
          builder.pages(record, this.#table.sumsOf(row));
        }),
      );
    } finally {
      this.#isCompacting = false;
      this.#reservedBytes -= reservedBytes;
    }
  }

  #use(row: Row): void {
    this.#table.touch(row);
    const now = nowS();
    if (now - this.#table.lastUseOf(row) < USE_S) return;
    this.#table.setLastUse(row, now);
    const identity = this.#table.identityOf(row);
    this.#log?.append((log) => log.use(identity, now));
  }

  #corrupt(identity: FileIdentity, reason: string): void {
    if (this.#table.findExactly(identity) === undefined) return;
    this.#options.figures.corruptFiles++;
    this.#options.events.corrupt(this.#files.pathOf(identity), reason);
    this.#forget(identity);
  }

  #forget(identity: FileIdentity): void {
    const row = this.#table.findExactly(identity);
    const path = this.#files.pathOf(identity);
    let bytes = 0;
    if (row !== undefined) {
      bytes = this.#table.heldBytes(row);
      this.#table.remove(row);
      this.#log?.append((log) => log.drop(identity));
    }
    this.#reader.drop(path);
    this.#remover.remove(identity, bytes);
  }

  #failed(operation: DiskOperation, error: Error): void {
    this.#options.figures.failures[operation]++;
    this.#options.events.failed(this.#options.directory, operation, error);
    this.#health.failed(error);
  }

  #retire(reason: string): void {
    if (this.isRetired) return;
    this.#state = 'retired';
    this.#reason = reason;
    this.#table = new FileTable(this.#options.pageSizeBytes);
    this.#reader.clear();
    clearInterval(this.#timer);
    if (!this.#isClosed) this.#options.events.retired(this.#options.directory, reason);
  }

  #pathOf(row: Row): string {
    return this.#files.pathOf(this.#table.identityOf(row));
  }
}
