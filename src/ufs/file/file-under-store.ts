/**
 * A `file://` under store that this machine can reach itself (a local disk, an NFS mount): used
 * where no worker can answer. Symbolic links are followed, as Alluxio follows them, but never out
 * of the root.
 *
 * A hung file system keeps its call's thread for as long as it hangs. The caller is freed at its
 * deadline all the same, and the number of such threads is bounded, so that the rest of the
 * process keeps some of libuv's.
 */
import { constants, type BigIntStats, type Dirent } from 'node:fs';
import { lstat, open, opendir, realpath, stat, type FileHandle } from 'node:fs/promises';
import {
  bytesOfByteString,
  type ByteString,
  byteStringOfBytes,
  displayByteString,
  joinPath,
  nameOf,
} from '../../base/byte-string.ts';
import { wholeMs } from '../../base/file-time.ts';
import {
  ClusterError,
  type ByteSink,
  type CallContext,
  type FileStatus,
  type FileVersion,
} from '../../cluster/types.ts';
import type { UnderStore, UnderStoreRead, UnderStoreWrites } from '../../cluster/under-store.ts';
import { FileWrites, type Target } from './file-writes.ts';
import { errorOfSystem } from './system-errors.ts';
import { Slots } from './slots.ts';

export interface FileUnderStoreOptions {
  /** `file:///some/dir`, or the directory itself. */
  readonly root: ByteString;
  /** File system calls at once; libuv has four threads unless told otherwise. */
  readonly concurrency?: number;
}

/** One system call's worth; the sink takes it before the next. */
const chunkBytes = 256 * 1024;
const batchEntries = 1000;
/** Keeps the slots filled without queueing a whole directory. */
const statsAtOnce = 16;
/** One of libuv's four threads stays free for everybody else. */
const defaultConcurrency = 3;

export class FileUnderStore implements UnderStore {
  readonly writes: UnderStoreWrites;
  readonly #root: ByteString;
  readonly #slots: Slots;
  #realRoot: ByteString | undefined;

  constructor(options: FileUnderStoreOptions) {
    this.#root = directoryOf(options.root);
    this.#slots = new Slots(options.concurrency ?? defaultConcurrency);
    this.writes = new FileWrites({
      place: (path, context) => this.#place(path, context),
      target: (path, context) => this.#target(path, context),
      entry: (path, context) => this.#entryPlace(path, context),
      statusOf: (path, stats) => statusOf(stats, nameOf(path)),
      run: (path, context, task, discardLate) => this.#run(path, context, task, discardLate),
    });
  }

  async isReachable(context: CallContext): Promise<boolean> {
    try {
      const status = await this.stat('/' as ByteString, context);
      return status.type === 'directory';
    } catch {
      return false;
    }
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    const real = await this.#resolve(path, context);
    const status = await this.#run(path, context, () => this.#statReal(real, nameOf(path)));
    if (status === undefined) throw notFound(path);
    return status;
  }

  async *list(
    path: ByteString,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    const real = await this.#resolve(path, context);
    for await (const entries of this.#entries(path, real, context)) {
      const batch: FileStatus[] = [];
      for (let from = 0; from < entries.length; from += statsAtOnce) {
        const group = entries.slice(from, from + statsAtOnce);
        const found = await Promise.all(
          group.map((entry) => this.#entryStatus(path, real, entry, context)),
        );
        for (const status of found) if (status !== undefined) batch.push(status);
      }
      if (batch.length > 0) yield batch;
    }
  }

  async *names(
    path: ByteString,
    context: CallContext,
  ): AsyncGenerator<ByteString[], void, undefined> {
    const real = await this.#resolve(path, context);
    for await (const entries of this.#entries(path, real, context)) {
      yield entries.map((entry) => byteStringOfBytes(entry.name));
    }
  }

  async read(
    request: UnderStoreRead,
    sink: ByteSink,
    context: CallContext,
  ): Promise<{ readonly lengthBytes: number; readonly version: FileVersion }> {
    const { path, offset, lengthBytes } = request;
    const real = await this.#resolve(path, context);
    const file = await this.#run(
      path,
      context,
      // Without O_NONBLOCK, a FIFO put in place of the file would hold the thread for ever.
      () => open(bytesOfByteString(real), constants.O_RDONLY | constants.O_NONBLOCK),
      (late) => void late.close().catch(ignore),
    );
    try {
      const before = await this.#run(path, context, () => versionOf(file, path));
      const delivered = await this.#copy(file, path, offset, lengthBytes, sink, context);
      const after = await this.#run(path, context, () => versionOf(file, path));
      if (before.lengthBytes !== after.lengthBytes || before.exact !== after.exact) {
        throw new ClusterError('version-changed', 'The file changed while it was read', { path });
      }
      const { mtimeMs } = before;
      return { lengthBytes: delivered, version: { lengthBytes: before.lengthBytes, mtimeMs } };
    } finally {
      // Not waited for: a hung file system would hold the call beyond its deadline.
      void file.close().catch(ignore);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #copy(
    file: FileHandle,
    path: ByteString,
    offset: number,
    lengthBytes: number,
    sink: ByteSink,
    context: CallContext,
  ): Promise<number> {
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(chunkBytes, lengthBytes)));
    let delivered = 0;
    while (delivered < lengthBytes) {
      const wanted = Math.min(buffer.length, lengthBytes - delivered);
      const position = offset + delivered;
      const { bytesRead } = await this.#run(path, context, () =>
        file.read(buffer, 0, wanted, position),
      );
      if (bytesRead === 0) break;
      sink(buffer.subarray(0, bytesRead), delivered);
      delivered += bytesRead;
    }
    return delivered;
  }

  /**
   * The real path, which lies within the real root. (A link that is changed between this and the
   * open could still lead out; whoever can do that can write to the under store anyway.)
   */
  async #resolve(path: ByteString, context: CallContext): Promise<ByteString> {
    assertPath(path);
    const root = await this.#resolveRoot(context);
    if (path === '/') return root;
    const joined = (root === '/' ? path : `${root}${path}`) as ByteString;
    const real = await this.#run(path, context, () => realPath(joined));
    if (!liesWithin(real, root)) {
      throw new ClusterError('permission', 'A symbolic link leads out of the under store', {
        path,
      });
    }
    return real;
  }

  /**
   * Where a name is or would be. Its directory is there, and real; a link of that name is followed,
   * as workers write through it.
   */
  async #place(path: ByteString, context: CallContext): Promise<ByteString> {
    assertPath(path);
    const name = nameOf(path);
    if (name === '') throw new ClusterError('exists', 'The root cannot be replaced', { path });
    try {
      return await this.#resolve(path, context);
    } catch (error) {
      if (!(error instanceof ClusterError) || error.code !== 'not-found') throw error;
    }
    return this.#entryPlace(path, context);
  }

  /** The same, and what is there. */
  async #target(path: ByteString, context: CallContext): Promise<Target> {
    assertPath(path);
    const name = nameOf(path);
    if (name === '') throw new ClusterError('exists', 'The root cannot be replaced', { path });
    const root = await this.#resolveRoot(context);
    const parent = path.slice(0, path.length - name.length - 1) as ByteString;
    const plain = `${root === '/' ? '' : root}${parent}` as ByteString;
    const [directory, found] = await Promise.all([
      this.#resolve((parent === '' ? '/' : parent) as ByteString, context),
      this.#run(path, context, () => lookAt(joinPath(plain, name))),
    ]);
    // As nearly always: no link on the way.
    if (directory === plain && found?.isSymbolicLink() !== true) {
      return { place: joinPath(directory, name), old: found };
    }
    const place = await this.#place(path, context);
    return { place, old: await this.#run(path, context, () => lookAt(place)) };
  }

  /** The same, but a link is the name itself. */
  async #entryPlace(path: ByteString, context: CallContext): Promise<ByteString> {
    assertPath(path);
    const name = nameOf(path);
    const parent = path.slice(0, path.length - name.length - 1);
    const directory = await this.#resolve((parent === '' ? '/' : parent) as ByteString, context);
    return joinPath(directory, name);
  }

  async #resolveRoot(context: CallContext): Promise<ByteString> {
    if (this.#realRoot !== undefined) return this.#realRoot;
    try {
      this.#realRoot = await this.#run(this.#root, context, () => realPath(this.#root));
    } catch (error) {
      // A root that is missing is a store that is not mounted: nothing is known of any path.
      if (error instanceof ClusterError && error.code !== 'timeout' && error.code !== 'cancelled') {
        throw new ClusterError('unavailable', 'The root of the under store cannot be reached', {
          path: this.#root,
          retryable: true,
          cause: error,
        });
      }
      throw error;
    }
    return this.#realRoot;
  }

  async *#entries(
    path: ByteString,
    real: ByteString,
    context: CallContext,
  ): AsyncGenerator<Dirent<Buffer>[]> {
    const directory = await this.#run(path, context, () => openDirectory(real), closeDirectory);
    try {
      for (;;) {
        const batch = await this.#run(path, context, () => nextEntries(directory));
        if (batch.length > 0) yield batch;
        if (batch.length < batchEntries) return;
      }
    } finally {
      closeDirectory(directory);
    }
  }

  async #entryStatus(
    path: ByteString,
    real: ByteString,
    entry: Dirent<Buffer>,
    context: CallContext,
  ): Promise<FileStatus | undefined> {
    const name = byteStringOfBytes(entry.name);
    const target = joinPath(real, name);
    const at = joinPath(path, name);
    try {
      if (!entry.isSymbolicLink()) {
        return await this.#run(at, context, () => this.#statReal(target, name));
      }
      return { ...(await this.stat(at, context)), name };
    } catch (error) {
      // Gone in between, a link to nowhere or out of the root: not an entry of this directory.
      if (error instanceof ClusterError && hiddenCodes.has(error.code)) return undefined;
      throw error;
    }
  }

  /** Undefined for what is neither file nor directory: Alluxio shows none of those. */
  async #statReal(real: ByteString, name: ByteString): Promise<FileStatus | undefined> {
    return statusOf(await stat(bytesOfByteString(real), { bigint: true }), name);
  }

  /** Under the deadline, a slot, and with errors in our own words. */
  async #run<T>(
    path: ByteString,
    context: CallContext,
    task: () => Promise<T>,
    discardLate?: (value: T) => void,
  ): Promise<T> {
    try {
      return await this.#slots.run(task, path, context, discardLate);
    } catch (error) {
      throw errorOfSystem(error, path);
    }
  }
}

const hiddenCodes: ReadonlySet<string> = new Set(['not-found', 'not-a-directory', 'permission']);

function statusOf(stats: BigIntStats, name: ByteString): FileStatus | undefined {
  const isFile = stats.isFile();
  if (!isFile && !stats.isDirectory()) return undefined;
  return {
    name,
    type: isFile ? 'file' : 'directory',
    lengthBytes: isFile ? Number(stats.size) : 0,
    mtimeMs: wholeMs(stats.mtimeNs),
  };
}

/** Not through a link. Undefined where there is nothing. */
function lookAt(path: ByteString): Promise<BigIntStats | undefined> {
  return lstat(bytesOfByteString(path), { bigint: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
}

function realPath(path: ByteString): Promise<ByteString> {
  return realpath(bytesOfByteString(path), { encoding: 'buffer' }).then(byteStringOfBytes);
}

interface Directory {
  read(): Promise<Dirent<Buffer> | null>;
  close(): Promise<void>;
}

async function openDirectory(path: ByteString): Promise<Directory> {
  // Node's types know no names in bytes here; Node does.
  const encoding = 'buffer' as unknown as BufferEncoding;
  const directory = await opendir(bytesOfByteString(path), { encoding, bufferSize: 256 });
  return directory as unknown as Directory;
}

async function nextEntries(directory: Directory): Promise<Dirent<Buffer>[]> {
  const batch: Dirent<Buffer>[] = [];
  while (batch.length < batchEntries) {
    const entry = await directory.read();
    if (entry === null) break;
    batch.push(entry);
  }
  return batch;
}

function closeDirectory(directory: Directory): void {
  void directory.close().catch(ignore);
}

async function versionOf(
  file: FileHandle,
  path: ByteString,
): Promise<{ lengthBytes: number; mtimeMs: number; exact: string }> {
  const stats = await file.stat({ bigint: true });
  if (stats.isDirectory()) throw new ClusterError('is-a-directory', 'It is a directory', { path });
  if (!stats.isFile()) throw notFound(path);
  return {
    lengthBytes: Number(stats.size),
    mtimeMs: wholeMs(stats.mtimeNs),
    exact: `${stats.mtimeNs} ${stats.ctimeNs}`,
  };
}

function liesWithin(real: ByteString, root: ByteString): boolean {
  return root === '/' || real === root || real.startsWith(`${root}/`);
}

function assertPath(path: ByteString): void {
  const parts = path.split('/');
  const odd =
    !path.startsWith('/') || path.includes('\0') || parts.includes('..') || parts.includes('.');
  if (odd) {
    throw new ClusterError('permission', 'Not a path within the under store', {
      path: displayByteString(path),
    });
  }
}

function directoryOf(root: ByteString): ByteString {
  const path = root.replace(/^file:(?:\/\/)?(?=\/)/, '').replace(/(?<=.)\/+$/, '');
  if (!path.startsWith('/')) {
    throw new ClusterError('unsupported', 'The root of a file under store is not file:///…', {
      path: displayByteString(root),
    });
  }
  return path as ByteString;
}

function notFound(path: ByteString): ClusterError {
  return new ClusterError('not-found', 'No such file or directory', { path });
}

function ignore(): void {
  // A failed close of something only read loses nothing.
}
