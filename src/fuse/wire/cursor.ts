import type { ByteString } from '../../base/byte-string.ts';
import { WireError, type WireErrorCode } from './error.ts';
import { IN_HEADER_SIZE, type RequestHeader } from './header.ts';
import { OFFSET_MAX } from './numbers.ts';

const TWO_32 = 0x1_0000_0000;
/** High halves from here on make a number above 2^53. */
const HIGH_LIMIT = 0x20_0000;

/**
 * Reads one request after the other out of one big buffer that is read into again and again.
 *
 * `take(size)` is the bounds check: it claims the next bytes of the body and gives their place, from
 * which the field readers then read at fixed offsets, as in the C layout.
 *
 * INVARIANT: nothing at or behind `#end` is ever looked at; the bytes there belong to an earlier
 * request.
 */
export class RequestCursor {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #header: RequestHeader | undefined;

  /** Checks the header and puts the cursor at the body. `length` is what read(2) returned. */
  start(buffer: Buffer, length: number): RequestHeader {
    this.#buffer = buffer;
    this.#header = undefined;
    this.#at = IN_HEADER_SIZE;
    this.#end = length;
    if (length < IN_HEADER_SIZE || length > buffer.length) {
      this.fail('short-header', `${length} bytes`);
    }
    const len = buffer.readUInt32LE(0);
    const high = buffer.readUInt32LE(12);
    const uniqueHigh = high & 0x7fffffff;
    if (uniqueHigh >= HIGH_LIMIT) this.fail('bad-number', 'unique above 2^53');
    const nodeHigh = buffer.readUInt32LE(20);
    const header: RequestHeader = {
      len,
      opcode: buffer.readUInt32LE(4),
      unique: uniqueHigh * TWO_32 + buffer.readUInt32LE(8),
      resend: high > 0x7fffffff,
      nodeId: nodeHigh * TWO_32 + buffer.readUInt32LE(16),
      uid: buffer.readUInt32LE(24),
      gid: buffer.readUInt32LE(28),
      pid: buffer.readUInt32LE(32),
    };
    this.#header = header;
    if (len !== length) this.fail('length-mismatch', `header says ${len}, read ${length}`);
    if (nodeHigh >= HIGH_LIMIT) this.fail('bad-number', 'node id above 2^53');
    // Security contexts and groups of a create, sent only where INIT asked for them; not used here.
    const extensions = buffer.readUInt16LE(36) * 8;
    if (extensions > length - IN_HEADER_SIZE) this.fail('short-body', 'extensions do not fit');
    this.#end = length - extensions;
    return header;
  }

  /** The message must end here: more means that the two sides disagree about its layout. */
  finish(): void {
    if (this.#at !== this.#end) {
      this.fail('trailing-bytes', `${this.#end - this.#at} behind the message`);
    }
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Claims the next `size` bytes of the body and returns their offset. */
  take(size: number): number {
    const at = this.#at;
    if (size > this.#end - at) {
      this.fail('short-body', `${size} bytes wanted, ${this.#end - at} left`);
    }
    this.#at = at + size;
    return at;
  }

  u32(at: number): number {
    return this.#buffer.readUInt32LE(at);
  }

  /** Ids, handles, counters: numbers that must be exact. */
  u64(at: number): number {
    const high = this.#buffer.readUInt32LE(at + 4);
    if (high >= HIGH_LIMIT) this.fail('bad-number', '64-bit number above 2^53');
    return high * TWO_32 + this.#buffer.readUInt32LE(at);
  }

  /** A size or position that is about to be written at: cutting it would write elsewhere. */
  exactOffset(at: number, errno: number): number {
    const high = this.#buffer.readUInt32LE(at + 4);
    if (high >= HIGH_LIMIT) this.fail('bad-number', 'offset above 2^53', errno);
    return high * TWO_32 + this.#buffer.readUInt32LE(at);
  }

  /** A signed offset, cut to the safe range: what lies beyond is past the end of any file. */
  offset(at: number): number {
    const low = this.#buffer.readUInt32LE(at);
    const high = this.#buffer.readInt32LE(at + 4);
    if (high >= HIGH_LIMIT) return OFFSET_MAX;
    if (high <= -HIGH_LIMIT) return -OFFSET_MAX;
    return high * TWO_32 + low;
  }

  /** A length of which part may be done, cut to the safe range. */
  length(at: number): number {
    const high = this.#buffer.readUInt32LE(at + 4);
    return high >= HIGH_LIMIT ? OFFSET_MAX : high * TWO_32 + this.#buffer.readUInt32LE(at);
  }

  /** The low 63 bits of another request's `unique`; see `isResent`. */
  unique(at: number): number {
    const high = this.#buffer.readUInt32LE(at + 4) & 0x7fffffff;
    if (high >= HIGH_LIMIT) this.fail('bad-number', 'unique above 2^53');
    return high * TWO_32 + this.#buffer.readUInt32LE(at);
  }

  isResent(at: number): boolean {
    return this.#buffer.readUInt32LE(at + 4) > 0x7fffffff;
  }

  /** Signed seconds and nanoseconds as fractional milliseconds. */
  time(secondsAt: number, nanosAt: number): number {
    return this.offset(secondsAt) * 1000 + this.#buffer.readUInt32LE(nanosAt) / 1e6;
  }

  /** A directory entry's name: ends with NUL, is not empty, holds no slash. */
  name(): ByteString {
    const buffer = this.#buffer;
    const start = this.#at;
    const end = this.#end;
    let i = start;
    for (; i < end; i++) {
      const byte = buffer[i];
      if (byte === 0) break;
      if (byte === 0x2f) this.fail('bad-name', 'slash');
    }
    if (i === end) this.fail('missing-nul', 'name runs to the end');
    if (i === start) this.fail('bad-name', 'empty');
    this.#at = i + 1;
    return buffer.toString('latin1', start, i) as ByteString;
  }

  /** Any string that ends with NUL: a symlink target, the name of an extended attribute. */
  text(): ByteString {
    const start = this.#at;
    const end = this.#end;
    let i = start;
    while (i < end && this.#buffer[i] !== 0) i++;
    if (i === end) this.fail('missing-nul', 'string runs to the end');
    this.#at = i + 1;
    return this.#buffer.toString('latin1', start, i) as ByteString;
  }

  /** A view, valid until the buffer is read into again. */
  bytes(size: number): Buffer {
    const at = this.take(size);
    return this.#buffer.subarray(at, at + size);
  }

  fail(code: WireErrorCode, detail: string, errno?: number): never {
    throw new WireError(code, detail, this.#header, errno);
  }
}
