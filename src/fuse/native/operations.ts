/** Between the package's callbacks and a `NativeHandler`: text and bytes, results and errno values. */
import type { FuseOperations, FuseStatfs } from 'fuse-native';
import { byteStringOfText, joinPath } from '../../base/byte-string.ts';
import type { ByteString } from '../../base/byte-string.ts';
import { Errno } from '../wire/index.ts';
import type { FileAttr, StatfsReply } from '../wire/index.ts';
import { NativeErrno } from './handler.ts';
import type { NativeEntry, NativeEvents, NativeHandler } from './handler.ts';
import { bytesOfText, isExpressible, listedName } from './names.ts';

const UINT32_MAX = 2 ** 32 - 1;

export class Operations {
  readonly #handler: NativeHandler;
  readonly #events: NativeEvents;
  #isAbandoned = false;

  constructor(handler: NativeHandler, events: NativeEvents) {
    this.#handler = handler;
    this.#events = events;
  }

  /**
   * Answers nothing any more. Once the kernel has dropped the connection libfuse ends its threads,
   * and an answer would be written into the stack of one that is gone.
   */
  abandon(): void {
    this.#isAbandoned = true;
  }

  table(): FuseOperations {
    const handler = this.#handler;
    const refuse = (...args: readonly unknown[]): void => {
      (args.at(-1) as (status: number) => void)(-Errno.EROFS);
    };
    // What is missing here libfuse answers with ENOSYS, which the kernel remembers and takes for
    // "nothing to do" (flush, fsync, fsyncdir), or answers itself (opendir, releasedir: a listing
    // is asked for by path, so a handle would be of no use).
    return {
      getattr: (path, done) =>
        this.#run(
          async () => attrOf(await handler.getattr(this.#path(path))),
          (status, stat) => done(status, stat),
        ),
      readdir: (path, done) =>
        this.#run(
          async () => this.#listed(this.#path(path), await handler.readdir(this.#path(path))),
          (status, listed) => done(status, listed?.names, listed?.stats),
        ),
      open: (path, flags, done) =>
        this.#run(
          async () => await handler.open(this.#path(path), flags),
          (status, handle) => done(status, handle),
        ),
      read: (_path, handle, into, lengthBytes, offset, done) =>
        this.#run(
          async () => await handler.read(handle, into.subarray(0, lengthBytes), offset),
          (status, bytesRead) => done(bytesRead ?? status),
        ),
      release: (_path, handle, done) =>
        this.#run(
          async () => await handler.release(handle),
          (status) => done(status),
        ),
      statfs: (_path, done) =>
        this.#run(
          async () => statfsOf(await handler.statfs()),
          (status, statfs) => done(status, statfs),
        ),
      access: (path, mask, done) =>
        this.#run(
          async () => await handler.access(this.#path(path), mask),
          (status) => done(status),
        ),
      // There are no links here.
      readlink: (_path, done) => done(-Errno.EINVAL),
      getxattr: (path, name, _position, done) =>
        this.#run(
          async () => bufferOf(await handler.getxattr(this.#path(path), this.#path(name))),
          (status, value) => done(status, value),
        ),
      listxattr: (path, done) =>
        this.#run(
          async () => bufferOf(await handler.listxattr(this.#path(path))),
          (status, list) => done(status, list),
        ),
      create: refuse,
      write: refuse,
      truncate: refuse,
      ftruncate: refuse,
      utimens: refuse,
      chown: refuse,
      chmod: refuse,
      mknod: refuse,
      setxattr: refuse,
      removexattr: refuse,
      unlink: refuse,
      rename: refuse,
      link: refuse,
      symlink: refuse,
      mkdir: refuse,
      rmdir: refuse,
    };
  }

  /** Answers exactly once; never in the same turn, so that no handler runs inside another. */
  #run<Value>(work: () => Promise<Value>, done: (status: number, value?: Value) => void): void {
    void this.#answer(work, done);
  }

  async #answer<Value>(
    work: () => Promise<Value>,
    done: (status: number, value?: Value) => void,
  ): Promise<void> {
    let status = 0;
    let value: Value | undefined;
    try {
      value = await work();
    } catch (error) {
      if (error instanceof NativeErrno) status = -error.errno;
      else {
        status = -Errno.EIO;
        if (!this.#isAbandoned) this.#events.onInternalError(error);
      }
    }
    if (!this.#isAbandoned) done(status, value);
  }

  #path(text: string): ByteString {
    const bytes = bytesOfText(text);
    if (bytes !== undefined) return bytes;
    const reason = 'The fuse-native driver cannot tell names that are not valid UTF-8 apart';
    this.#events.onInexpressible(byteStringOfText(text), reason);
    throw new NativeErrno(Errno.EIO, reason);
  }

  #listed(path: ByteString, entries: readonly NativeEntry[]) {
    const names: string[] = [];
    const stats: { readonly mode: number }[] = [];
    const shownLossy = new Set<string>();
    for (const { name, mode } of entries) {
      const text = listedName(name);
      if (!isExpressible(name)) {
        this.#events.onInexpressible(
          joinPath(path, name),
          'The fuse-native driver cannot express it',
        );
        // Several names may look the same; one that stands for all is enough.
        if (text === undefined || shownLossy.has(text)) continue;
        shownLossy.add(text);
      }
      names.push(text as string);
      stats.push({ mode });
    }
    return { names, stats };
  }
}

/** The package splits times into unsigned halves: nothing before 1970, nothing finer than 1 ms. */
function attrOf(attr: FileAttr) {
  return {
    mode: attr.mode,
    size: attr.size,
    blocks: attr.blocks,
    nlink: attr.nlink,
    uid: attr.uid,
    gid: attr.gid,
    blksize: attr.blksize,
    atime: Math.max(0, Math.floor(attr.atimeMs)),
    mtime: Math.max(0, Math.floor(attr.mtimeMs)),
    ctime: Math.max(0, Math.floor(attr.ctimeMs)),
  };
}

/** Counts of 32 bits: a store of a petabyte is counted in larger blocks. */
function statfsOf(statfs: StatfsReply): FuseStatfs {
  let scale = 1;
  while (statfs.blocks / scale > UINT32_MAX) scale *= 2;
  const scaled = (blocks: number): number => Math.floor(blocks / scale);
  const files = (count: number): number => Math.min(count, UINT32_MAX);
  return {
    bsize: statfs.bsize * scale,
    frsize: statfs.frsize * scale,
    blocks: scaled(statfs.blocks),
    bfree: scaled(statfs.bfree),
    bavail: scaled(statfs.bavail),
    files: files(statfs.files),
    ffree: files(statfs.ffree),
    favail: files(statfs.ffree),
    namemax: statfs.namelen,
  };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
