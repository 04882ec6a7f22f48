import { Errno } from '../errno.ts';
import { OUT_HEADER_SIZE, type ReplyAddress } from '../header.ts';
import { writeU64 } from '../numbers.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * WRITE: of write(2), or of pages written back (`WriteFlag.CACHE`).
 *
 *  0 u64 fh  8 u64 offset  16 u32 size  20 u32 write_flags (`WriteFlag`)  24 u64 lock_owner
 * 32 u32 flags (of the open)  36 u32 padding  40 `size` bytes
 *
 * An offset above 2^53 is refused with EFBIG: it cannot be cut without writing elsewhere.
 *
 * Reply: `encodeWriteReply`; fewer bytes than sent are a short write, more are an error.
 * Errno: EIO, EFBIG, ENOSPC, EDQUOT, EROFS, EBADF, ESTALE.
 */
export interface WriteRequest extends RequestBase {
  readonly op: 'write';
  readonly fh: number;
  readonly offset: number;
  readonly writeFlags: number;
  readonly flags: number;
  readonly lockOwnerLow: number;
  readonly lockOwnerHigh: number;
  /** A view of the request buffer: copy it before the next request is read. */
  readonly data: Buffer;
}

export const decodeWrite: DecodeBody<WriteRequest> = (header, body) => {
  const at = body.take(40);
  return {
    op: 'write',
    header,
    fh: body.u64(at),
    offset: body.exactOffset(at + 8, Errno.EFBIG),
    writeFlags: body.u32(at + 20),
    flags: body.u32(at + 32),
    lockOwnerLow: body.u32(at + 24),
    lockOwnerHigh: body.u32(at + 28),
    data: body.bytes(body.u32(at + 16)),
  };
};

/**
 * Reply to WRITE and COPY_FILE_RANGE.
 *  0 u32 size  4 u32 padding
 */
export function encodeWriteReply(out: Buffer, at: number, to: ReplyAddress, size: number): number {
  const length = OUT_HEADER_SIZE + 8;
  writeOutHeader(out, at, to, length, 0);
  out.writeUInt32LE(size, at + OUT_HEADER_SIZE);
  out.writeUInt32LE(0, at + OUT_HEADER_SIZE + 4);
  return length;
}

/**
 * FLUSH: at every close(2) of a descriptor, so more than once for a handle that was duplicated; the
 * place for the errors of writes. ENOSYS is remembered and means "nothing to flush".
 *
 *  0 u64 fh  8 u32 unused  12 u32 padding  16 u64 lock_owner (whose POSIX locks end)
 *
 * Reply: empty. Errno: what close(2) shall return: EIO, ENOSPC, EDQUOT; ENOSYS.
 */
export interface FlushRequest extends RequestBase {
  readonly op: 'flush';
  readonly fh: number;
  readonly lockOwnerLow: number;
  readonly lockOwnerHigh: number;
}

export const decodeFlush: DecodeBody<FlushRequest> = (header, body) => {
  const at = body.take(24);
  return {
    op: 'flush',
    header,
    fh: body.u64(at),
    lockOwnerLow: body.u32(at + 16),
    lockOwnerHigh: body.u32(at + 20),
  };
};

/**
 * FSYNC, FSYNCDIR: fsync(2), fdatasync(2). ENOSYS is remembered and means success.
 *
 *  0 u64 fh  8 u32 fsync_flags (`FsyncFlag`)  12 u32 padding
 *
 * Reply: empty. Errno: EIO, ENOSPC, EDQUOT, EROFS, ENOSYS.
 */
export interface FsyncRequest extends RequestBase {
  readonly op: 'fsync' | 'fsyncdir';
  readonly fh: number;
  readonly dataOnly: boolean;
}

function decodeFsyncAs(op: FsyncRequest['op']): DecodeBody<FsyncRequest> {
  return (header, body) => {
    const at = body.take(16);
    return { op, header, fh: body.u64(at), dataOnly: (body.u32(at + 8) & 1) !== 0 };
  };
}

export const decodeFsync = decodeFsyncAs('fsync');
export const decodeFsyncdir = decodeFsyncAs('fsyncdir');

/**
 * SYNCFS (7.34): syncfs(2); only sent to servers that the kernel trusts with it (virtiofs, block
 * device mounts).
 *
 *  0 u64 padding
 *
 * Reply: empty. Errno: EIO, ENOSYS (remembered).
 */
export interface SyncfsRequest extends RequestBase {
  readonly op: 'syncfs';
}

export const decodeSyncfs: DecodeBody<SyncfsRequest> = (header, body) => {
  body.take(8);
  return { op: 'syncfs', header };
};

/**
 * FALLOCATE: fallocate(2). ENOSYS is remembered and becomes EOPNOTSUPP.
 *
 *  0 u64 fh  8 u64 offset  16 u64 length  24 u32 mode  28 u32 padding
 *
 * Reply: empty. Errno: EOPNOTSUPP, EFBIG, ENOSPC, EDQUOT, EIO, ENOSYS.
 */
export interface FallocateRequest extends RequestBase {
  readonly op: 'fallocate';
  readonly fh: number;
  readonly offset: number;
  readonly length: number;
  readonly mode: number;
}

export const decodeFallocate: DecodeBody<FallocateRequest> = (header, body) => {
  const at = body.take(32);
  return {
    op: 'fallocate',
    header,
    fh: body.u64(at),
    offset: body.exactOffset(at + 8, Errno.EFBIG),
    length: body.exactOffset(at + 16, Errno.EFBIG),
    mode: body.u32(at + 24),
  };
};

/**
 * COPY_FILE_RANGE: copy_file_range(2) within the mount; `header.nodeId` is the source.
 * COPY_FILE_RANGE_64 (7.45): the same with a 64-bit count in the reply; tried first.
 * ENOSYS is remembered: the kernel copies by itself.
 *
 *  0 u64 fh_in  8 u64 off_in  16 u64 nodeid_out  24 u64 fh_out  32 u64 off_out  40 u64 len
 * 48 u64 flags (none defined)
 *
 * Reply: `encodeWriteReply`; `encodeCopyReply64` for COPY_FILE_RANGE_64. Fewer bytes than asked for
 * may be copied, so a length above 2^53 is cut.
 * Errno: ENOSYS, EOPNOTSUPP, EXDEV (the kernel copies by itself), EIO, EFBIG, ENOSPC.
 */
export interface CopyFileRangeRequest extends RequestBase {
  readonly op: 'copy-file-range' | 'copy-file-range-64';
  readonly fhIn: number;
  readonly offsetIn: number;
  readonly nodeIdOut: number;
  readonly fhOut: number;
  readonly offsetOut: number;
  readonly length: number;
  readonly flags: number;
}

function decodeCopyAs(op: CopyFileRangeRequest['op']): DecodeBody<CopyFileRangeRequest> {
  return (header, body) => {
    const at = body.take(56);
    return {
      op,
      header,
      fhIn: body.u64(at),
      offsetIn: body.length(at + 8),
      nodeIdOut: body.u64(at + 16),
      fhOut: body.u64(at + 24),
      offsetOut: body.exactOffset(at + 32, Errno.EFBIG),
      length: body.length(at + 40),
      flags: body.u64(at + 48),
    };
  };
}

export const decodeCopyFileRange = decodeCopyAs('copy-file-range');
export const decodeCopyFileRange64 = decodeCopyAs('copy-file-range-64');

/**  0 u64 bytes_copied */
export function encodeCopyReply64(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  copied: number,
): number {
  const length = OUT_HEADER_SIZE + 8;
  writeOutHeader(out, at, to, length, 0);
  writeU64(out, at + OUT_HEADER_SIZE, copied);
  return length;
}
