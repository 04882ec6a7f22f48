/**
 * A socket pair over which another process sends an open file descriptor (SCM_RIGHTS): the way
 * fusermount3 hands over a mounted /dev/fuse to who is not root.
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { SystemError } from './system-error.ts';

const libc = koffi.load(null);
const nativeSocketpair = libc.func(
  'int socketpair(int domain, int type, int protocol, void *fds)',
) as (domain: number, type: number, protocol: number, fds: Buffer) => number;
const nativeRecvmsg = libc.func('int64_t recvmsg(int fd, void *message, int flags)') as (
  fd: number,
  message: Buffer,
  flags: number,
) => number;

const AF_UNIX = 1;
/** SOCK_STREAM | SOCK_CLOEXEC. */
const SOCKET_TYPE = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** MSG_DONTWAIT | MSG_CMSG_CLOEXEC. */
const RECEIVE_FLAGS = 0x40 | 0x40000000;

/*
 * 64-bit Linux:
 * msghdr:  0 name  8 namelen  16 iov  24 iovlen  32 control  40 controllen  48 flags
 * cmsghdr: 0 u64 len  8 i32 level  12 i32 type  16 data
 */
const MSGHDR_BYTES = 56;
const CMSG_BYTES = 24;
const CMSG_LENGTH = 20;

export class FdReceiver {
  /** The end for the other process. */
  readonly theirs: number;
  readonly #ours: number;

  constructor() {
    const fds = Buffer.alloc(8);
    if (nativeSocketpair(AF_UNIX, SOCKET_TYPE, 0, fds) !== 0) {
      throw new SystemError('socketpair', koffi.errno());
    }
    this.#ours = fds.readInt32LE(0);
    this.theirs = fds.readInt32LE(4);
  }

  /** The descriptor that was sent, or undefined when none has been; never waits. */
  receive(): number | undefined {
    const data = Buffer.alloc(8);
    const iov = Buffer.alloc(16);
    iov.writeBigUInt64LE(koffi.address(data), 0);
    iov.writeBigUInt64LE(1n, 8);
    const control = Buffer.alloc(CMSG_BYTES);
    const message = Buffer.alloc(MSGHDR_BYTES);
    message.writeBigUInt64LE(koffi.address(iov), 16);
    message.writeBigUInt64LE(1n, 24);
    message.writeBigUInt64LE(koffi.address(control), 32);
    message.writeBigUInt64LE(BigInt(CMSG_BYTES), 40);
    if (nativeRecvmsg(this.#ours, message, RECEIVE_FLAGS) <= 0) return undefined;
    const isRights =
      control.readBigUInt64LE(0) === BigInt(CMSG_LENGTH) &&
      control.readInt32LE(8) === SOL_SOCKET &&
      control.readInt32LE(12) === SCM_RIGHTS;
    return isRights ? control.readInt32LE(16) : undefined;
  }

  close(): void {
    closeSync(this.#ours);
    closeSync(this.theirs);
  }
}
