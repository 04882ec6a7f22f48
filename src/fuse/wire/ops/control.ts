import { OUT_HEADER_SIZE, type ReplyAddress } from '../header.ts';
import { writeU64 } from '../numbers.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * STATFS: statfs(2) of `header.nodeId`. No body.
 *
 * Reply: `encodeStatfsReply`. Errno: EIO, EACCES.
 */
export interface StatfsRequest extends RequestBase {
  readonly op: 'statfs';
}

export const decodeStatfs: DecodeBody<StatfsRequest> = (header) => ({ op: 'statfs', header });

export interface StatfsReply {
  /** In units of `frsize`, as are `bfree` and `bavail`. */
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly bsize: number;
  readonly namelen: number;
  readonly frsize: number;
}

/**
 *  0 u64 blocks  8 u64 bfree  16 u64 bavail  24 u64 files  32 u64 ffree
 * 40 u32 bsize  44 u32 namelen  48 u32 frsize  52 u32 padding  56 6 x u32 spare
 */
export function encodeStatfsReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  reply: StatfsReply,
): number {
  const length = OUT_HEADER_SIZE + 80;
  const body = at + OUT_HEADER_SIZE;
  writeOutHeader(out, at, to, length, 0);
  writeU64(out, body, reply.blocks);
  writeU64(out, body + 8, reply.bfree);
  writeU64(out, body + 16, reply.bavail);
  writeU64(out, body + 24, reply.files);
  writeU64(out, body + 32, reply.ffree);
  out.writeUInt32LE(reply.bsize, body + 40);
  out.writeUInt32LE(reply.namelen, body + 44);
  out.writeUInt32LE(reply.frsize, body + 48);
  out.fill(0, body + 52, body + 80);
  return length;
}

/**
 * INTERRUPT: the caller of another request got a signal. May arrive before that request was read or
 * after it was answered (6.18 and before); then there is nothing to do.
 *
 *  0 u64 unique of the other request, with its bit 63
 *
 * No reply is needed: answer the other request, with EINTR or with its result. EAGAIN asks for the
 * INTERRUPT to be sent again, ENOSYS is remembered: none are sent any more.
 */
export interface InterruptRequest extends RequestBase {
  readonly op: 'interrupt';
  readonly targetUnique: number;
  readonly targetResend: boolean;
}

export const decodeInterrupt: DecodeBody<InterruptRequest> = (header, body) => {
  const at = body.take(8);
  return {
    op: 'interrupt',
    header,
    targetUnique: body.unique(at),
    targetResend: body.isResent(at),
  };
};

/**
 * BMAP: block number of a file, for swap files and FIBMAP; block device mounts only.
 *
 *  0 u64 block  8 u32 blocksize  12 u32 padding
 *
 * Answered with ENOSYS here.
 */
export interface BmapRequest extends RequestBase {
  readonly op: 'bmap';
  readonly block: number;
  readonly blockSize: number;
}

export const decodeBmap: DecodeBody<BmapRequest> = (header, body) => {
  const at = body.take(16);
  return { op: 'bmap', header, block: body.length(at), blockSize: body.u32(at + 8) };
};

/**
 * IOCTL: ioctl(2) on a file (on a directory with `InitFlag.HAS_IOCTL_DIR`).
 *
 *  0 u64 fh  8 u32 flags  12 u32 cmd  16 u64 arg  24 u32 in_size  28 u32 out_size
 * 32 `in_size` bytes
 *
 * Reply: `encodeIoctlReply` and at most `outSize` bytes. Errno: ENOTTY, EINVAL, EIO; ENOSYS becomes
 * ENOTTY and is not remembered.
 */
export interface IoctlRequest extends RequestBase {
  readonly op: 'ioctl';
  readonly fh: number;
  readonly flags: number;
  readonly cmd: number;
  /** The third argument, mostly an address in the caller: all 64 bits may count. */
  readonly argLow: number;
  readonly argHigh: number;
  readonly outSize: number;
  /** A view of the request buffer: copy it before the next request is read. */
  readonly data: Buffer;
}

export const decodeIoctl: DecodeBody<IoctlRequest> = (header, body) => {
  const at = body.take(32);
  return {
    op: 'ioctl',
    header,
    fh: body.u64(at),
    flags: body.u32(at + 8),
    cmd: body.u32(at + 12),
    argLow: body.u32(at + 16),
    argHigh: body.u32(at + 20),
    outSize: body.u32(at + 28),
    data: body.bytes(body.u32(at + 24)),
  };
};

/**
 * The header and result of an ioctl; `dataLength` bytes follow in the same writev(2).
 *  0 i32 result  4 u32 flags  8 u32 in_iovs  12 u32 out_iovs
 */
export function encodeIoctlReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  result: number,
  dataLength: number,
): number {
  const size = OUT_HEADER_SIZE + 16;
  const body = at + OUT_HEADER_SIZE;
  writeOutHeader(out, at, to, size + dataLength, 0);
  out.fill(0, body, body + 16);
  out.writeInt32LE(result, body);
  return size;
}

/**
 * POLL: poll(2) on a file. ENOSYS is remembered and means "always ready".
 *
 *  0 u64 fh  8 u64 kh  16 u32 flags  20 u32 events
 *
 * Answered with ENOSYS here. A server that polls replies the ready events and, where
 * bit 0 of flags is set, notifies `kh` later.
 */
export interface PollRequest extends RequestBase {
  readonly op: 'poll';
  readonly fh: number;
  /** The kernel's own name for the waiting file, a counter. */
  readonly kh: number;
  readonly flags: number;
  readonly events: number;
}

export const decodePoll: DecodeBody<PollRequest> = (header, body) => {
  const at = body.take(24);
  return {
    op: 'poll',
    header,
    fh: body.u64(at),
    kh: body.u64(at + 8),
    flags: body.u32(at + 16),
    events: body.u32(at + 20),
  };
};

/**
 * NOTIFY_REPLY: the data that a RETRIEVE notification asked for; `header.unique` is the number that it
 * was given.
 *
 *  0 u64 unused  8 u64 offset  16 u32 size  20 u32 unused  24 2 x u64 unused  40 `size` bytes
 *
 * No reply.
 */
export interface NotifyReplyRequest extends RequestBase {
  readonly op: 'notify-reply';
  readonly offset: number;
  /** A view of the request buffer: copy it before the next request is read. */
  readonly data: Buffer;
}

export const decodeNotifyReply: DecodeBody<NotifyReplyRequest> = (header, body) => {
  const at = body.take(40);
  return {
    op: 'notify-reply',
    header,
    offset: body.length(at + 8),
    data: body.bytes(body.u32(at + 16)),
  };
};

/**
 * SETUPMAPPING, REMOVEMAPPING: direct access windows of virtiofs; never sent over /dev/fuse.
 *
 * SETUPMAPPING   0 u64 fh  8 u64 foffset  16 u64 len  24 u64 flags  32 u64 moffset
 * REMOVEMAPPING  0 u32 count  4 count x (u64 moffset, u64 len)
 *
 * Answered with ENOSYS; the fields are checked but not kept.
 */
export interface MappingRequest extends RequestBase {
  readonly op: 'setupmapping' | 'removemapping';
}

export const decodeSetupmapping: DecodeBody<MappingRequest> = (header, body) => {
  body.take(40);
  return { op: 'setupmapping', header };
};

export const decodeRemovemapping: DecodeBody<MappingRequest> = (header, body) => {
  body.take(body.u32(body.take(4)) * 16);
  return { op: 'removemapping', header };
};
