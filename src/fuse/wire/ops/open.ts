import type { ByteString } from '../../../base/byte-string.ts';
import { ENTRY_SIZE, writeEntry, type EntryReply } from '../attr.ts';
import type { RequestCursor } from '../cursor.ts';
import { OUT_HEADER_SIZE, type ReplyAddress, type RequestHeader } from '../header.ts';
import { writeU64 } from '../numbers.ts';
import { writeOutHeader } from '../reply.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * OPEN, OPENDIR: open(2) of a known inode. Not sent at all once ENOSYS was answered and
 * `InitFlag.NO_OPEN_SUPPORT` (`NO_OPENDIR_SUPPORT`) accepted: READs then come with handle 0.
 *
 *  0 u32 flags (open(2), without O_CREAT, O_EXCL, O_NOCTTY; O_TRUNC only with
 *    `InitFlag.ATOMIC_O_TRUNC`)   4 u32 open_flags (`OpenRequestFlag`)
 *
 * Reply: `encodeOpenReply`; the handle lives until RELEASE (RELEASEDIR). If the open was interrupted
 * after the reply the kernel still sends RELEASE.
 * Errno: EACCES, EROFS, ENOENT, EISDIR, ETXTBSY, EMFILE, EIO, ESTALE, ENOSYS (see above).
 */
export interface OpenRequest extends RequestBase {
  readonly op: 'open' | 'opendir';
  readonly flags: number;
  readonly openFlags: number;
}

function decodeOpenAs(op: OpenRequest['op']): DecodeBody<OpenRequest> {
  return (header, body) => {
    const at = body.take(8);
    return { op, header, flags: body.u32(at), openFlags: body.u32(at + 4) };
  };
}

export const decodeOpen = decodeOpenAs('open');
export const decodeOpendir = decodeOpenAs('opendir');

/**
 * CREATE: open(2) with O_CREAT of a name that the kernel holds no positive entry for;
 * `header.nodeId` is the directory. ENOSYS is remembered: MKNOD and OPEN from then on.
 * TMPFILE (7.37): open(2) with O_TMPFILE; the name has no meaning.
 *
 *  0 u32 flags  4 u32 mode  8 u32 umask  12 u32 open_flags  16 name and NUL
 *
 * The umask is applied to `mode` already unless `InitFlag.DONT_MASK` was accepted.
 *
 * Reply: `encodeCreateReply`, raises the lookup count by one.
 * Errno: EACCES, EEXIST, EROFS, ENOSPC, EDQUOT, ENAMETOOLONG, EMFILE, EIO, EOPNOTSUPP (TMPFILE).
 */
export interface CreateRequest extends RequestBase {
  readonly op: 'create';
  readonly name: ByteString;
  readonly flags: number;
  readonly mode: number;
  readonly umask: number;
  readonly openFlags: number;
}

export interface TmpfileRequest extends RequestBase {
  readonly op: 'tmpfile';
  readonly flags: number;
  readonly mode: number;
  readonly umask: number;
  readonly openFlags: number;
}

function createFields(header: RequestHeader, body: RequestCursor) {
  const at = body.take(16);
  return {
    header,
    flags: body.u32(at),
    mode: body.u32(at + 4),
    umask: body.u32(at + 8),
    openFlags: body.u32(at + 12),
  };
}

export const decodeCreate: DecodeBody<CreateRequest> = (header, body) => ({
  op: 'create',
  ...createFields(header, body),
  name: body.name(),
});

export const decodeTmpfile: DecodeBody<TmpfileRequest> = (header, body) => {
  const fields = createFields(header, body);
  // The kernel sends its name for the nameless: a slash.
  body.text();
  return { op: 'tmpfile', ...fields };
};

/**
 * RELEASE, RELEASEDIR: the last user of a handle (descriptor, mapping) is gone. Sent once for each
 * handle, does not belong to the close(2) that caused it, and its error reaches nobody: report errors
 * in FLUSH.
 *
 *  0 u64 fh  8 u32 flags (of the open)  12 u32 release_flags (`ReleaseFlag`)  16 u64 lock_owner
 *
 * Reply: empty. Errno: any, ignored.
 */
export interface ReleaseRequest extends RequestBase {
  readonly op: 'release' | 'releasedir';
  readonly fh: number;
  readonly flags: number;
  readonly releaseFlags: number;
  readonly lockOwnerLow: number;
  readonly lockOwnerHigh: number;
}

function decodeReleaseAs(op: ReleaseRequest['op']): DecodeBody<ReleaseRequest> {
  return (header, body) => {
    const at = body.take(24);
    return {
      op,
      header,
      fh: body.u64(at),
      flags: body.u32(at + 8),
      releaseFlags: body.u32(at + 12),
      lockOwnerLow: body.u32(at + 16),
      lockOwnerHigh: body.u32(at + 20),
    };
  };
}

export const decodeRelease = decodeReleaseAs('release');
export const decodeReleasedir = decodeReleaseAs('releasedir');

export interface OpenReply {
  readonly fh: number;
  /** Bits of `OpenReplyFlag`. */
  readonly openFlags: number;
  /** Counts with `OpenReplyFlag.PASSTHROUGH`; 0 otherwise. */
  readonly backingId: number;
}

const OPEN_OUT_SIZE = 16;

/**  0 u64 fh  8 u32 open_flags  12 i32 backing_id */
function writeOpen(out: Buffer, at: number, reply: OpenReply): void {
  writeU64(out, at, reply.fh);
  out.writeUInt32LE(reply.openFlags, at + 8);
  out.writeInt32LE(reply.backingId, at + 12);
}

/** Reply to OPEN and OPENDIR. */
export function encodeOpenReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  reply: OpenReply,
): number {
  const length = OUT_HEADER_SIZE + OPEN_OUT_SIZE;
  writeOutHeader(out, at, to, length, 0);
  writeOpen(out, at + OUT_HEADER_SIZE, reply);
  return length;
}

/** Reply to CREATE and TMPFILE. */
export function encodeCreateReply(
  out: Buffer,
  at: number,
  to: ReplyAddress,
  entry: EntryReply,
  reply: OpenReply,
): number {
  const length = OUT_HEADER_SIZE + ENTRY_SIZE + OPEN_OUT_SIZE;
  writeOutHeader(out, at, to, length, 0);
  writeEntry(out, at + OUT_HEADER_SIZE, entry);
  writeOpen(out, at + OUT_HEADER_SIZE + ENTRY_SIZE, reply);
  return length;
}
