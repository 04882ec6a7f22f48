import { OUT_HEADER_SIZE, type ReplyAddress } from './header.ts';
import { writeTime, writeU64, writeValidity } from './numbers.ts';
import { writeOutHeader } from './reply.ts';

/**
 * What stat(2) shows. Times are milliseconds since 1970, may have a fraction and may be negative.
 * The other numbers are safe integers.
 */
export interface FileAttr {
  readonly ino: number;
  readonly size: number;
  /** In units of 512 bytes. */
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** With the file type bits. The kernel answers EIO where the type of a known inode changes. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number of a device node: minor bits 0 to 7 and 20 to 31, major bits 8 to 19. */
  readonly rdev: number;
  readonly blksize: number;
}

/**
 * A name that was found, and its inode. Every entry sent to the kernel (reply to LOOKUP, CREATE,
 * MKDIR, MKNOD, SYMLINK, LINK; each of READDIRPLUS but "." and "..") raises the lookup count of
 * `nodeId` by one; FORGET lowers it.
 */
export interface EntryReply {
  readonly nodeId: number;
  /** Tells apart inodes that had the same node id one after the other. */
  readonly generation: number;
  readonly entryValidMs: number;
  readonly attrValidMs: number;
  readonly attr: FileAttr;
}

export const ENTRY_SIZE = 128;
const ATTR_OUT_SIZE = 104;
const STATX_OUT_SIZE = 288;

/**
 *  0 u64 ino    8 u64 size   16 u64 blocks
 * 24 u64 atime 32 u64 mtime  40 u64 ctime  48 u32 atimensec  52 u32 mtimensec  56 u32 ctimensec
 * 60 u32 mode  64 u32 nlink  68 u32 uid    72 u32 gid  76 u32 rdev  80 u32 blksize  84 u32 flags
 */
function writeAttr(out: Buffer, at: number, attr: FileAttr): void {
  writeU64(out, at, attr.ino);
  writeU64(out, at + 8, attr.size);
  writeU64(out, at + 16, attr.blocks);
  writeTime(out, at + 24, at + 48, attr.atimeMs);
  writeTime(out, at + 32, at + 52, attr.mtimeMs);
  writeTime(out, at + 40, at + 56, attr.ctimeMs);
  out.writeUInt32LE(attr.mode, at + 60);
  out.writeUInt32LE(attr.nlink, at + 64);
  out.writeUInt32LE(attr.uid, at + 68);
  out.writeUInt32LE(attr.gid, at + 72);
  out.writeUInt32LE(attr.rdev, at + 76);
  out.writeUInt32LE(attr.blksize, at + 80);
  out.writeUInt32LE(0, at + 84);
}

/**
 *  0 u64 nodeid  8 u64 generation  16 u64 entry_valid  24 u64 attr_valid
 * 32 u32 entry_valid_nsec  36 u32 attr_valid_nsec  40 attr
 */
export function writeEntry(out: Buffer, at: number, entry: EntryReply): void {
  writeU64(out, at, entry.nodeId);
  writeU64(out, at + 8, entry.generation);
  writeValidity(out, at + 16, at + 32, entry.entryValidMs);
  writeValidity(out, at + 24, at + 36, entry.attrValidMs);
  writeAttr(out, at + 40, entry.attr);
}

/** Reply to LOOKUP, MKDIR, MKNOD, SYMLINK, LINK. */
export function encodeEntryReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  entry: EntryReply,
): number {
  const length = OUT_HEADER_SIZE + ENTRY_SIZE;
  writeOutHeader(out, at, to, length, 0);
  writeEntry(out, at + OUT_HEADER_SIZE, entry);
  return length;
}

/**
 * Reply to LOOKUP: there is no such name, and the kernel need not ask again for `validMs`. Without
 * a validity it is the same as ENOENT.
 */
export function encodeNegativeEntryReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  validMs: number,
): number {
  const length = OUT_HEADER_SIZE + ENTRY_SIZE;
  const body = at + OUT_HEADER_SIZE;
  writeOutHeader(out, at, to, length, 0);
  out.fill(0, body, body + ENTRY_SIZE);
  writeValidity(out, body + 16, body + 32, validMs);
  return length;
}

/**
 * Reply to GETATTR and SETATTR.
 *  0 u64 attr_valid  8 u32 attr_valid_nsec  12 u32 padding  16 attr
 */
export function encodeAttrReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  attrValidMs: number,
  attr: FileAttr,
): number {
  const length = OUT_HEADER_SIZE + ATTR_OUT_SIZE;
  const body = at + OUT_HEADER_SIZE;
  writeOutHeader(out, at, to, length, 0);
  writeValidity(out, body, body + 8, attrValidMs);
  out.writeUInt32LE(0, body + 12);
  writeAttr(out, body + 16, attr);
  return length;
}

/** Mask bits of statx(2). */
export const StatxMask = { BASIC_STATS: 0x7ff, BTIME: 0x800 } as const;

/**
 * Reply to STATX. The birth time is reported where there is one.
 *
 *   0 u64 attr_valid  8 u32 attr_valid_nsec  12 u32 flags  16 2 x u64 spare  32 statx:
 *   +0 u32 mask   +4 u32 blksize  +8 u64 attributes  +16 u32 nlink  +20 u32 uid  +24 u32 gid
 *  +28 u16 mode  +30 u16 spare   +32 u64 ino  +40 u64 size  +48 u64 blocks  +56 u64 attributes_mask
 *  +64 atime  +80 btime  +96 ctime  +112 mtime, each: i64 seconds, u32 nanoseconds, i32 reserved
 * +128 u32 rdev_major  +132 u32 rdev_minor  +136 u32 dev_major  +140 u32 dev_minor  +144 spare
 */
export function encodeStatxReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  attrValidMs: number,
  attr: FileAttr,
  birthtimeMs?: number,
): number {
  const length = OUT_HEADER_SIZE + STATX_OUT_SIZE;
  const body = at + OUT_HEADER_SIZE;
  const statx = body + 32;
  writeOutHeader(out, at, to, length, 0);
  out.fill(0, body, body + STATX_OUT_SIZE);
  writeValidity(out, body, body + 8, attrValidMs);
  const mask = StatxMask.BASIC_STATS | (birthtimeMs === undefined ? 0 : StatxMask.BTIME);
  out.writeUInt32LE(mask, statx);
  out.writeUInt32LE(attr.blksize, statx + 4);
  out.writeUInt32LE(attr.nlink, statx + 16);
  out.writeUInt32LE(attr.uid, statx + 20);
  out.writeUInt32LE(attr.gid, statx + 24);
  out.writeUInt16LE(attr.mode, statx + 28);
  writeU64(out, statx + 32, attr.ino);
  writeU64(out, statx + 40, attr.size);
  writeU64(out, statx + 48, attr.blocks);
  writeTime(out, statx + 64, statx + 72, attr.atimeMs);
  if (birthtimeMs !== undefined) writeTime(out, statx + 80, statx + 88, birthtimeMs);
  writeTime(out, statx + 96, statx + 104, attr.ctimeMs);
  writeTime(out, statx + 112, statx + 120, attr.mtimeMs);
  out.writeUInt32LE((attr.rdev >>> 8) & 0xfff, statx + 128);
  out.writeUInt32LE((attr.rdev & 0xff) | ((attr.rdev >>> 12) & 0xfff00), statx + 132);
  return length;
}
