/**
 * The few libc calls that Node lacks, typed. Every call here is synchronous and blocks the calling
 * thread only; errors come back as `SystemError` with the errno's number.
 */
import { readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { SystemError } from './system-error.ts';

// null: the symbols of this process, libc among them.
const libc = koffi.load(null);

const nativePoll = libc.func('int poll(void *fds, unsigned long count, int timeoutMs)') as (
  fds: Buffer,
  count: number,
  timeoutMs: number,
) => number;
const nativeEventfd = libc.func('int eventfd(unsigned int initial, int flags)') as (
  initial: number,
  flags: number,
) => number;

const nativeFallocate = libc.func(
  'int fallocate(int fd, int mode, int64_t offset, int64_t length)',
) as (fd: number, mode: number, offset: number, length: number) => number;

/** Linux errno EINTR: a signal arrived; the call is made again. */
const EINTR = 4;
/** poll(2): data to read. */
const POLLIN = 0x001;
/** struct pollfd { int fd; short events; short revents; }, little endian. */
const POLLFD_BYTES = 8;

/** Waits for readability of a fixed set of file descriptors without allocating. */
export class Poller {
  readonly #fds: Buffer;
  readonly #count: number;

  constructor(fds: readonly number[]) {
    this.#count = fds.length;
    this.#fds = Buffer.alloc(fds.length * POLLFD_BYTES);
    fds.forEach((fd, index) => {
      this.#fds.writeInt32LE(fd, index * POLLFD_BYTES);
      this.#fds.writeInt16LE(POLLIN, index * POLLFD_BYTES + 4);
    });
  }

  /** Blocks the thread until one is ready (or hung up) or the time is over; the number ready. */
  wait(timeoutMs: number): number {
    const ready = nativePoll(this.#fds, this.#count, timeoutMs);
    if (ready >= 0) return ready;
    const errno = koffi.errno();
    if (errno === EINTR) return 0;
    throw new SystemError('poll', errno);
  }

  /** Whether the descriptor at this index was ready, hung up or in error at the last wait. */
  isReady(index: number): boolean {
    return this.#fds.readInt16LE(index * POLLFD_BYTES + 6) !== 0;
  }
}

/** EFD_CLOEXEC | EFD_NONBLOCK. */
const EVENTFD_FLAGS = 0o2000000 | 0o4000;

/** A counter that wakes a poller until it is taken. */
export function createEventfd(): number {
  const fd = nativeEventfd(0, EVENTFD_FLAGS);
  if (fd < 0) throw new SystemError('eventfd', koffi.errno());
  return fd;
}

/** What was taken is not looked at; one buffer a thread is enough. */
const TAKEN = Buffer.alloc(8);
const ONE = Buffer.alloc(8);
ONE.writeBigUInt64LE(1n);

/** Adds one: whoever polls the eventfd wakes up. */
export function signalEventfd(fd: number): void {
  writeSync(fd, ONE);
}

/** Takes the whole count; does not wait for one. */
export function takeEventfd(fd: number): void {
  try {
    readSync(fd, TAKEN, 0, TAKEN.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}

const nativeFcntl = libc.func('int fcntl(int fd, int command, int argument)') as (
  fd: number,
  command: number,
  argument: number,
) => number;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** For a descriptor that somebody else opened. */
export function setNonBlocking(fd: number): void {
  const flags = nativeFcntl(fd, F_GETFL, 0);
  if (flags < 0 || nativeFcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    throw new SystemError('fcntl', koffi.errno());
  }
}

/** FALLOC_FL_KEEP_SIZE: blocks beyond the end of the file, which stays where it is. */
const KEEP_SIZE = 0x01;
/** Linux errno ENOSPC and EDQUOT. */
const FULL_ERRNOS: readonly number[] = [28, 122];

/**
 * Has the file system set blocks aside for the file up to this length: writes up to there do not find it
 * full. 'unsupported' where it cannot tell so.
 */
export function setBlocksAside(fd: number, lengthBytes: number): 'done' | 'full' | 'unsupported' {
  for (;;) {
    if (nativeFallocate(fd, KEEP_SIZE, 0, lengthBytes) === 0) return 'done';
    const errno = koffi.errno();
    if (errno !== EINTR) return FULL_ERRNOS.includes(errno) ? 'full' : 'unsupported';
  }
}
