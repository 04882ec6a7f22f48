/** Request codes of the Linux FUSE protocol, up to 7.45. 7 and 19 were never given out. */
export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

export type OpcodeName = keyof typeof Opcode;

const NAMES: readonly (OpcodeName | undefined)[] = (() => {
  const names: (OpcodeName | undefined)[] = [];
  for (const [name, code] of Object.entries(Opcode)) names[code] = name as OpcodeName;
  return names;
})();

/** For logs and metrics: `LOOKUP`, or `opcode 99` for a number that has no name here. */
export function opcodeName(opcode: number): string {
  return NAMES[opcode] ?? `opcode ${opcode}`;
}

/**
 * False for the messages that the kernel does not wait on: a reply to one of them is refused with
 * ENOENT. INTERRUPT may be answered, but only to say EAGAIN (send it again later) or ENOSYS.
 */
export function opcodeWantsReply(opcode: number): boolean {
  return (
    opcode !== Opcode.FORGET &&
    opcode !== Opcode.BATCH_FORGET &&
    opcode !== Opcode.INTERRUPT &&
    opcode !== Opcode.NOTIFY_REPLY
  );
}

/** What goes into the `error` field of a message that we send unasked (`unique` is 0). */
export const NotifyCode = {
  POLL: 1,
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  STORE: 4,
  RETRIEVE: 5,
  DELETE: 6,
  /** 7.40: queue again, marked as resent, every request that was read but not answered. */
  RESEND: 7,
  /** 7.44: every directory entry that the kernel holds becomes invalid at once. */
  INC_EPOCH: 8,
  /** 7.45: try to drop unused inodes by node id. */
  PRUNE: 9,
} as const;
