import { OUT_HEADER_SIZE, type ReplyAddress } from '../header.ts';
import { writeU64 } from '../numbers.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * READ: from the page cache's read-ahead or, with direct I/O, from read(2) itself. READDIR,
 * READDIRPLUS: getdents(2); `offset` is the `nextOffset` of the last entry that was used, 0 at the
 * start, or anything that seekdir(3) was given.
 *
 *  0 u64 fh  8 u64 offset  16 u32 size  20 u32 read_flags (`ReadFlag`)  24 u64 lock_owner
 * 32 u32 flags (of the open)  36 u32 padding
 *
 * An offset above 2^53 is cut to `OFFSET_MAX`: it is behind the end either way.
 *
 * Reply: `encodeDataHeader` and at most `size` bytes. Fewer mean the end of the file: the kernel fills
 * the rest of its pages with zeros (and believes it, outside of direct I/O). A directory ends with an
 * empty reply. READDIRPLUS raises the lookup count of each node that it names except "." and "..".
 * Errno: EIO, EISDIR, EBADF, ESTALE, EACCES; ENOTDIR, and EINVAL where `size` is too small for one
 * entry, for directories.
 */
export interface ReadRequest extends RequestBase {
  readonly op: 'read' | 'readdir' | 'readdirplus';
  readonly fh: number;
  readonly offset: number;
  readonly size: number;
  readonly readFlags: number;
  readonly flags: number;
  readonly lockOwnerLow: number;
  readonly lockOwnerHigh: number;
}

function decodeReadAs(op: ReadRequest['op']): DecodeBody<ReadRequest> {
  return (header, body) => {
    const at = body.take(40);
    return {
      op,
      header,
      fh: body.u64(at),
      offset: body.length(at + 8),
      size: body.u32(at + 16),
      readFlags: body.u32(at + 20),
      flags: body.u32(at + 32),
      lockOwnerLow: body.u32(at + 24),
      lockOwnerHigh: body.u32(at + 28),
    };
  };
}

export const decodeRead = decodeReadAs('read');
export const decodeReaddir = decodeReadAs('readdir');
export const decodeReaddirplus = decodeReadAs('readdirplus');

/**
 * LSEEK: lseek(2) with SEEK_DATA or SEEK_HOLE on a file. ENOSYS is remembered: the file then counts
 * as all data.
 *
 *  0 u64 fh  8 u64 offset (signed)  16 u32 whence (`Seek`)  20 u32 padding
 *
 * Reply: `encodeLseekReply`. Errno: ENXIO (negative, or at or behind the end), EINVAL, ENOSYS.
 */
export interface LseekRequest extends RequestBase {
  readonly op: 'lseek';
  readonly fh: number;
  readonly offset: number;
  readonly whence: number;
}

export const decodeLseek: DecodeBody<LseekRequest> = (header, body) => {
  const at = body.take(24);
  return {
    op: 'lseek',
    header,
    fh: body.u64(at),
    offset: body.offset(at + 8),
    whence: body.u32(at + 16),
  };
};

/**  0 u64 offset */
export function encodeLseekReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  offset: number,
): number {
  const length = OUT_HEADER_SIZE + 8;
  writeOutHeader(out, at, to, length, 0);
  writeU64(out, at + OUT_HEADER_SIZE, offset);
  return length;
}
