/** How what the cluster tells is shown as stat(2) and statvfs(2): owner, mode, sizes. */
import { NAME_BYTES_MAX } from '../base/byte-string.ts';
import type { MountConfig } from '../config/index.ts';
import type { FileAttr, StatfsReply } from '../fuse/wire/index.ts';
import type { Attributes, FileKind } from '../vfs/index.ts';

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const PERMISSIONS = 0o7777;
/** stat(2) counts blocks of 512 bytes. */
const STAT_BLOCK_BYTES = 512;
/** Preferred I/O size: one full kernel request. Programs such as cp size their buffers by it. */
const IO_SIZE_BYTES = 1024 * 1024;

export type Presentation = Pick<MountConfig, 'uid' | 'gid' | 'fileMode' | 'dirMode'>;

export function fileAttrOf(attributes: Attributes, presentation: Presentation): FileAttr {
  const isDirectory = attributes.kind === 'directory';
  const configured = isDirectory ? presentation.dirMode : presentation.fileMode;
  const permissions = (attributes.mode ?? configured) & PERMISSIONS;
  return {
    ino: attributes.ino,
    size: attributes.lengthBytes,
    blocks: Math.ceil(attributes.lengthBytes / STAT_BLOCK_BYTES),
    atimeMs: attributes.mtimeMs,
    mtimeMs: attributes.mtimeMs,
    ctimeMs: attributes.mtimeMs,
    mode: (isDirectory ? S_IFDIR : S_IFREG) | permissions,
    nlink: isDirectory ? 2 : 1,
    uid: presentation.uid,
    gid: presentation.gid,
    rdev: 0,
    blksize: IO_SIZE_BYTES,
  };
}

/** The type field of a directory entry: the mode's type bits shifted down. */
export function fileTypeBits(kind: FileKind): number {
  return (kind === 'directory' ? S_IFDIR : S_IFREG) >> 12;
}

/**
 * The cluster does not tell its capacity; like Alluxio's own FUSE the mount shows a petabyte, so
 * that programs that check for space before they copy are content.
 */
const BLOCK_BYTES = 4096;
const BLOCKS = 2 ** 50 / BLOCK_BYTES;
const FILES = 2 ** 40;

export const STATFS: StatfsReply = {
  blocks: BLOCKS,
  bfree: BLOCKS,
  bavail: BLOCKS,
  files: FILES,
  ffree: FILES,
  bsize: BLOCK_BYTES,
  namelen: NAME_BYTES_MAX,
  frsize: BLOCK_BYTES,
};
