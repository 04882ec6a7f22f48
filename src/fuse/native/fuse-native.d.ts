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
  /** Of an operation that changes something: whatever it takes, the callback is last. */
  export type Mutation = (...args: readonly unknown[]) => void;

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
    readonly create: Mutation;
    readonly write: Mutation;
    readonly truncate: Mutation;
    readonly ftruncate: Mutation;
    readonly utimens: Mutation;
    readonly chown: Mutation;
    readonly chmod: Mutation;
    readonly mknod: Mutation;
    readonly setxattr: Mutation;
    readonly removexattr: Mutation;
    readonly unlink: Mutation;
    readonly rename: Mutation;
    readonly link: Mutation;
    readonly symlink: Mutation;
    readonly mkdir: Mutation;
    readonly rmdir: Mutation;
  }

  /** Wakes the libfuse thread that waits; exactly one call for each operation. */
  export type Signal = (status: Status, memory: ArrayBufferLike) => void;

  export default class Fuse {
    constructor(mountpoint: string, ops: FuseOperations, options: { readonly timeout: false });
    readonly ops: FuseOperations;
    mount(done: (error: Error | null) => void): void;
    /** Internal: the one `-o…` argument given to libfuse. */
    _fuseOptions(): string;
    /** Internal: `value` is memory of libfuse's, as long as the program's buffer. */
    _op_getxattr(signal: Signal, path: string, name: string, value: Buffer, position: number): void;
    /** Internal: as above. */
    _op_listxattr(signal: Signal, path: string, list: Buffer): void;
  }
}
