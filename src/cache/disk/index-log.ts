/**
 * The index of one cache directory on its disk: a log that is only ever appended to, and now and then
 * written anew without what is not true any more. Nothing waits for the disk to have it: what a crash
 * of the machine takes away is found out by checksums.
 */
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, FrameBuilder, readFrames } from './records.ts';
import type { RecordHandler } from './records.ts';

/** What a kill loses: some files are fetched again. */
const FLUSH_MS = 200;
/** A full or failing disk is not asked more often. */
const RETRY_MS = 2_000;
/** A slice of the log that is read or written before others have their turn: a millisecond or two. */
const SLICE_BYTES = 512 * 1024;
/** What may wait for the disk. More means that it hangs. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** One log file, appended to in the order of the calls. */
class LogFile {
  readonly #handle: FileHandle;
  readonly #onError: (error: Error) => void;
  #sizeBytes: number;
  #waitingBytes = 0;
  #tail: Promise<void> = Promise.resolve();
  #isClosing = false;

  constructor(
    handle: FileHandle,
    sizeBytes: number,
    onError: (error: Error) => void = () => undefined,
  ) {
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
    this.#onError = onError;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** What no longer has a place to wait is left out: its files are fetched again some day. */
  append(frame: Buffer): void {
    if (this.#waitingBytes + frame.length > WAITING_BYTES_MAX) return;
    const at = this.#sizeBytes;
    this.#sizeBytes += frame.length;
    this.#waitingBytes += frame.length;
    this.#tail = this.#writeAfter(this.#tail, frame, at);
  }

  async #writeAfter(before: Promise<void>, frame: Buffer, at: number): Promise<void> {
    await before;
    await this.#writeSometime(frame, at);
    this.#waitingBytes -= frame.length;
  }

  /** A gap would end the log for whoever reads it, so nothing follows before this is there. */
  async #writeSometime(frame: Buffer, position: number): Promise<void> {
    for (;;) {
      try {
        await this.#write(frame, position);
        return;
      } catch (error) {
        this.#onError(error as Error);
        if (this.#isClosing) return;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  async #write(frame: Buffer, position: number): Promise<void> {
    for (let done = 0; done < frame.length;) {
      const left = frame.length - done;
      const { bytesWritten } = await this.#handle.write(frame, done, left, position + done);
      if (bytesWritten === 0) throw new Error('The disk took no byte');
      done += bytesWritten;
    }
  }

  async settled(): Promise<void> {
    await this.#tail;
  }

  /** What cannot be written at once now is left out. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#tail;
    await this.#handle.close();
  }

  /** Tells what is in the first `endBytes`, in slices; the bytes that are whole. */
  async read(
    endBytes: number,
    handler: RecordHandler,
    afterSlice?: () => Promise<void> | void,
  ): Promise<number> {
    const buffer = Buffer.allocUnsafeSlow(SLICE_BYTES + FRAME_HEAD_BYTES + FRAME_BYTES_MAX);
    let whole = 0;
    let have = 0;
    while (whole + have < endBytes) {
      const room = Math.min(buffer.length - have, endBytes - whole - have);
      const { bytesRead } = await this.#handle.read(buffer, have, room, whole + have);
      if (bytesRead === 0) break;
      have += bytesRead;
      const { told, isBroken } = readFrames(buffer.subarray(0, have), handler);
      await afterSlice?.();
      buffer.copyWithin(0, told, have);
      whole += told;
      have -= told;
      if (isBroken) break;
    }
    return whole;
  }
}

/** Of the pages that a log tells of; undefined where there is no log that can be read. */
export async function pageSizeOfLog(path: string): Promise<number | undefined> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  let found: number | undefined;
  const nothing = (): void => undefined;
  try {
    await new LogFile(handle, 0).read(SLICE_BYTES, {
      head(_, pageSizeBytes) {
        found ??= pageSizeBytes;
        return false;
      },
      file: nothing,
      page: nothing,
      use: nothing,
      drop: nothing,
    });
  } finally {
    await handle.close();
  }
  return found;
}

export class IndexLog {
  readonly #path: string;
  #file: LogFile;
  /** The log that is being written anew, which is told all news, too. */
  #next: LogFile | undefined;
  readonly #builder: FrameBuilder;
  readonly #pageSizeBytes: number;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  readonly #onError: (error: Error) => void;
  #isClosed = false;

  private constructor(
    path: string,
    file: LogFile,
    pageSizeBytes: number,
    onError: (error: Error) => void,
  ) {
    this.#path = path;
    this.#file = file;
    this.#onError = onError;
    this.#pageSizeBytes = pageSizeBytes;
    this.#builder = new FrameBuilder((frame) => {
      this.#file.append(frame);
      this.#next?.append(frame);
    });
  }

  /** Tells what is in the log; what cannot be read is cut off. A log for other pages is begun anew. */
  static async open(
    path: string,
    pageSizeBytes: number,
    handler: Omit<RecordHandler, 'head'>,
    onError: (error: Error) => void,
  ): Promise<IndexLog> {
    await rm(newPath(path), { force: true });
    const handle = await open(path, 'a+', 0o600).then(async (made) => {
      // Appending ignores positions; this only makes it where it is not there.
      await made.close();
      return await open(path, 'r+');
    });
    try {
      const { size } = await handle.stat();
      let hasHead = false;
      const whole = await new LogFile(handle, size).read(size, {
        ...boundHandler(handler),
        head(_, pageBytes) {
          hasHead = pageBytes === pageSizeBytes;
          return hasHead;
        },
      });
      const kept = hasHead ? whole : 0;
      if (kept < size) await handle.truncate(kept);
      const file = new LogFile(handle, kept, onError);
      const log = new IndexLog(path, file, pageSizeBytes, onError);
      if (!hasHead) {
        log.#builder.head(pageSizeBytes);
        log.#builder.flush();
      }
      return log;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** With what is to be written, without what is being written anew. */
  get sizeBytes(): number {
    return this.#file.sizeBytes + this.#builder.pendingBytes;
  }

  /** The records of `tell` get to the disk soon, after all told before. */
  append(tell: (builder: FrameBuilder) => void): void {
    if (this.#isClosed) return;
    tell(this.#builder);
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#builder.flush();
  }

  async settled(): Promise<void> {
    this.flush();
    await this.#file.settled();
  }

  /** Whether it is worth writing anew what takes about `neededBytes`: `spareBytes` may be of no use. */
  needsCompaction(neededBytes: number, spareBytes: number): boolean {
    if (this.#next !== undefined || this.#isClosed) return false;
    return this.#file.sizeBytes > 2 * neededBytes + spareBytes;
  }

  /**
   * Writes the log anew: `select` is told every record of the old one and tells what is to be kept.
   * News meanwhile go to both, so either may be found after a kill. What `select` tells must be true
   * when it tells it: news that come later are behind it.
   */
  async compact(select: (builder: FrameBuilder) => Omit<RecordHandler, 'head'>): Promise<void> {
    await this.#alone(async () => await this.#compactAlone(select));
  }

  /** Reading and writing anew would take the file from each other. */
  async #alone(work: () => Promise<void>): Promise<void> {
    const before = this.#turn;
    const turn = (async (): Promise<void> => {
      await before;
      if (!this.#isClosed) await work();
    })();
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  async #compactAlone(
    select: (builder: FrameBuilder) => Omit<RecordHandler, 'head'>,
  ): Promise<void> {
    this.flush();
    const nextPath = newPath(this.#path);
    const next = new LogFile(await open(nextPath, 'w+', 0o600), 0, this.#onError);
    const endBytes = this.#file.sizeBytes;
    const builder = new FrameBuilder((frame) => next.append(frame));
    builder.head(this.#pageSizeBytes);
    builder.flush();
    this.#next = next;
    try {
      await this.#file.settled();
      const handler = { ...boundHandler(select(builder)), head: () => true };
      await this.#file.read(endBytes, handler, async () => {
        // At the end of each slice: news must not get in between what was told and the log.
        builder.flush();
        // What a slow disk has not taken yet is bounded, and beyond that left out.
        await next.settled();
      });
      await next.settled();
      await rename(nextPath, this.#path);
    } catch (error) {
      this.#next = undefined;
      await next.close().catch(() => undefined);
      await rm(nextPath, { force: true }).catch(() => undefined);
      throw error;
    }
    const old = this.#file;
    this.#file = next;
    this.#next = undefined;
    await old.close();
  }

  /**
   * Tells all records of now; `rest` between some of them, for as long as it likes: the log of now stays
   * readable through a handle of its own when it is written anew meanwhile.
   */
  async tell(handler: Omit<RecordHandler, 'head'>, rest?: () => Promise<void>): Promise<void> {
    let file: LogFile | undefined;
    await this.#alone(async () => {
      await this.settled();
      file = new LogFile(await open(this.#path, 'r'), this.#file.sizeBytes);
    });
    try {
      await file?.read(file.sizeBytes, { ...boundHandler(handler), head: () => true }, rest);
    } finally {
      await file?.close();
    }
  }

  async close(): Promise<void> {
    this.flush();
    this.#isClosed = true;
    await this.#turn;
    await this.#file.close();
  }
}

const newPath = (path: string): string => `${path}.new`;

function boundHandler(handler: Omit<RecordHandler, 'head'>): Omit<RecordHandler, 'head'> {
  return {
    file: (record) => handler.file(record),
    page: (file, index, sum) => handler.page(file, index, sum),
    use: (file, lastUseS) => handler.use(file, lastUseS),
    drop: (file) => handler.drop(file),
  };
}
