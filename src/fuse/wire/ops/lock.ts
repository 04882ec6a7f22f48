import { LockFlag } from '../flags.ts';
import { OUT_HEADER_SIZE, type ReplyAddress } from '../header.ts';
import { writeOffset } from '../numbers.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

export interface FileLock {
  readonly start: number;
  /** The last byte; `OFFSET_MAX` for "to the end". */
  readonly end: number;
  /** F_RDLCK 0, F_WRLCK 1, F_UNLCK 2. */
  readonly type: number;
  readonly pid: number;
}

/**
 * GETLK, SETLK, SETLKW: fcntl(2) locks with `InitFlag.POSIX_LOCKS`, flock(2) with
 * `InitFlag.FLOCK_LOCKS` (`flock`); without these the kernel keeps locks itself.
 *
 *  0 u64 fh  8 u64 owner  16 u64 start  24 u64 end  32 u32 type  36 u32 pid
 * 40 u32 lk_flags (`LockFlag`)  44 u32 padding
 *
 * Reply: GETLK `encodeLockReply` (type F_UNLCK where nothing is in the way), the others empty; SETLKW
 * when the lock was got, which INTERRUPT may end with EINTR.
 * Errno: EAGAIN (taken), EDEADLK, EINTR, ENOLCK, EBADF, ENOSYS.
 */
export interface LockRequest extends RequestBase {
  readonly op: 'getlk' | 'setlk' | 'setlkw';
  readonly fh: number;
  readonly ownerLow: number;
  readonly ownerHigh: number;
  readonly lock: FileLock;
  readonly flock: boolean;
}

function decodeLockAs(op: LockRequest['op']): DecodeBody<LockRequest> {
  return (header, body) => {
    const at = body.take(48);
    return {
      op,
      header,
      fh: body.u64(at),
      ownerLow: body.u32(at + 8),
      ownerHigh: body.u32(at + 12),
      lock: {
        start: body.length(at + 16),
        end: body.length(at + 24),
        type: body.u32(at + 32),
        pid: body.u32(at + 36),
      },
      flock: (body.u32(at + 40) & LockFlag.FLOCK) !== 0,
    };
  };
}

export const decodeGetlk = decodeLockAs('getlk');
export const decodeSetlk = decodeLockAs('setlk');
export const decodeSetlkw = decodeLockAs('setlkw');

/**  0 u64 start  8 u64 end  16 u32 type  20 u32 pid */
export function encodeLockReply(out: Buffer, at: number, to: ReplyAddress, lock: FileLock): number {
  const length = OUT_HEADER_SIZE + 24;
  const body = at + OUT_HEADER_SIZE;
  writeOutHeader(out, at, to, length, 0);
  writeOffset(out, body, lock.start);
  writeOffset(out, body + 8, lock.end);
  out.writeUInt32LE(lock.type, body + 16);
  out.writeUInt32LE(lock.pid, body + 20);
  return length;
}
