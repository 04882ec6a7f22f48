/**
 * The layout of an index log. It is a row of frames; a frame is a head of 12 bytes (magic, length and
 * CRC32C of the rest) and records. Numbers are little endian. A frame that is cut or changed ends the
 * log: what was said after it is not known.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { byteStringOfBytes } from '../../base/byte-string.ts';
import { KEY_BYTES } from './cache-key.ts';
import type { CacheKey } from './cache-key.ts';
import { checksumOf } from './checksum.ts';

const MAGIC = 0x31464341;
export const FRAME_HEAD_BYTES = 12;
/** Of records; a reader needs room for one frame. */
export const FRAME_BYTES_MAX = 128 * 1024;
/** Pages of one record; longer rows take several. */
const PAGES_MAX = 2048;
const LAYOUT_VERSION = 1;

const TYPE = { head: 1, file: 2, pages: 3, use: 4, drop: 5 } as const;

/** Which backing file of a key: every one that is made has another nonce, and so another name. */
export interface FileIdentity {
  readonly key: CacheKey;
  readonly nonce: number;
}

export interface FileRecord extends FileIdentity {
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly lastUseS: number;
  readonly path: ByteString;
}

export interface PageSum {
  readonly index: number;
  readonly sum: number;
}

export interface RecordHandler {
  /** First in every log; false: made by another program or for other pages, and of no use. */
  head(layoutVersion: number, pageSizeBytes: number): boolean;
  file(record: FileRecord): void;
  page(file: FileIdentity, index: number, sum: number): void;
  use(file: FileIdentity, lastUseS: number): void;
  drop(file: FileIdentity): void;
}

/** Beside its path, rather too many. */
const FILE_BYTES = 100;
const PAGE_BYTES = 12;
/** Of a path, as they are. */
const PATH_BYTES = 60;

/** About what so many files and pages take. */
export function indexBytesOf(files: number, pages: number, pathBytes = files * PATH_BYTES): number {
  return files * FILE_BYTES + pathBytes + pages * PAGE_BYTES;
}

/** Gathers records into frames. */
export class FrameBuilder {
  readonly #buffer = Buffer.allocUnsafeSlow(FRAME_HEAD_BYTES + FRAME_BYTES_MAX);
  #length = FRAME_HEAD_BYTES;
  readonly #emit: (frame: Buffer) => void;

  /** Given a copy of each frame. */
  constructor(emit: (frame: Buffer) => void) {
    this.#emit = emit;
  }

  /** Of the frame begun. */
  get pendingBytes(): number {
    return this.#length === FRAME_HEAD_BYTES ? 0 : this.#length;
  }

  head(pageSizeBytes: number): void {
    const at = this.#room(9);
    this.#buffer.writeUInt8(TYPE.head, at);
    this.#buffer.writeUInt32LE(LAYOUT_VERSION, at + 1);
    this.#buffer.writeUInt32LE(pageSizeBytes, at + 5);
  }

  file(record: FileRecord): void {
    const { lengthBytes, mtimeMs, lastUseS, path } = record;
    const at = this.#identified(TYPE.file, record, 22 + path.length);
    this.#buffer.writeDoubleLE(lengthBytes, at);
    this.#buffer.writeDoubleLE(mtimeMs, at + 8);
    this.#buffer.writeUInt32LE(lastUseS, at + 16);
    this.#buffer.writeUInt16LE(path.length, at + 20);
    this.#buffer.write(path, at + 22, 'latin1');
  }

  pages(file: FileIdentity, pages: readonly PageSum[]): void {
    for (let first = 0; first < pages.length; first += PAGES_MAX) {
      const part = pages.slice(first, first + PAGES_MAX);
      let at = this.#identified(TYPE.pages, file, 2 + 8 * part.length);
      this.#buffer.writeUInt16LE(part.length, at);
      at += 2;
      for (const { index, sum } of part) {
        this.#buffer.writeUInt32LE(index, at);
        this.#buffer.writeUInt32LE(sum, at + 4);
        at += 8;
      }
    }
  }

  use(file: FileIdentity, lastUseS: number): void {
    this.#buffer.writeUInt32LE(lastUseS, this.#identified(TYPE.use, file, 4));
  }

  drop(file: FileIdentity): void {
    this.#identified(TYPE.drop, file, 0);
  }

  /** Ends the frame begun. */
  flush(): void {
    if (this.pendingBytes === 0) return;
    const records = this.#buffer.subarray(FRAME_HEAD_BYTES, this.#length);
    this.#buffer.writeUInt32LE(MAGIC, 0);
    this.#buffer.writeUInt32LE(records.length, 4);
    this.#buffer.writeUInt32LE(checksumOf([records]), 8);
    const frame = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = FRAME_HEAD_BYTES;
    this.#emit(frame);
  }

  /** Where the rest of a record of a file goes. */
  #identified(type: number, { key, nonce }: FileIdentity, restBytes: number): number {
    const at = this.#room(5 + KEY_BYTES + restBytes);
    this.#buffer.writeUInt8(type, at);
    key.forEach((word, index) => this.#buffer.writeUInt32LE(word, at + 1 + 4 * index));
    this.#buffer.writeUInt32LE(nonce, at + 1 + KEY_BYTES);
    return at + 5 + KEY_BYTES;
  }

  #room(bytes: number): number {
    if (this.#length + bytes > this.#buffer.length) this.flush();
    const at = this.#length;
    this.#length += bytes;
    return at;
  }
}

/**
 * Tells the records of the whole frames in `bytes`, up to the first that is not whole; the bytes told,
 * and whether what follows can be no frame whatever comes after it.
 */
export function readFrames(
  bytes: Buffer,
  handler: RecordHandler,
): { readonly told: number; readonly isBroken: boolean } {
  let told = 0;
  for (;;) {
    const left = bytes.length - told;
    if (left < FRAME_HEAD_BYTES) return { told, isBroken: false };
    const length = bytes.readUInt32LE(told + 4);
    if (bytes.readUInt32LE(told) !== MAGIC || length > FRAME_BYTES_MAX) {
      return { told, isBroken: true };
    }
    const end = told + FRAME_HEAD_BYTES + length;
    if (bytes.length < end) return { told, isBroken: false };
    const records = bytes.subarray(told + FRAME_HEAD_BYTES, end);
    if (checksumOf([records]) !== bytes.readUInt32LE(told + 8)) return { told, isBroken: true };
    if (!readRecords(records, handler)) return { told, isBroken: true };
    told = end;
  }
}

/** False where they are not ours; their checksum was right, so no length in them is wrong. */
function readRecords(records: Buffer, handler: RecordHandler): boolean {
  // One object for all: a million files are read at a start.
  const file = { key: new Uint32Array(KEY_BYTES / 4), nonce: 0 };
  let at = 0;
  while (at < records.length) {
    const type = records.readUInt8(at);
    if (type === TYPE.head) {
      if (!handler.head(records.readUInt32LE(at + 1), records.readUInt32LE(at + 5))) return false;
      at += 9;
      continue;
    }
    for (let word = 0; word < KEY_BYTES / 4; word++) {
      file.key[word] = records.readUInt32LE(at + 1 + 4 * word);
    }
    file.nonce = records.readUInt32LE(at + 1 + KEY_BYTES);
    at += 5 + KEY_BYTES;
    switch (type) {
      case TYPE.file: {
        const pathEnd = at + 22 + records.readUInt16LE(at + 20);
        handler.file({
          key: file.key,
          nonce: file.nonce,
          lengthBytes: records.readDoubleLE(at),
          mtimeMs: records.readDoubleLE(at + 8),
          lastUseS: records.readUInt32LE(at + 16),
          path: byteStringOfBytes(records.subarray(at + 22, pathEnd)),
        });
        at = pathEnd;
        break;
      }
      case TYPE.pages: {
        const count = records.readUInt16LE(at);
        at += 2;
        for (let page = 0; page < count; page++, at += 8) {
          handler.page(file, records.readUInt32LE(at), records.readUInt32LE(at + 4));
        }
        break;
      }
      case TYPE.use:
        handler.use(file, records.readUInt32LE(at));
        at += 4;
        break;
      case TYPE.drop:
        handler.drop(file);
        break;
      default:
        return false;
    }
  }
  return true;
}

export { LAYOUT_VERSION };
