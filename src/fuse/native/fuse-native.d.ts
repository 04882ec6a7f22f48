/** What the driver uses of the package, which has no types of its own; as of version 2.2.6. */
declare module 'fuse-native' {
  /** Zero or more for success, a negated errno for failure. */
  export type Status = number;

  /** Times in milliseconds since 1970. */
  export interface FuseStat {
    readonly mode: number;
    readonly size?: number;
    readonly blocks?: number;
    readonly nlink?: number;
    readonly uid?: number;
    readonly gid?: number;
    readonly rdev?: number;
    readonly blksize?: number;
    readonly atime?: number;
    readonly mtime?: number;
    readonly ctime?: number;
  }

  /** Every field is 32 bits wide. */
  export interface FuseStatfs {
    readonly bsize: number;
    readonly frsize: number;
    readonly blocks: number;
    readonly bfree: number;
    readonly bavail: number;
    readonly files: number;
    readonly ffree: number;
    readonly favail: number;
    readonly namemax: number;
  }

  export type Done = (status: Status) => void;
  export type DoneWith<Value> = (status: Status, value?: Value) => void;

  export interface FuseOperations {
    getattr(path: string, done: DoneWith<FuseStat>): void;
    readdir(
      path: string,
      done: (status: Status, names?: readonly string[], stats?: readonly FuseStat[]) => void,
    ): void;
    open(path: string, flags: number, done: DoneWith<number>): void;
    read(
      path: string,
      handle: number,
      into: Buffer,
      lengthBytes: number,
      offset: number,
      done: Done,
    ): void;
    release(path: string, handle: number, done: Done): void;
    statfs(path: string, done: DoneWith<FuseStatfs>): void;
    access(path: string, mask: number, done: Done): void;
    readlink(path: string, done: DoneWith<string>): void;
    getxattr(path: string, name: string, position: number, done: DoneWith<Buffer>): void;
    listxattr(path: string, done: DoneWith<Buffer>): void;
    create(path: string, mode: number, done: DoneWith<number>): void;
    /** The status is the number of bytes written. */
    write(
      path: string,
      handle: number,
      data: Buffer,
      lengthBytes: number,
      offset: number,
      done: Done,
    ): void;
    flush?(path: string, handle: number, done: Done): void;
    fsync?(path: string, isDataOnly: number, handle: number, done: Done): void;
    fsyncdir?(path: string, isDataOnly: number, handle: number, done: Done): void;
    truncate(path: string, lengthBytes: number, done: Done): void;
    ftruncate(path: string, handle: number, lengthBytes: number, done: Done): void;
    /** In milliseconds since 1970. */
    utimens(path: string, atimeMs: number, mtimeMs: number, done: Done): void;
    /** 2^32 - 1 means: as it is. */
    chown(path: string, uid: number, gid: number, done: Done): void;
    chmod(path: string, mode: number, done: Done): void;
    mknod(path: string, mode: number, device: number, done: Done): void;
    setxattr(
      path: string,
      name: string,
      value: Buffer,
      position: number,
      flags: number,
      done: Done,
    ): void;
    removexattr(path: string, name: string, done: Done): void;
    unlink(path: string, done: Done): void;
    rename(from: string, to: string, done: Done): void;
    link(from: string, to: string, done: Done): void;
    symlink(target: string, path: string, done: Done): void;
    mkdir(path: string, mode: number, done: Done): void;
    rmdir(path: string, done: Done): void;
  }

  /** Wakes the libfuse thread that waits; exactly one call for each operation. */
  export type Signal = (status: Status, memory: ArrayBufferLike) => void;

  export default class Fuse {
    constructor(mountpoint: string, ops: FuseOperations, options: { readonly timeout: false });
    readonly ops: FuseOperations;
    mount(done: (error: Error | null) => void): void;
    /** Internal: what libfuse's threads call, by the number of the operation. */
    _makeHandlerArray(): ((locals: Buffer, operation: number, ...args: unknown[]) => void)[];
    /** Internal: the one `-o…` argument given to libfuse. */
    _fuseOptions(): string;
    /** Internal: `value` is memory of libfuse's, as long as the program's buffer. */
    _op_getxattr(signal: Signal, path: string, name: string, value: Buffer, position: number): void;
    /** Internal: as above. */
    _op_listxattr(signal: Signal, path: string, list: Buffer): void;
  }
}
