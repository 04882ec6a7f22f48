import { endianness } from 'node:os';

// The protocol is in host byte order and this codec writes little-endian only.
if (endianness() !== 'LE') throw new Error('the FUSE wire codec needs a little-endian host');

const TWO_32 = 0x1_0000_0000;

/**
 * Stands for every offset that a JavaScript number cannot hold exactly. Larger ones are cut to it
 * when they are read, and it is written as the kernel's own end of file, 2^63 - 1 (locks use that
 * for "to the end").
 */
export const OFFSET_MAX = Number.MAX_SAFE_INTEGER;

/** A safe integer, as 64-bit two's complement. */
export function writeU64(out: Buffer, at: number, value: number): void {
  out.writeUInt32LE(value >>> 0, at);
  out.writeUInt32LE(Math.floor(value / TWO_32) >>> 0, at + 4);
}

export function writeOffset(out: Buffer, at: number, value: number): void {
  if (value >= OFFSET_MAX) {
    out.writeUInt32LE(0xffffffff, at);
    out.writeUInt32LE(0x7fffffff, at + 4);
  } else {
    writeU64(out, at, value);
  }
}

/**
 * A point in time: signed seconds in one place, nanoseconds (always 0 to 999,999,999, also before
 * 1970) in another.
 */
export function writeTime(out: Buffer, secondsAt: number, nanosAt: number, ms: number): void {
  let seconds = Math.floor(ms / 1000);
  let nanos = Math.round((ms - seconds * 1000) * 1e6);
  // The quotient may have been rounded across a whole second in either direction.
  if (nanos < 0) {
    seconds -= 1;
    nanos += 1e9;
  }
  if (nanos >= 1e9) {
    seconds += 1;
    nanos -= 1e9;
  }
  writeU64(out, secondsAt, seconds);
  out.writeUInt32LE(nanos, nanosAt);
}

/** 68 years: for ever, and far from what overflows in the kernel's clock ticks. */
const MAX_VALIDITY_SECONDS = 0x7fffffff;

/** How long the kernel may keep something. Never negative; Infinity is allowed. */
export function writeValidity(out: Buffer, secondsAt: number, nanosAt: number, ms: number): void {
  const bounded = ms > 0 ? Math.min(ms, MAX_VALIDITY_SECONDS * 1000) : 0;
  writeTime(out, secondsAt, nanosAt, bounded);
}
