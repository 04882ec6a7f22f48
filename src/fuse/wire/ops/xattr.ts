import type { ByteString } from '../../../base/byte-string.ts';
import { OUT_HEADER_SIZE, type ReplyAddress } from '../header.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * GETXATTR of `header.nodeId`; ls(1) and every exec and write ask for `security.*`. ENOSYS is
 * remembered for the whole mount.
 *
 *  0 u32 size  4 u32 padding  8 name and NUL
 *
 * Reply: with `size` 0 `encodeXattrSizeReply`, else `encodeDataHeader` and the value.
 * Errno: ENODATA (no such attribute), ERANGE (longer than `size`), EOPNOTSUPP, EACCES, EIO, ENOSYS.
 */
export interface GetxattrRequest extends RequestBase {
  readonly op: 'getxattr';
  readonly name: ByteString;
  readonly size: number;
}

export const decodeGetxattr: DecodeBody<GetxattrRequest> = (header, body) => {
  const at = body.take(8);
  return { op: 'getxattr', header, size: body.u32(at), name: body.text() };
};

/**
 * LISTXATTR of `header.nodeId`.
 *
 *  0 u32 size  4 u32 padding
 *
 * Reply: with `size` 0 `encodeXattrSizeReply`, else `encodeDataHeader` and the names, each with NUL.
 * Errno: ERANGE (longer than `size`), EOPNOTSUPP, EIO, ENOSYS (remembered).
 */
export interface ListxattrRequest extends RequestBase {
  readonly op: 'listxattr';
  readonly size: number;
}

export const decodeListxattr: DecodeBody<ListxattrRequest> = (header, body) => {
  const at = body.take(8);
  return { op: 'listxattr', header, size: body.u32(at) };
};

/**
 * SETXATTR.
 *
 *  0 u32 size  4 u32 flags (1: must be new, 2: must exist)
 *  (with `InitFlag.SETXATTR_EXT`: 8 u32 setxattr_flags  12 u32 padding)
 *  then name and NUL, then `size` bytes
 *
 * Reply: empty. Errno: EOPNOTSUPP, EEXIST, ENODATA, E2BIG, ENOSPC, EPERM, EROFS, EIO, ENOSYS
 * (remembered).
 */
export interface SetxattrRequest extends RequestBase {
  readonly op: 'setxattr';
  readonly name: ByteString;
  readonly flags: number;
  /** Bit 0: the set-group-id bit goes; 0 without the extension. */
  readonly setxattrFlags: number;
  /** A view of the request buffer: copy it before the next request is read. */
  readonly value: Buffer;
}

export const decodeSetxattr: DecodeBody<SetxattrRequest> = (header, body, layout) => {
  const at = body.take(layout.setxattrExt ? 16 : 8);
  return {
    op: 'setxattr',
    header,
    flags: body.u32(at + 4),
    setxattrFlags: layout.setxattrExt ? body.u32(at + 8) : 0,
    name: body.text(),
    value: body.bytes(body.u32(at)),
  };
};

/**
 * REMOVEXATTR. Body: the name and a NUL.
 *
 * Reply: empty. Errno: ENODATA, EOPNOTSUPP, EPERM, EROFS, EIO, ENOSYS (remembered).
 */
export interface RemovexattrRequest extends RequestBase {
  readonly op: 'removexattr';
  readonly name: ByteString;
}

export const decodeRemovexattr: DecodeBody<RemovexattrRequest> = (header, body) => ({
  op: 'removexattr',
  header,
  name: body.text(),
});

/**
 * Reply to GETXATTR and LISTXATTR that asked with `size` 0 for the length only.
 *  0 u32 size  4 u32 padding
 */
export function encodeXattrSizeReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  size: number,
): number {
  const length = OUT_HEADER_SIZE + 8;
  writeOutHeader(out, at, to, length, 0);
  out.writeUInt32LE(size, at + OUT_HEADER_SIZE);
  out.writeUInt32LE(0, at + OUT_HEADER_SIZE + 4);
  return length;
}
