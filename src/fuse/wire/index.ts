/**
 * The Linux FUSE protocol, 7.31 to 7.45, little-endian: bytes in, typed requests out; typed replies in,
 * bytes out. Knows no descriptors, no file system and no policy.
 *
 * - `RequestDecoder.decode` turns what read(2) returned into a `FuseRequest`, or throws `WireError` and
 *   nothing else. Each message is described beside its decoder in ops/: layout, when the kernel sends it,
 *   valid replies, usual errnos, effect on the lookup count.
 * - `encode…` writes a reply or notification into a buffer of the caller and returns its length. A reply
 *   goes to the `header` of its request.
 * - Node ids, handles and offsets are plain numbers up to 2^53; names are `ByteString`s.
 */
export { RequestDecoder } from './decoder.ts';
export { WireError, type WireErrorCode } from './error.ts';
export { Errno, type ErrnoCode, type ErrnoName } from './errno.ts';
export * from './flags.ts';
export {
  IN_HEADER_SIZE,
  OUT_HEADER_SIZE,
  requestBufferSize,
  type ReplyAddress,
  type RequestHeader,
} from './header.ts';
export { OFFSET_MAX } from './numbers.ts';
export { NotifyCode, Opcode, opcodeName, opcodeWantsReply, type OpcodeName } from './opcodes.ts';

export type { FuseRequest } from './ops/table.ts';
export type {
  AccessRequest,
  GetattrRequest,
  SetattrRequest,
  StatxRequest,
} from './ops/attributes.ts';
export type {
  BmapRequest,
  InterruptRequest,
  IoctlRequest,
  MappingRequest,
  NotifyReplyRequest,
  PollRequest,
  StatfsReply,
  StatfsRequest,
} from './ops/control.ts';
export type { BatchForgetRequest, ForgetRequest } from './ops/forget.ts';
export type { DestroyRequest, InitReply, InitRequest } from './ops/init.ts';
export type { FileLock, LockRequest } from './ops/lock.ts';
export type { LookupRequest } from './ops/lookup.ts';
export type {
  LinkRequest,
  MkdirRequest,
  MknodRequest,
  ReadlinkRequest,
  RemoveRequest,
  RenameRequest,
  SymlinkRequest,
} from './ops/names.ts';
export type {
  CreateRequest,
  OpenReply,
  OpenRequest,
  ReleaseRequest,
  TmpfileRequest,
} from './ops/open.ts';
export type { LseekRequest, ReadRequest } from './ops/read.ts';
export type {
  CopyFileRangeRequest,
  FallocateRequest,
  FlushRequest,
  FsyncRequest,
  SyncfsRequest,
  WriteRequest,
} from './ops/write.ts';
export type {
  GetxattrRequest,
  ListxattrRequest,
  RemovexattrRequest,
  SetxattrRequest,
} from './ops/xattr.ts';

export { encodeDataHeader, encodeEmptyReply, encodeErrorReply, REPLY_MAX_SIZE } from './reply.ts';
export {
  encodeAttrReply,
  encodeEntryReply,
  encodeNegativeEntryReply,
  encodeStatxReply,
  StatxMask,
  type EntryReply,
  type FileAttr,
} from './attr.ts';
export { encodeIoctlReply, encodeStatfsReply } from './ops/control.ts';
export { encodeInitReply } from './ops/init.ts';
export { encodeLockReply } from './ops/lock.ts';
export { encodeCreateReply, encodeOpenReply } from './ops/open.ts';
export { encodeLseekReply } from './ops/read.ts';
export { encodeCopyReply64, encodeWriteReply } from './ops/write.ts';
export { encodeXattrSizeReply } from './ops/xattr.ts';
export { DirentPlusWriter, DirentWriter } from './dirent.ts';
export {
  encodeBackingMap,
  encodeDelete,
  encodeIncEpoch,
  encodeInvalEntry,
  encodeInvalInode,
  encodeResend,
  encodeStore,
} from './notify.ts';
