/** Bits of the protocol's flag words, grouped by the field that carries them. */

export const PROTOCOL_MAJOR = 7;
/** Newest minor whose layouts are known here; the kernel settles on the smaller of the two. */
export const PROTOCOL_MINOR = 45;
/** Oldest minor served (Linux 5.4): every layout here holds from it on. */
export const PROTOCOL_MINOR_OLDEST = 31;

export const ROOT_NODE_ID = 1;

/** First flag word of INIT. Bit 31 is reserved by the protocol. */
export const InitFlag = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  FILE_OPS: 1 << 2,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  SPLICE_WRITE: 1 << 7,
  SPLICE_MOVE: 1 << 8,
  SPLICE_READ: 1 << 9,
  FLOCK_LOCKS: 1 << 10,
  HAS_IOCTL_DIR: 1 << 11,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  /** Answering ENOSYS to the first OPEN makes opens of files zero-message. */
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  HANDLE_KILLPRIV: 1 << 19,
  POSIX_ACL: 1 << 20,
  ABORT_ERROR: 1 << 21,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  EXPLICIT_INVAL_DATA: 1 << 25,
  MAP_ALIGNMENT: 1 << 26,
  SUBMOUNTS: 1 << 27,
  HANDLE_KILLPRIV_V2: 1 << 28,
  /** Changes the layout of SETXATTR: tell the decoder when it was accepted. */
  SETXATTR_EXT: 1 << 29,
  /** The second flag word counts. */
  INIT_EXT: 1 << 30,
} as const;

/** Second flag word of INIT (bits 32 to 63 of the whole), valid with `InitFlag.INIT_EXT`. */
export const InitFlag2 = {
  SECURITY_CTX: 1 << 0,
  HAS_INODE_DAX: 1 << 1,
  CREATE_SUPP_GROUP: 1 << 2,
  HAS_EXPIRE_ONLY: 1 << 3,
  DIRECT_IO_ALLOW_MMAP: 1 << 4,
  PASSTHROUGH: 1 << 5,
  NO_EXPORT_SUPPORT: 1 << 6,
  HAS_RESEND: 1 << 7,
  ALLOW_IDMAP: 1 << 8,
  OVER_IO_URING: 1 << 9,
  REQUEST_TIMEOUT: 1 << 10,
} as const;

/** `openFlags` of the replies to OPEN, OPENDIR, CREATE and TMPFILE. */
export const OpenReplyFlag = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NONSEEKABLE: 1 << 2,
  CACHE_DIR: 1 << 3,
  STREAM: 1 << 4,
  NOFLUSH: 1 << 5,
  PARALLEL_DIRECT_WRITES: 1 << 6,
  PASSTHROUGH: 1 << 7,
} as const;

/** `openFlags` of the requests OPEN and CREATE. */
export const OpenRequestFlag = { KILL_SUIDGID: 1 << 0 } as const;

/** `valid` of SETATTR: which fields are to be set. */
export const SetattrValid = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

export const GetattrFlag = { FH: 1 << 0 } as const;
export const ReadFlag = { LOCKOWNER: 1 << 1 } as const;
export const WriteFlag = {
  /** Written back from the page cache: the handle is only one of those that could have caused it. */
  CACHE: 1 << 0,
  LOCKOWNER: 1 << 1,
  KILL_SUIDGID: 1 << 2,
} as const;
export const ReleaseFlag = { FLUSH: 1 << 0, FLOCK_UNLOCK: 1 << 1 } as const;
export const FsyncFlag = { FDATASYNC: 1 << 0 } as const;
export const LockFlag = { FLOCK: 1 << 0 } as const;
export const AttrFlag = { SUBMOUNT: 1 << 0, DAX: 1 << 1 } as const;
export const InvalEntryFlag = { EXPIRE_ONLY: 1 << 0 } as const;

/** Whence values that reach us in LSEEK; the others are handled by the kernel. */
export const Seek = { DATA: 3, HOLE: 4 } as const;

/** `type` of a directory entry: the file type bits of the mode, shifted right by 12. */
export const DirentType = {
  UNKNOWN: 0,
  FIFO: 1,
  CHR: 2,
  DIR: 4,
  BLK: 6,
  REG: 8,
  LNK: 10,
  SOCK: 12,
} as const;

/** Request numbers of ioctl(2) on the /dev/fuse descriptor itself. */
export const DeviceIoctl = {
  /** in: u32, the descriptor of the connection that this one shall join. */
  CLONE: 0x8004e500,
  /** in: the 16 bytes of `encodeBackingMap`; the result is the backing id. */
  BACKING_OPEN: 0x4010e501,
  /** in: u32, the backing id. */
  BACKING_CLOSE: 0x4004e502,
  /** Makes the mount call wait for the reply to INIT. */
  SYNC_INIT: 0xe503,
} as const;
