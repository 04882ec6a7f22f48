import type { ByteString } from '../../../base/byte-string.ts';
import { Opcode } from '../opcodes.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * UNLINK, RMDIR: `header.nodeId` is the directory.
 *
 * Body: the name and a NUL.
 *
 * Reply: empty. The node itself stays known until FORGET; an unlinked file may still be open.
 * Errno: ENOENT, EACCES, EPERM, EROFS, EBUSY, EIO; EISDIR (UNLINK); ENOTDIR, ENOTEMPTY (RMDIR).
 */
export interface RemoveRequest extends RequestBase {
  readonly op: 'unlink' | 'rmdir';
  readonly name: ByteString;
}

export const decodeUnlink: DecodeBody<RemoveRequest> = (header, body) => ({
  op: 'unlink',
  header,
  name: body.name(),
});

export const decodeRmdir: DecodeBody<RemoveRequest> = (header, body) => ({
  op: 'rmdir',
  header,
  name: body.name(),
});

/**
 * MKDIR.
 *
 *  0 u32 mode  4 u32 umask  8 name and NUL
 *
 * Reply: entry, raises the lookup count by one.
 * Errno: EEXIST, EACCES, EROFS, ENOSPC, EDQUOT, ENAMETOOLONG, EMLINK, EIO.
 */
export interface MkdirRequest extends RequestBase {
  readonly op: 'mkdir';
  readonly name: ByteString;
  /** Umask applied already unless `InitFlag.DONT_MASK` was accepted. */
  readonly mode: number;
  readonly umask: number;
}

export const decodeMkdir: DecodeBody<MkdirRequest> = (header, body) => {
  const at = body.take(8);
  return {
    op: 'mkdir',
    header,
    mode: body.u32(at),
    umask: body.u32(at + 4),
    name: body.name(),
  };
};

/**
 * MKNOD: mknod(2), and open(2) with O_CREAT where CREATE was answered with ENOSYS.
 *
 *  0 u32 mode (with the type)  4 u32 rdev  8 u32 umask  12 u32 padding  16 name and NUL
 *
 * Reply: entry, raises the lookup count by one.
 * Errno: as MKDIR; EPERM for types that cannot be held.
 */
export interface MknodRequest extends RequestBase {
  readonly op: 'mknod';
  readonly name: ByteString;
  readonly mode: number;
  readonly rdev: number;
  readonly umask: number;
}

export const decodeMknod: DecodeBody<MknodRequest> = (header, body) => {
  const at = body.take(16);
  return {
    op: 'mknod',
    header,
    mode: body.u32(at),
    rdev: body.u32(at + 4),
    umask: body.u32(at + 8),
    name: body.name(),
  };
};

/**
 * SYMLINK. Body: the new name and a NUL, then the target and a NUL.
 *
 * Reply: entry, raises the lookup count by one. Errno: as MKDIR; EPERM where links cannot be held.
 */
export interface SymlinkRequest extends RequestBase {
  readonly op: 'symlink';
  readonly name: ByteString;
  readonly target: ByteString;
}

export const decodeSymlink: DecodeBody<SymlinkRequest> = (header, body) => ({
  op: 'symlink',
  header,
  name: body.name(),
  target: body.text(),
});

/**
 * READLINK of `header.nodeId`. No body.
 *
 * Reply: `encodeDataHeader` and the target without NUL, at most 4095 bytes.
 * Errno: EINVAL (not a link), EIO, ENOENT.
 */
export interface ReadlinkRequest extends RequestBase {
  readonly op: 'readlink';
}

export const decodeReadlink: DecodeBody<ReadlinkRequest> = (header) => ({ op: 'readlink', header });

/**
 * RENAME, and RENAME2 for renameat2(2) with flags; `header.nodeId` is the old directory. ENOSYS to
 * RENAME2 is remembered and becomes EINVAL.
 *
 *  0 u64 newdir  (RENAME2: 8 u32 flags  12 u32 padding)  then old name and NUL, new name and NUL
 *
 * Reply: empty; the kernel moves its entry, node ids stay.
 * Errno: ENOENT, EEXIST (RENAME_NOREPLACE), ENOTEMPTY, EISDIR, ENOTDIR, EXDEV, EINVAL, EACCES, EROFS,
 * EIO.
 */
export interface RenameRequest extends RequestBase {
  readonly op: 'rename';
  readonly newParent: number;
  readonly name: ByteString;
  readonly newName: ByteString;
  /** 1: do not replace, 2: exchange, 4: leave a whiteout; 0 for RENAME. */
  readonly flags: number;
}

export const decodeRename: DecodeBody<RenameRequest> = (header, body) => {
  const isRename2 = header.opcode === Opcode.RENAME2;
  const at = body.take(isRename2 ? 16 : 8);
  return {
    op: 'rename',
    header,
    newParent: body.u64(at),
    flags: isRename2 ? body.u32(at + 8) : 0,
    name: body.name(),
    newName: body.name(),
  };
};

/**
 * LINK: a new name in `header.nodeId` for the node `target`.
 *
 *  0 u64 oldnodeid  8 name and NUL
 *
 * Reply: entry of the same node, raises its lookup count by one.
 * Errno: EPERM or EOPNOTSUPP (no hard links), EEXIST, EMLINK, EACCES, EROFS, EIO; ENOSYS is
 * remembered from 6.14 on and becomes EPERM.
 */
export interface LinkRequest extends RequestBase {
  readonly op: 'link';
  readonly target: number;
  readonly name: ByteString;
}

export const decodeLink: DecodeBody<LinkRequest> = (header, body) => {
  const at = body.take(8);
  return { op: 'link', header, target: body.u64(at), name: body.name() };
};
