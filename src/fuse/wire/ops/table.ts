import { Opcode } from '../opcodes.ts';
import * as attributes from './attributes.ts';
import type { DecodeBody } from './base.ts';
import * as control from './control.ts';
import * as forget from './forget.ts';
import * as init from './init.ts';
import * as lock from './lock.ts';
import * as lookup from './lookup.ts';
import * as names from './names.ts';
import * as open from './open.ts';
import * as read from './read.ts';
import * as write from './write.ts';
import * as xattr from './xattr.ts';

/** Every message, told apart by `op`. */
export type FuseRequest =
  | attributes.AccessRequest
  | attributes.GetattrRequest
  | attributes.SetattrRequest
  | attributes.StatxRequest
  | control.BmapRequest
  | control.InterruptRequest
  | control.IoctlRequest
  | control.MappingRequest
  | control.NotifyReplyRequest
  | control.PollRequest
  | control.StatfsRequest
  | forget.BatchForgetRequest
  | forget.ForgetRequest
  | init.DestroyRequest
  | init.InitRequest
  | lock.LockRequest
  | lookup.LookupRequest
  | names.LinkRequest
  | names.MkdirRequest
  | names.MknodRequest
  | names.ReadlinkRequest
  | names.RemoveRequest
  | names.RenameRequest
  | names.SymlinkRequest
  | open.CreateRequest
  | open.OpenRequest
  | open.ReleaseRequest
  | open.TmpfileRequest
  | read.LseekRequest
  | read.ReadRequest
  | write.CopyFileRangeRequest
  | write.FallocateRequest
  | write.FlushRequest
  | write.FsyncRequest
  | write.SyncfsRequest
  | write.WriteRequest
  | xattr.GetxattrRequest
  | xattr.ListxattrRequest
  | xattr.RemovexattrRequest
  | xattr.SetxattrRequest;

/** One row for each opcode: the compiler tells when one is missing. */
const BY_NAME: Record<keyof typeof Opcode, DecodeBody<FuseRequest>> = {
  LOOKUP: lookup.decodeLookup,
  FORGET: forget.decodeForget,
  GETATTR: attributes.decodeGetattr,
  SETATTR: attributes.decodeSetattr,
  READLINK: names.decodeReadlink,
  SYMLINK: names.decodeSymlink,
  MKNOD: names.decodeMknod,
  MKDIR: names.decodeMkdir,
  UNLINK: names.decodeUnlink,
  RMDIR: names.decodeRmdir,
  RENAME: names.decodeRename,
  LINK: names.decodeLink,
  OPEN: open.decodeOpen,
  READ: read.decodeRead,
  WRITE: write.decodeWrite,
  STATFS: control.decodeStatfs,
  RELEASE: open.decodeRelease,
  FSYNC: write.decodeFsync,
  SETXATTR: xattr.decodeSetxattr,
  GETXATTR: xattr.decodeGetxattr,
  LISTXATTR: xattr.decodeListxattr,
  REMOVEXATTR: xattr.decodeRemovexattr,
  FLUSH: write.decodeFlush,
  INIT: init.decodeInit,
  OPENDIR: open.decodeOpendir,
  READDIR: read.decodeReaddir,
  RELEASEDIR: open.decodeReleasedir,
  FSYNCDIR: write.decodeFsyncdir,
  GETLK: lock.decodeGetlk,
  SETLK: lock.decodeSetlk,
  SETLKW: lock.decodeSetlkw,
  ACCESS: attributes.decodeAccess,
  CREATE: open.decodeCreate,
  INTERRUPT: control.decodeInterrupt,
  BMAP: control.decodeBmap,
  DESTROY: init.decodeDestroy,
  IOCTL: control.decodeIoctl,
  POLL: control.decodePoll,
  NOTIFY_REPLY: control.decodeNotifyReply,
  BATCH_FORGET: forget.decodeBatchForget,
  FALLOCATE: write.decodeFallocate,
  READDIRPLUS: read.decodeReaddirplus,
  RENAME2: names.decodeRename,
  LSEEK: read.decodeLseek,
  COPY_FILE_RANGE: write.decodeCopyFileRange,
  SETUPMAPPING: control.decodeSetupmapping,
  REMOVEMAPPING: control.decodeRemovemapping,
  SYNCFS: write.decodeSyncfs,
  TMPFILE: open.decodeTmpfile,
  STATX: attributes.decodeStatx,
  COPY_FILE_RANGE_64: write.decodeCopyFileRange64,
};

export const DECODERS: readonly (DecodeBody<FuseRequest> | undefined)[] = (() => {
  const decoders: (DecodeBody<FuseRequest> | undefined)[] = [];
  for (const [name, opcode] of Object.entries(Opcode)) {
    decoders[opcode] = BY_NAME[name as keyof typeof Opcode];
  }
  return decoders;
})();
