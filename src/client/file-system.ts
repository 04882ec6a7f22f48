/**
 * The name space by path: what Alluxio's Python file system offers, under the same names in
 * camelCase. Shows what a mount shows: names that this project keeps for itself are hidden, and
 * times, modes and links that mounts keep beside the files are there.
 */
import { stat } from 'node:fs/promises';
import { type ByteString, joinPath, nameOf } from '../base/byte-string.ts';
import type { Worker } from '../cluster/index.ts';
import type { MountConfig } from '../config/index.ts';
import type { NodeStatus } from '../store/index.ts';
import { BaseClient, closedOnFailure } from './base-client.ts';
import * as changes from './changes.ts';
import type { MkdirOptions, RmOptions } from './changes.ts';
import { AlluxioClient } from './client.ts';
import { configurationOf } from './configuration.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { CopyOptions } from './copy.ts';
import { downloadFile, downloadTree, type TransferOptions } from './download.ts';
import { AlluxioError, asAlluxioError, hasCode, shownPath } from './errors.ts';
import { AlluxioReadFile, AlluxioWriteFile } from './file.ts';
import { matchesName } from './glob.ts';
import { localPath } from './local-path.ts';
import { checkConcurrency, placeOf, pythonRange, rangeOf, type Range } from './numbers.ts';
import { infoOfNode, mustNameFile } from './paths.ts';
import type { Scope } from './scope.ts';
import { entriesOf, globOf, treeOf, type TreeEntry } from './tree.ts';
import type { CallOptions, ClientOptions, Data, EntryType, FileInfo, PathLike } from './types.ts';
import { uploadFile, uploadTree } from './upload.ts';

export interface OpenOptions extends CallOptions {
  /** `r`, `w` (anew), `a` (behind what is there) or `x` (must not exist); a `b` changes nothing. */
  readonly mode?: string | undefined;
  /** How much a small read fetches; the page size when left out. */
  readonly blockSize?: number | undefined;
}

export interface ReadOptions extends CallOptions {
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
}

export interface FindOptions extends CallOptions {
  readonly maxDepth?: number | undefined;
  readonly type?: EntryType | undefined;
  /** Pattern for the name, as of a shell. */
  readonly name?: string | undefined;
  /** In bytes. */
  readonly minSize?: number | undefined;
  readonly maxSize?: number | undefined;
}

export interface WalkStep {
  readonly path: string;
  readonly directories: readonly FileInfo[];
  readonly files: readonly FileInfo[];
}

export interface DiskUsage {
  readonly path: string;
  readonly size: number;
  readonly files: number;
  readonly directories: number;
}

export class AlluxioFileSystem extends BaseClient {
  /** The same cluster, as its workers tell it. Closing one of them closes both. */
  readonly client: AlluxioClient;

  private constructor(connection: Connection) {
    super(connection);
    this.client = AlluxioClient.over(connection);
  }

  /** Waits until the members of the cluster are known. */
  static async open(options: ClientOptions = {}, call?: CallOptions): Promise<AlluxioFileSystem> {
    const system = await AlluxioFileSystem.openWith(configurationOf(options), options, call);
    const { preloadPath } = options;
    if (preloadPath !== undefined) {
      await closedOnFailure(system, system.client.submitLoad(preloadPath, call));
    }
    return system;
  }

  /** From a configuration that is complete, as the command line has it. */
  static async openWith(
    config: MountConfig,
    options: ConnectionOptions = {},
    call?: CallOptions,
  ): Promise<AlluxioFileSystem> {
    try {
      return new AlluxioFileSystem(await Connection.open(config, options, call));
    } catch (error) {
      throw asAlluxioError(error, 'open');
    }
  }

  /**
   * Takes up what a process that was killed on this machine left half done: as the first change does, for
   * those who look before they change something.
   */
  recover(options?: CallOptions): Promise<void> {
    return this.call('recover', '/', options, async () => void (await this.connection.store()));
  }

  /** Of a directory its entries, of a file itself. Without `detail` only the paths. */
  ls(path: PathLike, options: CallOptions & { readonly detail: false }): Promise<string[]>;
  ls(
    path: PathLike,
    options?: CallOptions & { readonly detail?: true | undefined },
  ): Promise<FileInfo[]>;
  ls(
    path: PathLike,
    options?: CallOptions & { readonly detail?: boolean | undefined },
  ): Promise<FileInfo[] | string[]>;
  ls(
    path: PathLike,
    options: CallOptions & { readonly detail?: boolean | undefined } = {},
  ): Promise<FileInfo[] | string[]> {
    return this.call('ls', path, options, async (at, scope) => {
      const found: FileInfo[] = [];
      for await (const info of this.#list(at, scope)) found.push(info);
      found.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
      return options.detail === false ? found.map((info) => info.path) : found;
    });
  }

  /** The same, as listings bring it, for directories of any size. */
  scan(path: PathLike, options?: CallOptions): AsyncGenerator<FileInfo, void, undefined> {
    return this.stream('scan', path, options, (at, scope) => this.#list(at, scope));
  }

  info(path: PathLike, options?: CallOptions): Promise<FileInfo> {
    return this.call('info', path, options, async (at, scope) =>
      infoOfNode(at, await changes.statOf(this.connection, at, scope)),
    );
  }

  isdir(path: PathLike, options?: CallOptions): Promise<boolean> {
    return this.#isKind('isdir', path, options, (node) => node?.kind === 'directory');
  }

  isfile(path: PathLike, options?: CallOptions): Promise<boolean> {
    return this.#isKind('isfile', path, options, (node) => node?.kind === 'file');
  }

  exists(path: PathLike, options?: CallOptions): Promise<boolean> {
    return this.#isKind('exists', path, options, (node) => node !== undefined);
  }

  open(
    path: PathLike,
    options?: OpenOptions & { readonly mode?: 'r' | 'rb' | undefined },
  ): Promise<AlluxioReadFile>;
  open(
    path: PathLike,
    options: OpenOptions & { readonly mode: 'w' | 'wb' | 'a' | 'ab' | 'x' | 'xb' },
  ): Promise<AlluxioWriteFile>;
  open(path: PathLike, options?: OpenOptions): Promise<AlluxioReadFile | AlluxioWriteFile>;
  open(path: PathLike, options: OpenOptions = {}): Promise<AlluxioReadFile | AlluxioWriteFile> {
    return this.call<AlluxioReadFile | AlluxioWriteFile>('open', path, options, (at, scope) => {
      const mode = (options.mode ?? 'r').replace('b', '');
      if (mode === 'r') return this.#openToRead(at, options, scope);
      if (mode === 'w' || mode === 'a' || mode === 'x') {
        return this.#openToWrite(at, mode, options, scope);
      }
      const reason = `There is no mode "${options.mode}": use r, w, a or x`;
      throw new AlluxioError('invalid', reason);
    });
  }

  /** Of a range where one is given; negative places count from the end, as in Python. */
  catFile(
    path: PathLike,
    options: CallOptions & {
      readonly start?: number | undefined;
      readonly end?: number | undefined;
    } = {},
  ): Promise<Buffer> {
    const { start = 0, end = Infinity } = options;
    return this.#readBetween('catFile', path, options, (size) => {
      const from = placeOf(start, size);
      return { from, to: Math.max(from, placeOf(end, size)) };
    });
  }

  /** The whole file, or `length` bytes from `offset` on; from the end, and all for -1, as in Python. */
  read(path: PathLike, options: ReadOptions = {}): Promise<Buffer> {
    const { offset = 0, length } = options;
    return this.#readBetween('read', path, options, (size) => pythonRange(offset, length, size));
  }

  readRange(
    path: PathLike,
    offset: number,
    length: number,
    options?: CallOptions,
  ): Promise<Buffer> {
    return this.#readBetween('readRange', path, options, (size) => rangeOf(offset, length, size));
  }

  /** The whole file, or the part that `read` gives. */
  readStream(path: PathLike, options: ReadOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return this.call('readStream', path, options, async (at, scope) => {
      const file = await this.#openToRead(at, options, scope);
      const { from, to } = pythonRange(options.offset ?? 0, options.length, file.size);
      file.seek(from);
      return file.stream({ ...options, length: to - from });
    });
  }

  head(path: PathLike, options?: CallOptions & { readonly numOfBytes?: number }): Promise<Buffer> {
    return this.client.head(path, options);
  }

  tail(path: PathLike, options?: CallOptions & { readonly numOfBytes?: number }): Promise<Buffer> {
    return this.client.tail(path, options);
  }

  /** A directory after the other, with what is in it. */
  walk(
    path: PathLike,
    options: CallOptions & { readonly maxDepth?: number | undefined } = {},
  ): AsyncGenerator<WalkStep, void, undefined> {
    return this.stream('walk', path, options, (at, scope) =>
      this.#walk(at, options.maxDepth ?? Infinity, scope),
    );
  }

  /** Everything below, and the path itself where it is a file; a million entries are no matter. */
  find(path: PathLike, options: FindOptions = {}): AsyncGenerator<FileInfo, void, undefined> {
    return this.stream('find', path, options, (at, scope) => this.#find(at, options, scope));
  }

  /** `*`, `?`, `[a-z]`, `**`, `{a,b}`. */
  glob(pattern: string, options?: CallOptions): AsyncGenerator<FileInfo, void, undefined> {
    return this.stream('glob', '/', options, (_, scope) => this.#glob(pattern, scope));
  }

  du(
    path: PathLike,
    options: CallOptions & { readonly maxDepth?: number | undefined } = {},
  ): Promise<DiskUsage> {
    return this.call('du', path, options, async (at, scope) => {
      const node = await changes.statOf(this.connection, at, scope);
      const usage = { path: shownPath(at), size: node.lengthBytes, files: 0, directories: 0 };
      if (node.kind !== 'directory') return { ...usage, files: 1 };
      const { maxDepth } = options;
      for await (const entry of treeOf(this.connection, at, scope, { maxDepth })) {
        usage.size += entry.node.lengthBytes;
        if (entry.node.kind === 'directory') usage.directories += 1;
        else usage.files += 1;
      }
      return usage;
    });
  }

  mkdir(path: PathLike, options?: MkdirOptions): Promise<void> {
    return this.client.mkdir(path, options);
  }

  rm(path: PathLike, options?: RmOptions): Promise<void> {
    return this.client.rm(path, options);
  }

  touch(path: PathLike, options?: CallOptions & { readonly truncate?: boolean }): Promise<void> {
    return this.client.touch(path, options);
  }

  mv(from: PathLike, to: PathLike, options?: CallOptions): Promise<void> {
    return this.client.mv(from, to, options);
  }

  rename(from: PathLike, to: PathLike, options?: CallOptions): Promise<void> {
    return this.client.mv(from, to, options);
  }

  copy(from: PathLike, to: PathLike, options?: CopyOptions): Promise<void> {
    return this.client.copy(from, to, options);
  }

  cpFile(from: PathLike, to: PathLike, options?: CopyOptions): Promise<void> {
    return this.client.copy(from, to, { ...options, recursive: false });
  }

  /** Creates or replaces, as a whole or not at all. */
  write(path: PathLike, value: Data, options?: CallOptions): Promise<FileInfo> {
    return this.client.write(path, value, options);
  }

  uploadData(path: PathLike, data: Data, options?: CallOptions): Promise<FileInfo> {
    return this.client.write(path, data, options);
  }

  downloadData(path: PathLike, options?: CallOptions): Promise<Buffer> {
    return this.read(path, options);
  }

  /** From this machine; a directory with `recursive`. */
  upload(local: string | Buffer, path: PathLike, options: TransferOptions = {}): Promise<void> {
    return this.call('upload', path, options, async (at, scope) => {
      checkConcurrency(options.concurrency);
      const from = localPath(local);
      // As `cp -r` does: what is a file comes over as one.
      const isTree = options.recursive === true && (await stat(from)).isDirectory();
      if (!isTree) mustNameFile(path);
      return await (isTree ? uploadTree : uploadFile)(this.connection, from, at, options, scope);
    });
  }

  /** To this machine; a directory with `recursive`. */
  download(path: PathLike, local: string | Buffer, options: TransferOptions = {}): Promise<void> {
    return this.call('download', path, options, async (at, scope) => {
      checkConcurrency(options.concurrency);
      const isTree = options.recursive === true && (await this.#isDirectory(at, scope));
      const to = localPath(local);
      if (!isTree) mustNameFile(to);
      return await (isTree ? downloadTree : downloadFile)(this.connection, at, to, options, scope);
    });
  }

  /** The workers of the cluster now, and after every change, until the signal or the client ends. */
  watchMembers(
    options?: Pick<CallOptions, 'signal'>,
  ): AsyncGenerator<readonly Worker[], void, undefined> {
    return this.client.watchMembers(options);
  }

  #readBetween(
    operation: string,
    path: PathLike,
    options: CallOptions | undefined,
    within: (size: number) => Range,
  ): Promise<Buffer> {
    return this.call(operation, path, options, async (at, scope) => {
      const file = await this.#openToRead(at, options ?? {}, scope);
      const { from, to } = within(file.size);
      return file.readRange(from, to - from, { signal: scope.signal });
    });
  }

  async #isDirectory(path: ByteString, scope: Scope): Promise<boolean> {
    const names = await this.connection.names();
    return (await names.stat(path, scope.step())).kind === 'directory';
  }

  #isKind(
    operation: string,
    path: PathLike,
    options: CallOptions | undefined,
    is: (node: NodeStatus | undefined) => boolean,
  ): Promise<boolean> {
    return this.call(operation, path, options, async (at, scope) =>
      is(await changes.lookUp(this.connection, at, scope)),
    );
  }

  async #openToRead(
    path: ByteString,
    options: OpenOptions,
    scope: Scope,
  ): Promise<AlluxioReadFile> {
    const node = await changes.statOf(this.connection, path, scope);
    if (node.kind === 'directory') {
      throw new AlluxioError('is-a-directory', 'A directory has no bytes');
    }
    if (node.kind !== 'file') {
      const target = node.posix.target;
      const where = target === undefined ? '' : ` to ${shownPath(target)}, which may be opened`;
      throw new AlluxioError('unsupported', `It is a ${node.kind}${where}`);
    }
    const { connection } = this;
    const blockBytes = options.blockSize ?? connection.config.pageSizeBytes;
    if (!(blockBytes > 0)) throw new AlluxioError('invalid', `Not a block size: ${blockBytes}`);
    return new AlluxioReadFile({ connection, path, signal: options.signal }, node, blockBytes);
  }

  async #openToWrite(
    path: ByteString,
    mode: 'w' | 'a' | 'x',
    options: OpenOptions,
    scope: Scope,
  ): Promise<AlluxioWriteFile> {
    const { connection } = this;
    const node = await changes.lookUp(connection, path, scope);
    if (node?.kind === 'directory') throw new AlluxioError('is-a-directory', 'It is a directory');
    if (node !== undefined && mode === 'x') throw new AlluxioError('exists', 'The name is taken');
    const staged = await connection.stagingPath();
    if (mode === 'a' && node !== undefined) {
      // Ours to write, whoever may write the file.
      const known = { ...node, posix: { ...node.posix, mode: 0o600 } };
      await downloadFile(connection, path, localPath(staged), {}, scope, { known });
    }
    const base = { mode, version: node };
    return new AlluxioWriteFile({ connection, path, signal: options.signal }, staged, base);
  }

  async *#list(path: ByteString, scope: Scope): AsyncGenerator<FileInfo> {
    try {
      for await (const node of entriesOf(this.connection, path, scope)) {
        yield infoOfNode(joinPath(path, node.name), node);
      }
    } catch (error) {
      if (!hasCode(error, 'not-a-directory')) throw error;
      yield infoOfNode(path, await changes.statOf(this.connection, path, scope));
    }
  }

  async *#walk(path: ByteString, maxDepth: number, scope: Scope): AsyncGenerator<WalkStep> {
    const directories: FileInfo[] = [];
    const files: FileInfo[] = [];
    const names: ByteString[] = [];
    for await (const node of entriesOf(this.connection, path, scope)) {
      const info = infoOfNode(joinPath(path, node.name), node);
      if (node.kind === 'directory') names.push(node.name);
      (node.kind === 'directory' ? directories : files).push(info);
    }
    yield { path: shownPath(path), directories, files };
    if (maxDepth <= 1) return;
    for (const name of names) yield* this.#walk(joinPath(path, name), maxDepth - 1, scope);
  }

  async *#find(path: ByteString, options: FindOptions, scope: Scope): AsyncGenerator<FileInfo> {
    const { maxDepth, type, name, minSize = 0, maxSize = Infinity } = options;
    const fits = ({ path: at, node }: TreeEntry): boolean =>
      (type === undefined || node.kind === type) &&
      node.lengthBytes >= minSize &&
      node.lengthBytes <= maxSize &&
      (name === undefined || matchesName(name, shownPath(nameOf(at))));
    const node = await changes.statOf(this.connection, path, scope);
    if (node.kind !== 'directory') {
      if (fits({ path, node, depth: 0 })) yield infoOfNode(path, node);
      return;
    }
    for await (const entry of treeOf(this.connection, path, scope, { maxDepth })) {
      if (fits(entry)) yield infoOfNode(entry.path, entry.node);
    }
  }

  async *#glob(pattern: string, scope: Scope): AsyncGenerator<FileInfo> {
    for await (const { path, node } of globOf(this.connection, pattern, scope)) {
      yield infoOfNode(path, node);
    }
  }
}
