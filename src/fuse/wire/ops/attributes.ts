import { Errno } from '../errno.ts';
import { GetattrFlag, SetattrValid } from '../flags.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * GETATTR: stat of `header.nodeId` when the kernel's attributes have run out; with a handle when it
 * comes from an open file.
 *
 *  0 u32 getattr_flags  4 u32 padding  8 u64 fh
 *
 * Reply: `encodeAttrReply`. Errno: ENOENT, EIO, EACCES, ESTALE. No effect on the lookup count.
 */
export interface GetattrRequest extends RequestBase {
  readonly op: 'getattr';
  readonly fh: number | undefined;
}

export const decodeGetattr: DecodeBody<GetattrRequest> = (header, body) => {
  const at = body.take(16);
  const hasFh = (body.u32(at) & GetattrFlag.FH) !== 0;
  return { op: 'getattr', header, fh: hasFh ? body.u64(at + 8) : undefined };
};

/**
 * SETATTR: chmod, chown, truncate, utimens. What is undefined stays as it is.
 *
 *  0 u32 valid  4 u32 padding  8 u64 fh  16 u64 size  24 u64 lock_owner
 * 32 u64 atime 40 u64 mtime 48 u64 ctime  56 u32 atimensec 60 u32 mtimensec 64 u32 ctimensec
 * 68 u32 mode  72 u32 unused  76 u32 uid  80 u32 gid  84 u32 unused
 *
 * Reply: `encodeAttrReply` with the new attributes.
 * Errno: EPERM, EACCES, EROFS, EFBIG, ENOSPC, EDQUOT, EISDIR, EINVAL, EOPNOTSUPP, EIO.
 */
export interface SetattrRequest extends RequestBase {
  readonly op: 'setattr';
  /** Bits of `SetattrValid`. */
  readonly valid: number;
  readonly fh: number | undefined;
  readonly size: number | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** `'now'`: the time of the server, as by touch(1). */
  readonly atimeMs: number | 'now' | undefined;
  readonly mtimeMs: number | 'now' | undefined;
  readonly ctimeMs: number | undefined;
}

export const decodeSetattr: DecodeBody<SetattrRequest> = (header, body) => {
  const at = body.take(88);
  const valid = body.u32(at);
  const time = (bit: number, nowBit: number, seconds: number, nanos: number) => {
    if ((valid & bit) === 0) return undefined;
    return (valid & nowBit) === 0 ? body.time(at + seconds, at + nanos) : ('now' as const);
  };
  return {
    op: 'setattr',
    header,
    valid,
    fh: (valid & SetattrValid.FH) === 0 ? undefined : body.u64(at + 8),
    size: (valid & SetattrValid.SIZE) === 0 ? undefined : body.exactOffset(at + 16, Errno.EFBIG),
    mode: (valid & SetattrValid.MODE) === 0 ? undefined : body.u32(at + 68),
    uid: (valid & SetattrValid.UID) === 0 ? undefined : body.u32(at + 76),
    gid: (valid & SetattrValid.GID) === 0 ? undefined : body.u32(at + 80),
    atimeMs: time(SetattrValid.ATIME, SetattrValid.ATIME_NOW, 32, 56),
    mtimeMs: time(SetattrValid.MTIME, SetattrValid.MTIME_NOW, 40, 60),
    ctimeMs: (valid & SetattrValid.CTIME) === 0 ? undefined : body.time(at + 48, at + 64),
  };
};

/**
 * STATX (7.39): as GETATTR, for callers of statx(2) that want more than the basic fields, which is
 * the birth time. ENOSYS is remembered, and GETATTR used from then on.
 *
 *  0 u32 getattr_flags  4 u32 reserved  8 u64 fh  16 u32 sx_flags  20 u32 sx_mask
 *
 * Reply: `encodeStatxReply`. Errno: as GETATTR.
 */
export interface StatxRequest extends RequestBase {
  readonly op: 'statx';
  readonly fh: number | undefined;
  /** AT_STATX_SYNC_TYPE bits of statx(2). */
  readonly statxFlags: number;
  readonly mask: number;
}

export const decodeStatx: DecodeBody<StatxRequest> = (header, body) => {
  const at = body.take(24);
  const hasFh = (body.u32(at) & GetattrFlag.FH) !== 0;
  return {
    op: 'statx',
    header,
    fh: hasFh ? body.u64(at + 8) : undefined,
    statxFlags: body.u32(at + 16),
    mask: body.u32(at + 20),
  };
};

/**
 * ACCESS: access(2) and chdir(2) on a mount without `default_permissions`; with it the kernel
 * decides alone. ENOSYS is remembered and means "yes".
 *
 *  0 u32 mask (R_OK 4, W_OK 2, X_OK 1; 0 for F_OK)  4 u32 padding
 *
 * Reply: empty. Errno: EACCES, EROFS, ENOENT, EIO, ENOSYS.
 */
export interface AccessRequest extends RequestBase {
  readonly op: 'access';
  readonly mask: number;
}

export const decodeAccess: DecodeBody<AccessRequest> = (header, body) => {
  const at = body.take(8);
  return { op: 'access', header, mask: body.u32(at) };
};
