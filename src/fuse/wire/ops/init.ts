import { OUT_HEADER_SIZE, type ReplyAddress } from '../header.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * INIT: the first message of a connection, and the only one until it is answered. There is no
 * second INIT over the same descriptor, not even for a new daemon.
 *
 *  0 u32 major  4 u32 minor  8 u32 max_readahead  12 u32 flags  16 u32 flags2  20 11 x u32 unused
 *
 * Kernels before 7.36 send the first 16 bytes only, later ones may send more than 64: the one
 * message whose length is open.
 *
 * Reply: `encodeInitReply`. Errno: EPROTO where the versions do not meet.
 */
export interface InitRequest extends RequestBase {
  readonly op: 'init';
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  /** Bits of `InitFlag` that the kernel offers. */
  readonly flags: number;
  /** Bits of `InitFlag2` that the kernel offers; 0 without `InitFlag.INIT_EXT`. */
  readonly flags2: number;
}

const OLD_SIZE = 16;
const INIT_EXT = 1 << 30;

export const decodeInit: DecodeBody<InitRequest> = (header, body) => {
  const size = body.remaining;
  const at = body.take(Math.max(size, OLD_SIZE));
  const flags = body.u32(at + 12);
  const hasFlags2 = (flags & INIT_EXT) !== 0 && size >= OLD_SIZE + 4;
  return {
    op: 'init',
    header,
    major: body.u32(at),
    minor: body.u32(at + 4),
    maxReadahead: body.u32(at + 8),
    flags,
    flags2: hasFlags2 ? body.u32(at + 16) : 0,
  };
};

export interface InitReply {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
  /** At least 4096. */
  readonly maxWrite: number;
  /** Nanoseconds; what file times are cut to when the kernel keeps them itself. 0: 1. */
  readonly timeGran: number;
  /** Counts with `InitFlag.MAX_PAGES`; 256 pages make requests of 1 MiB. */
  readonly maxPages: number;
  /** Counts with `InitFlag2.PASSTHROUGH`; at least 1 there. */
  readonly maxStackDepth: number;
  /** Counts with `InitFlag2.REQUEST_TIMEOUT`. Seconds after which the kernel aborts the connection. */
  readonly requestTimeoutSeconds: number;
}

/**
 *  0 u32 major  4 u32 minor  8 u32 max_readahead  12 u32 flags
 * 16 u16 max_background  18 u16 congestion_threshold  20 u32 max_write  24 u32 time_gran
 * 28 u16 max_pages  30 u16 map_alignment  32 u32 flags2  36 u32 max_stack_depth
 * 40 u16 request_timeout  42 11 x u16 unused
 */
export function encodeInitReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  reply: InitReply,
): number {
  const length = OUT_HEADER_SIZE + 64;
  const body = at + OUT_HEADER_SIZE;
  writeOutHeader(out, at, to, length, 0);
  out.fill(0, body, body + 64);
  out.writeUInt32LE(reply.major, body);
  out.writeUInt32LE(reply.minor, body + 4);
  out.writeUInt32LE(reply.maxReadahead, body + 8);
  out.writeUInt32LE(reply.flags >>> 0, body + 12);
  out.writeUInt16LE(reply.maxBackground, body + 16);
  out.writeUInt16LE(reply.congestionThreshold, body + 18);
  out.writeUInt32LE(reply.maxWrite, body + 20);
  out.writeUInt32LE(reply.timeGran, body + 24);
  out.writeUInt16LE(reply.maxPages, body + 28);
  out.writeUInt32LE(reply.flags2 >>> 0, body + 32);
  out.writeUInt32LE(reply.maxStackDepth, body + 36);
  out.writeUInt16LE(reply.requestTimeoutSeconds, body + 40);
  return length;
}

/**
 * DESTROY: the connection ends. Sent for block device mounts only; others end with ENODEV on read.
 * No body. Reply: empty.
 */
export interface DestroyRequest extends RequestBase {
  readonly op: 'destroy';
}

export const decodeDestroy: DecodeBody<DestroyRequest> = (header) => ({ op: 'destroy', header });
