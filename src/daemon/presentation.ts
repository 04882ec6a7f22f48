/** How what the cluster tells is shown as stat(2) and statvfs(2): owner, mode, sizes. */
import { NAME_BYTES_MAX } from '../base/byte-string.ts';
import type { MountConfig } from '../config/index.ts';
import type { FileAttr, StatfsReply } from '../fuse/wire/index.ts';
import type { Attributes, FileKind } from '../vfs/index.ts';

const S_IFMT = 0o170000;
const TYPE_BITS: Record<FileKind, number> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
const PERMISSIONS = 0o7777;
/** stat(2) counts blocks of 512 bytes. */
const STAT_BLOCK_BYTES = 512;
/** Preferred I/O size: one full kernel request. Programs such as cp size their buffers by it. */
const IO_SIZE_BYTES = 1024 * 1024;

export type Presentation = Pick<MountConfig, 'uid' | 'gid' | 'fileMode' | 'dirMode'>;

/** Undefined: no type that Linux knows. No type at all means a file. */
export function kindOfMode(mode: number): FileKind | undefined {
  const bits = mode & S_IFMT;
  if (bits === 0) return 'file';
  return (Object.keys(TYPE_BITS) as FileKind[]).find((kind) => TYPE_BITS[kind] === bits);
}

export function fileAttrOf(attributes: Attributes, presentation: Presentation): FileAttr {
  const { kind, posix } = attributes;
  const isDirectory = kind === 'directory';
  const configured = isDirectory ? presentation.dirMode : presentation.fileMode;
  const permissions = (posix?.mode ?? attributes.mode ?? configured) & PERMISSIONS;
  // A directory's own time in the cluster says nothing of what this mount has changed in it.
  const changedMs = isDirectory
    ? Math.max(attributes.mtimeMs, attributes.touchedMs)
    : attributes.mtimeMs;
  const mtimeMs = posix?.mtimeMs ?? changedMs;
  const lengthBytes = kind === 'symlink' ? (posix?.target?.length ?? 0) : attributes.lengthBytes;
  return {
    ino: attributes.ino,
    size: lengthBytes,
    blocks: Math.ceil(lengthBytes / STAT_BLOCK_BYTES),
    atimeMs: posix?.atimeMs ?? mtimeMs,
    mtimeMs,
    ctimeMs: Math.max(posix?.ctimeMs ?? changedMs, attributes.touchedMs),
    mode: TYPE_BITS[kind] | permissions,
    nlink: attributes.isUnlinked ? 0 : isDirectory ? 2 : 1,
    uid: posix?.uid ?? presentation.uid,
    gid: posix?.gid ?? presentation.gid,
    rdev: posix?.deviceNumber ?? 0,
    blksize: IO_SIZE_BYTES,
  };
}

/** The type field of a directory entry: the mode's type bits shifted down. */
export function fileTypeBits(kind: FileKind): number {
  return TYPE_BITS[kind] >> 12;
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
