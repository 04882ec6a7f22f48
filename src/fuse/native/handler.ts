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

/**
 * libfuse 2 speaks in absolute paths below the mount point, `/` being its root. Handles are positive
 * and below 2^31. Operations that change something are not here: the mount refuses them itself.
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
}

/** What the mount tells besides questions. */
export interface NativeEvents {
  /** A name that the package cannot carry was asked for or left out. */
  onInexpressible(path: ByteString, reason: string): void;
  /** A handler threw something that is not a `NativeErrno`. */
  onInternalError(error: unknown): void;
}
