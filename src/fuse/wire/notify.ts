import type { ByteString } from '../../base/byte-string.ts';
import { InvalEntryFlag } from './flags.ts';
import { OUT_HEADER_SIZE } from './header.ts';
import { writeU64 } from './numbers.ts';
import { NotifyCode } from './opcodes.ts';

/*
 * Messages that we send unasked: `unique` is 0 and `error` holds a `NotifyCode`. Each encoder writes a
 * whole message and returns its length. write(2) answers ENOENT where the kernel does not hold the
 * inode or entry in question, which is success for whoever wants it gone; EINVAL where it does not know
 * the message.
 *
 * Never write INVAL_INODE, INVAL_ENTRY, DELETE or STORE from the thread that answers requests while one on
 * the same inode or directory is unanswered: write(2) then waits for page and directory locks that only
 * the answer sets free.
 */

function writeNotifyHeader(out: Buffer, at: number, code: number, length: number): void {
  out.writeUInt32LE(length, at);
  out.writeInt32LE(code, at + 4);
  writeU64(out, at + 8, 0);
}

function writeName(out: Buffer, at: number, name: ByteString): void {
  if (at + name.length + 1 > out.length) throw new RangeError('no room for the name');
  out.write(name, at, 'latin1');
  out[at + name.length] = 0;
}

/**
 * Drops attributes and, from `offset` on, cached pages: `length` bytes, or all up to the end with 0 or
 * less. A negative `offset` leaves the pages alone.
 *  0 u64 ino (the node id)  8 i64 off  16 i64 len
 */
export function encodeInvalInode(
  out: Buffer,
  at: number,
  nodeId: number,
  offset: number,
  length: number,
): number {
  const size = OUT_HEADER_SIZE + 24;
  const body = at + OUT_HEADER_SIZE;
  writeNotifyHeader(out, at, NotifyCode.INVAL_INODE, size);
  writeU64(out, body, nodeId);
  writeU64(out, body + 8, offset);
  writeU64(out, body + 16, length);
  return size;
}

/**
 * Drops a name and the attributes of its directory. `expireOnly` (7.38, `InitFlag2.HAS_EXPIRE_ONLY`)
 * leaves the entry in place but asks for a new LOOKUP, which keeps mounts and watches below alive.
 *  0 u64 parent  8 u32 namelen  12 u32 flags  16 name and NUL
 */
export function encodeInvalEntry(
  out: Buffer,
  at: number,
  parent: number,
  name: ByteString,
  expireOnly: boolean,
): number {
  const size = OUT_HEADER_SIZE + 16 + name.length + 1;
  const body = at + OUT_HEADER_SIZE;
  writeNotifyHeader(out, at, NotifyCode.INVAL_ENTRY, size);
  writeU64(out, body, parent);
  out.writeUInt32LE(name.length, body + 8);
  out.writeUInt32LE(expireOnly ? InvalEntryFlag.EXPIRE_ONLY : 0, body + 12);
  writeName(out, body + 16, name);
  return size;
}

/**
 * The name is gone, and it was `child`: also wakes watches (inotify) of it. Does nothing where the name
 * stands for another node by now.
 *  0 u64 parent  8 u64 child  16 u32 namelen  20 u32 padding  24 name and NUL
 */
export function encodeDelete(
  out: Buffer,
  at: number,
  parent: number,
  child: number,
  name: ByteString,
): number {
  const size = OUT_HEADER_SIZE + 24 + name.length + 1;
  const body = at + OUT_HEADER_SIZE;
  writeNotifyHeader(out, at, NotifyCode.DELETE, size);
  writeU64(out, body, parent);
  writeU64(out, body + 8, child);
  out.writeUInt32LE(name.length, body + 16);
  out.writeUInt32LE(0, body + 20);
  writeName(out, body + 24, name);
  return size;
}

/**
 * Puts data into the page cache of an inode; `dataLength` bytes follow in the same writev(2).
 *  0 u64 nodeid  8 u64 offset  16 u32 size  20 u32 padding
 */
export function encodeStore(
  out: Buffer,
  at: number,
  nodeId: number,
  offset: number,
  dataLength: number,
): number {
  const size = OUT_HEADER_SIZE + 24;
  const body = at + OUT_HEADER_SIZE;
  writeNotifyHeader(out, at, NotifyCode.STORE, size + dataLength);
  writeU64(out, body, nodeId);
  writeU64(out, body + 8, offset);
  out.writeUInt32LE(dataLength, body + 16);
  out.writeUInt32LE(0, body + 20);
  return size;
}

/** Asks for all unanswered requests again, with `InitFlag2.HAS_RESEND`. For a daemon that takes over. */
export function encodeResend(out: Buffer, at: number): number {
  writeNotifyHeader(out, at, NotifyCode.RESEND, OUT_HEADER_SIZE);
  return OUT_HEADER_SIZE;
}

/** Makes every entry that the kernel holds invalid at once (7.44). */
export function encodeIncEpoch(out: Buffer, at: number): number {
  writeNotifyHeader(out, at, NotifyCode.INC_EPOCH, OUT_HEADER_SIZE);
  return OUT_HEADER_SIZE;
}

/**
 * Argument of `DeviceIoctl.BACKING_OPEN`: the descriptor whose file the kernel shall read by itself.
 *  0 i32 fd  4 u32 flags  8 u64 padding
 */
export function encodeBackingMap(out: Buffer, at: number, fd: number): number {
  out.fill(0, at, at + BACKING_MAP_SIZE);
  out.writeInt32LE(fd, at);
  return BACKING_MAP_SIZE;
}

const BACKING_MAP_SIZE = 16;
