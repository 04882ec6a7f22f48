/** Between the package's callbacks and a `NativeHandler`: text and bytes, results and errno values. */
import type { Done, FuseOperations, FuseStatfs } from 'fuse-native';
import { byteStringOfText, joinPath, textOfByteString } from '../../base/byte-string.ts';
import type { ByteString } from '../../base/byte-string.ts';
import { Errno } from '../wire/index.ts';
import type { FileAttr, StatfsReply } from '../wire/index.ts';
import { NativeErrno } from './handler.ts';
import type { NativeChange, NativeEntry, NativeEvents, NativeHandler } from './handler.ts';
import { bytesOfText, isExpressible, listedName } from './names.ts';

const UINT32_MAX = 2 ** 32 - 1;
const PERMISSIONS = 0o7777;
/** XATTR_CREATE and XATTR_REPLACE. */
const MUST_OF_FLAGS: readonly ('either' | 'create' | 'replace')[] = ['either', 'create', 'replace'];

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

  /** `isReadOnly`: the kernel refuses changes itself, and is not told of every close(2). */
  table(isReadOnly: boolean): FuseOperations {
    // What is missing libfuse answers with ENOSYS, which the kernel remembers and takes for "nothing
    // to do" (flush, fsync, fsyncdir of a reader), or answers itself (opendir, releasedir: a listing
    // is asked for by path, so a handle would be of no use).
    return {
      ...this.#reads(),
      ...this.#nameChanges(),
      ...this.#attributeChanges(),
      ...(isReadOnly ? {} : this.#saves()),
    };
  }

  #reads() {
    const handler = this.#handler;
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
      release: (_path, handle, done) => this.#do(() => handler.release(handle), done),
      statfs: (_path, done) =>
        this.#run(
          async () => statfsOf(await handler.statfs()),
          (status, statfs) => done(status, statfs),
        ),
      access: (path, mask, done) => this.#do(() => handler.access(this.#path(path), mask), done),
      readlink: (path, done) =>
        this.#run(
          async () => this.#text(path, await handler.readlink(this.#path(path))),
          (status, target) => done(status, target),
        ),
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
    } satisfies Partial<FuseOperations>;
  }

  #nameChanges() {
    const handler = this.#handler;
    return {
      create: (path, mode, done) =>
        this.#run(
          async () => await handler.create(this.#path(path), mode),
          (status, handle) => done(status, handle),
        ),
      mknod: (path, mode, device, done) =>
        this.#do(() => handler.mknod(this.#path(path), mode, device), done),
      unlink: (path, done) => this.#do(() => handler.unlink(this.#path(path)), done),
      rename: (from, to, done) =>
        this.#do(() => handler.rename(this.#path(from), this.#path(to)), done),
      // A file of the cluster has one name.
      link: (_from, _to, done) => done(-Errno.EPERM),
      symlink: (target, path, done) =>
        this.#do(() => handler.symlink(this.#path(path), this.#path(target)), done),
      mkdir: (path, mode, done) => this.#do(() => handler.mkdir(this.#path(path), mode), done),
      rmdir: (path, done) => this.#do(() => handler.rmdir(this.#path(path)), done),
    } satisfies Partial<FuseOperations>;
  }

  #attributeChanges() {
    const handler = this.#handler;
    const change = (
      path: string,
      handle: number | undefined,
      wanted: NativeChange,
      done: Done,
    ): void => this.#do(() => handler.change(this.#path(path), handle, wanted), done);
    return {
      write: (_path, handle, data, lengthBytes, offset, done) =>
        this.#run(
          async () => await handler.write(handle, data.subarray(0, lengthBytes), offset),
          (status) => done(status === 0 ? lengthBytes : status),
        ),
      truncate: (path, lengthBytes, done) => change(path, undefined, { lengthBytes }, done),
      ftruncate: (path, handle, lengthBytes, done) => change(path, handle, { lengthBytes }, done),
      utimens: (path, atimeMs, mtimeMs, done) => {
        if (Number.isNaN(mtimeMs)) done(-Errno.EOPNOTSUPP);
        else change(path, undefined, { atimeMs, mtimeMs }, done);
      },
      chown: (path, uid, gid, done) =>
        change(path, undefined, { uid: idOf(uid), gid: idOf(gid) }, done),
      chmod: (path, mode, done) => change(path, undefined, { mode: mode & PERMISSIONS }, done),
      setxattr: (path, name, value, _position, flags, done) => {
        // The program's memory is only lent.
        const copy = Uint8Array.from(value);
        const must = MUST_OF_FLAGS[flags] ?? 'either';
        this.#do(() => handler.setxattr(this.#path(path), this.#path(name), copy, must), done);
      },
      removexattr: (path, name, done) =>
        this.#do(
          () => handler.setxattr(this.#path(path), this.#path(name), undefined, 'replace'),
          done,
        ),
    } satisfies Partial<FuseOperations>;
  }

  #saves() {
    const handler = this.#handler;
    return {
      flush: (_path, handle, done) => this.#do(() => handler.flush(handle), done),
      fsync: (_path, _isDataOnly, handle, done) => this.#do(() => handler.fsync(handle), done),
      fsyncdir: (path, _isDataOnly, _handle, done) =>
        this.#do(() => handler.fsyncdir(this.#path(path)), done),
    } satisfies Partial<FuseOperations>;
  }

  /** For what has no answer but that it is done. Whatever `work` throws counts, also at once. */
  #do(work: () => Promise<void>, done: Done): void {
    this.#run(
      async () => await work(),
      (status) => done(status),
    );
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

  /** Of a link, as the package takes it. */
  #text(path: string, target: ByteString): string {
    const text = textOfByteString(target);
    if (text !== undefined) return text;
    const reason = 'The fuse-native driver cannot express where the link leads';
    this.#events.onInexpressible(this.#path(path), reason);
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

/** As chown(2) has it; undefined: as it is. */
function idOf(id: number): number | undefined {
  return id === UINT32_MAX ? undefined : id;
}

/** The package splits times into unsigned halves: nothing before 1970, nothing finer than 1 ms. */
function attrOf(attr: FileAttr) {
  return {
    mode: attr.mode,
    size: attr.size,
    blocks: attr.blocks,
    nlink: attr.nlink,
    rdev: attr.rdev,
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
