/** What whoever serves a `NativeMount` implements. */
import type { ByteString } from '../../base/byte-string.ts';
import type { ErrnoCode, FileAttr, StatfsReply } from '../wire/index.ts';

/** The way to fail: anything else thrown is a mistake and shows as EIO. */
export class NativeErrno extends Error {
  override name = 'NativeErrno';
  readonly errno: ErrnoCode;

  constructor(errno: ErrnoCode, reason: string) {
    super(reason);
    this.errno = errno;
  }
}

export interface NativeEntry {
  readonly name: ByteString;
  /** File type bits as in stat(2). */
  readonly mode: number;
}

/** What a program wants to be otherwise; what is undefined stays. */
export interface NativeChange {
  readonly lengthBytes?: number;
  readonly mode?: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly atimeMs?: number;
  readonly mtimeMs?: number;
}

/**
 * libfuse 2 speaks in absolute paths below the mount point, `/` being its root. Handles are positive
 * and below 2^31. It does not pass on who asks.
 */
export interface NativeHandler {
  getattr(path: ByteString): Promise<FileAttr>;
  /** All entries, `.` and `..` included: the package takes them as one answer. */
  readdir(path: ByteString): Promise<readonly NativeEntry[]>;
  open(path: ByteString, flags: number): Promise<number>;
  /** Fills `into` from the front; the number of bytes read, which is short only at the end. */
  read(handle: number, into: Uint8Array, offset: number): Promise<number>;
  release(handle: number): Promise<void>;
  statfs(): Promise<StatfsReply>;
  access(path: ByteString, mask: number): Promise<void>;
  /** The whole value; fitting it to the program's buffer is done here. */
  getxattr(path: ByteString, name: ByteString): Promise<Uint8Array>;
  /** Names, each ended by a zero byte. */
  listxattr(path: ByteString): Promise<Uint8Array>;
  readlink(path: ByteString): Promise<ByteString>;

  /** Of a file that was not there a moment ago; the flags of open(2) are not known. */
  create(path: ByteString, mode: number): Promise<number>;
  /** All of it, or an error. `data` is only there until the first turn of the event loop. */
  write(handle: number, data: Uint8Array, offset: number): Promise<void>;
  flush(handle: number): Promise<void>;
  fsync(handle: number): Promise<void>;
  fsyncdir(path: ByteString): Promise<void>;
  /** With the handle that it is asked through, where it is. */
  change(path: ByteString, handle: number | undefined, change: NativeChange): Promise<void>;
  /** A file, pipe, socket or device, by the type bits of the mode. */
  mknod(path: ByteString, mode: number, device: number): Promise<void>;
  mkdir(path: ByteString, mode: number): Promise<void>;
  symlink(path: ByteString, target: ByteString): Promise<void>;
  unlink(path: ByteString): Promise<void>;
  rmdir(path: ByteString): Promise<void>;
  /** Over what is there, if anything is. */
  rename(from: ByteString, to: ByteString): Promise<void>;
  /** A value of undefined removes the attribute. */
  setxattr(
    path: ByteString,
    name: ByteString,
    value: Uint8Array | undefined,
    must: 'create' | 'replace' | 'either',
  ): Promise<void>;
}

/** What the mount tells besides questions. */
export interface NativeEvents {
  /** A name that the package cannot carry was asked for or left out. */
  onInexpressible(path: ByteString, reason: string): void;
  /** A handler threw something that is not a `NativeErrno`. */
  onInternalError(error: unknown): void;
}
