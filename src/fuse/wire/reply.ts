import { OUT_HEADER_SIZE, type ReplyAddress } from './header.ts';
import { writeU64 } from './numbers.ts';

/*
 * Every encoder writes a whole message (header and body) into `out` at `at`, allocates nothing and
 * returns the number of bytes written. `out` needs room for `REPLY_MAX_SIZE` bytes, more where a
 * name is written.
 *
 *  0 u32 len      4 i32 error (0 or minus errno)      8 u64 unique
 */

/** Enough for every reply that does not carry data or names: STATX is the longest. */
export const REPLY_MAX_SIZE = 304;

const RESEND_BIT_HIGH = 0x8000_0000;

/** The kernel refuses replies with an errno from here on with EINVAL. */
const ERRNO_LIMIT = 512;

export function writeOutHeader(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  length: number,
  error: number,
): void {
  out.writeUInt32LE(length, at);
  out.writeInt32LE(error, at + 4);
  writeU64(out, at + 8, to.unique);
  if (to.resend) {
    out.writeUInt32LE((out.readUInt32LE(at + 12) | RESEND_BIT_HIGH) >>> 0, at + 12);
  }
}

/** `errno` is the positive number. An error reply has no body; one with a body is refused. */
export function encodeErrorReply(out: Buffer, at: number, to: ReplyAddress, errno: number): number {
  if (!(Number.isInteger(errno) && errno > 0 && errno < ERRNO_LIMIT)) {
    throw new RangeError(`not an errno that the kernel takes: ${errno}`);
  }
  writeOutHeader(out, at, to, OUT_HEADER_SIZE, -errno);
  return OUT_HEADER_SIZE;
}

/**
 * Success without a body: UNLINK, RMDIR, RENAME, RELEASE, RELEASEDIR, FLUSH, FSYNC, FSYNCDIR,
 * SETXATTR, REMOVEXATTR, SETLK, SETLKW, ACCESS, FALLOCATE, SYNCFS, DESTROY, SETUPMAPPING,
 * REMOVEMAPPING.
 */
export function encodeEmptyReply(out: Buffer, at: number, to: ReplyAddress): number {
  writeOutHeader(out, at, to, OUT_HEADER_SIZE, 0);
  return OUT_HEADER_SIZE;
}

/**
 * The 16 bytes in front of data that goes out with the same writev(2): READ, READDIR, READDIRPLUS,
 * READLINK, GETXATTR, LISTXATTR. The data may be shorter than what was asked for, never longer.
 */
export function encodeDataHeader(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  dataLength: number,
): number {
  writeOutHeader(out, at, to, OUT_HEADER_SIZE + dataLength, 0);
  return OUT_HEADER_SIZE;
}
