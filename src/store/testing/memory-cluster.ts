/**
 * A cluster in memory, as bad as an open-source one: uploads and copies leave beginnings behind, answers
 * get lost, and a life of the mount can end between any two steps.
 */
import { createHash } from 'node:crypto';
import { type ByteString, nameOf, parentOf } from '../../base/byte-string.ts';
import { silentLogger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import type {
  ByteSink,
  CallContext,
  FileStatus,
  ReadRequest,
  ReadResult,
} from '../../cluster/index.ts';
import { ClusterError } from '../../cluster/index.ts';
import type {
  ClusterWriter,
  TellContext,
  UploadContext,
  UploadedContent,
  UploadSource,
  WriteContext,
  WrittenFile,
} from '../../cluster/write/cluster-writer.ts';
import { UploadUnfinished } from '../../cluster/write/cluster-writer.ts';
import { temporaryPathFor } from '../../cluster/write/temporary-names.ts';
import type { StoreReader } from '../cluster-parts.ts';
import type { JournalDisk } from '../journal-disk.ts';
import { openStore } from '../open.ts';
import type { StoreOptions } from '../options.ts';
import type { ClusterStore } from '../store.ts';

interface MemoryFile {
  readonly bytes: Buffer;
  readonly mtimeMs: number;
}

/** What all lives share. */
export class MemoryCluster {
  readonly files = new Map<string, MemoryFile>();
  readonly directories = new Map<string, number>([['/', 1]]);
  /** What writers say that workers list as it was. */
  readonly oldListings = new Map<ByteString, number>();
  /** Listings that workers still show, whatever has become of the directory. */
  readonly remembered = new Map<ByteString, readonly FileStatus[]>();
  /** What writers were asked to renew. */
  readonly renewed: ByteString[] = [];
  /** What the workers tell of names that were changed past them, until they are told. */
  readonly #believed = new Map<string, FileStatus | undefined>();
  #nowMs = 1_700_000_000_000;

  nextMs(): number {
    this.#nowMs += 3;
    return this.#nowMs;
  }

  write(path: ByteString, bytes: Buffer): MemoryFile {
    this.makeParents(path);
    if (this.directories.has(path))
      throw new ClusterError('is-a-directory', 'A directory', { path });
    const file = { bytes, mtimeMs: this.nextMs() };
    this.files.set(path, file);
    this.#believed.delete(path);
    return file;
  }

  remove(path: ByteString): void {
    this.files.delete(path);
    this.#believed.delete(path);
  }

  /** A change of these names that the workers do not hear of. */
  pastWorkers(paths: readonly ByteString[], change: () => void): void {
    const believed = paths.map((path) => [path, this.believed(path)] as const);
    change();
    for (const [path, status] of believed) this.#believed.set(path, status);
  }

  tell(path: ByteString): void {
    this.#believed.delete(path);
  }

  /** What the workers say; undefined: that nothing is there. */
  believed(path: ByteString): FileStatus | undefined {
    if (this.#believed.has(path)) return this.#believed.get(path);
    return this.files.has(path) || this.directories.has(path) ? this.status(path) : undefined;
  }

  makeParents(path: ByteString): void {
    for (let parent = parentOf(path); !this.directories.has(parent); parent = parentOf(parent)) {
      this.directories.set(parent, this.nextMs());
    }
  }

  children(path: string): FileStatus[] {
    const found: FileStatus[] = [];
    for (const [other, { bytes, mtimeMs }] of this.files) {
      if (parentOf(other as ByteString) !== path) continue;
      const name = nameOf(other as ByteString);
      if (this.#believed.has(other)) continue;
      found.push({ name, type: 'file', lengthBytes: bytes.length, mtimeMs });
    }
    for (const [other, status] of this.#believed) {
      if (status !== undefined && parentOf(other as ByteString) === path) found.push(status);
    }
    for (const [other, mtimeMs] of this.directories) {
      if (other === '/' || parentOf(other as ByteString) !== path) continue;
      const name = nameOf(other as ByteString);
      found.push({ name, type: 'directory', lengthBytes: 0, mtimeMs });
    }
    return found;
  }

  status(path: ByteString): FileStatus {
    const file = this.files.get(path);
    const name = nameOf(path);
    if (file !== undefined) {
      return { name, type: 'file', lengthBytes: file.bytes.length, mtimeMs: file.mtimeMs };
    }
    const mtimeMs = this.directories.get(path);
    if (mtimeMs === undefined) throw new ClusterError('not-found', 'Not there', { path });
    return { name, type: 'directory', lengthBytes: 0, mtimeMs };
  }
}

const never = new Promise<never>(() => undefined);

/** One life of the mount: its steps are counted, and after the last one nothing answers any more. */
export class Life {
  steps = 0;
  /** The step at which it dies. */
  diesAt = Infinity;
  /** How likely a step fails, before or after it had its effect. */
  faultRate = 0;
  /** Every step fails: the cluster is away. */
  isAway = false;
  readonly death: Promise<void>;
  #die: () => void = () => undefined;
  #isDead = false;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.death = new Promise((resolve) => {
      this.#die = () => {
        this.#isDead = true;
        resolve();
      };
    });
  }

  get isDead(): boolean {
    if (this.steps >= this.diesAt) this.#die();
    return this.#isDead;
  }

  get random(): Random {
    return this.#random;
  }

  async step(what: string, signal?: AbortSignal): Promise<void> {
    if (this.isDead) return never;
    this.steps++;
    if (this.isDead) return never;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#isDead) return never;
    if (signal?.aborted === true) throw new ClusterError('cancelled', `Cancelled at ${what}`);
    if (this.isAway || this.#random.chance(this.faultRate)) {
      throw new ClusterError('unavailable', `Failed at ${what}`, { retryable: true });
    }
    return undefined;
  }

  /** Half of the failures come after the effect. */
  async change<T>(what: string, signal: AbortSignal, effect: () => T): Promise<T> {
    await this.step(what, signal);
    const result = effect();
    await this.step(`${what}, answer`);
    return result;
  }
}

class MemoryReader implements StoreReader {
  readonly #cluster: MemoryCluster;
  readonly #life: Life;

  constructor(cluster: MemoryCluster, life: Life) {
    this.#cluster = cluster;
    this.#life = life;
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    await this.#life.step('stat', context.signal);
    const status = this.#cluster.believed(path);
    if (status === undefined) throw new ClusterError('not-found', 'Not there', { path });
    return status;
  }

  async *list(path: ByteString, context: CallContext): AsyncGenerator<FileStatus[]> {
    await this.#life.step('list', context.signal);
    if (this.#cluster.status(path).type === 'file') {
      throw new ClusterError('not-a-directory', 'A file', { path });
    }
    const children = this.#cluster.remembered.get(path) ?? this.#cluster.children(path);
    for (let at = 0; at < children.length; at += 2) yield children.slice(at, at + 2);
  }

  async read(request: ReadRequest, sink: ByteSink, context: CallContext): Promise<ReadResult> {
    await this.#life.step('read', context.signal);
    const file = this.#cluster.files.get(request.path);
    if (file === undefined)
      throw new ClusterError('not-found', 'Not there', { path: request.path });
    const { version, offset, lengthBytes } = request;
    if (file.mtimeMs !== version.mtimeMs || file.bytes.length !== version.lengthBytes) {
      throw new ClusterError('version-changed', 'Another version', { path: request.path });
    }
    sink(file.bytes.subarray(offset, offset + lengthBytes), 0);
    return { source: 's3', worker: 'w' };
  }
}

class MemoryWriter implements ClusterWriter {
  readonly #cluster: MemoryCluster;
  readonly #life: Life;
  readonly #isAtomic: boolean;

  constructor(cluster: MemoryCluster, life: Life, isAtomic = false) {
    this.#cluster = cluster;
    this.#life = life;
    this.#isAtomic = isAtomic;
  }

  temporaryPathFor(path: ByteString, token: string): ByteString {
    return temporaryPathFor(path, token);
  }

  listingOldSinceMs(directory: ByteString): number | undefined {
    return this.#cluster.oldListings.get(directory);
  }

  renewListing(directory: ByteString): void {
    this.#cluster.renewed.push(directory);
  }

  async putFile(
    path: ByteString,
    source: UploadSource,
    context: UploadContext,
  ): Promise<WrittenFile> {
    const token = context.token ?? 'none';
    const temporary = this.temporaryPathFor(path, token);
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of source.open()) {
        chunks.push(Buffer.from(chunk));
        this.#cluster.write(temporary, Buffer.concat(chunks));
        await this.#life.step('put', context.signal);
      }
    } catch (error) {
      // As the writer reports it: the reason of the stream is not its own.
      throw error instanceof ClusterError && error.code === 'cancelled'
        ? error
        : new ClusterError('unavailable', 'The upload broke', { cause: error });
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== source.lengthBytes) throw new ClusterError('protocol', 'Wrong length');
    this.#cluster.write(temporary, bytes);
    await this.#life.step('put, answer', context.signal);
    const content = { lengthBytes: bytes.length, md5: md5Of(bytes) };
    await context.onUploaded?.(content);
    return this.finishUpload(path, content, { ...context, token });
  }

  async finishUpload(
    path: ByteString,
    content: UploadedContent,
    context: UploadContext & { readonly token: string },
  ): Promise<WrittenFile> {
    const temporary = this.temporaryPathFor(path, context.token);
    const uploaded = this.#cluster.files.get(temporary);
    if (uploaded === undefined || md5Of(uploaded.bytes) !== content.md5) {
      throw new ClusterError('not-found', 'No complete upload', { path });
    }
    let written: WrittenFile;
    try {
      written = await this.copyFile(temporary, path, context);
    } catch (error) {
      const { token } = context;
      throw new UploadUnfinished('unavailable', 'The copy failed', {
        path,
        cause: error,
        token,
        content,
      });
    }
    const isTemporaryLeft = await this.removeTemporary(temporary, context).then(
      () => false,
      () => true,
    );
    return { ...written, ...(isTemporaryLeft ? { isTemporaryLeft } : {}) };
  }

  removeTemporary(temporary: ByteString, context: WriteContext): Promise<void> {
    return this.#life.change('remove temporary', context.signal, () => {
      this.#cluster.remove(temporary);
    });
  }

  deleteFile(path: ByteString, context: WriteContext): Promise<void> {
    return this.#life.change('delete', context.signal, () => {
      if (this.#cluster.status(path).type === 'directory') {
        throw new ClusterError('is-a-directory', 'A directory', { path });
      }
      this.#cluster.remove(path);
    });
  }

  makeDirectory(path: ByteString, context: WriteContext): Promise<FileStatus> {
    return this.#life.change('make directory', context.signal, () => {
      if (this.#cluster.files.has(path) || this.#cluster.directories.has(path)) {
        throw new ClusterError('exists', 'There already', { path });
      }
      this.#cluster.makeParents(path);
      this.#cluster.directories.set(path, this.#cluster.nextMs());
      return this.#cluster.status(path);
    });
  }

  removeDirectory(path: ByteString, context: WriteContext): Promise<void> {
    return this.#life.change('remove directory', context.signal, () => {
      if (this.#cluster.status(path).type !== 'directory') {
        throw new ClusterError('not-a-directory', 'A file', { path });
      }
      if (this.#cluster.children(path).length > 0) {
        throw new ClusterError('not-empty', 'Not empty', { path });
      }
      this.#cluster.directories.delete(path);
    });
  }

  async renameFile(from: ByteString, to: ByteString, context: WriteContext): Promise<WrittenFile> {
    await this.#life.step('rename', context.signal);
    const file = this.#cluster.files.get(from);
    if (file === undefined) throw new ClusterError('not-found', 'Not there', { path: from });
    this.#cluster.pastWorkers([from, to], () => {
      this.#cluster.remove(from);
      this.#cluster.write(to, file.bytes);
    });
    await this.#life.step('rename, the word to the workers');
    this.#cluster.tell(to);
    await this.#life.step('rename, the other name');
    this.#cluster.tell(from);
    await this.#life.step('rename, answer');
    return this.#written(to);
  }

  async copyFile(from: ByteString, to: ByteString, context: WriteContext): Promise<WrittenFile> {
    await this.#life.step('copy', context.signal);
    const file = this.#cluster.files.get(from);
    if (file === undefined) throw new ClusterError('not-found', 'Not there', { path: from });
    if (!this.#isAtomic) {
      this.#cluster.write(
        to,
        file.bytes.subarray(0, this.#life.random.below(file.bytes.length + 1)),
      );
      await this.#life.step('copy, half way', context.signal);
    }
    if (this.#isAtomic) {
      this.#cluster.pastWorkers([to], () => this.#cluster.write(to, file.bytes));
      await this.#life.step('copy, the word to the workers');
      this.#cluster.tell(to);
    } else this.#cluster.write(to, file.bytes);
    await this.#life.step('copy, answer', context.signal);
    return this.#written(to);
  }

  async statStored(path: ByteString, context: WriteContext): Promise<FileStatus | undefined> {
    await this.#life.step('stat of the store', context.signal);
    const { files, directories } = this.#cluster;
    return files.has(path) || directories.has(path) ? this.#cluster.status(path) : undefined;
  }

  async tellWorkers(path: ByteString, context: TellContext): Promise<void> {
    await this.#life.step('the word to the workers', context.signal);
    if (this.#cluster.files.has(path) || context.moved !== undefined) this.#cluster.tell(path);
  }

  canRename(): Promise<boolean> {
    return Promise.resolve(this.#isAtomic);
  }

  #written(path: ByteString): WrittenFile {
    return { ...this.#cluster.status(path), md5: undefined, strategy: 'temporary-and-copy' };
  }
}

export function md5Of(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** A journal in memory that dies with its life, in the middle of a line if need be. */
export interface HeldJournal {
  bytes: Buffer;
  /** What a power failure leaves of them. */
  syncedBytes?: number;
}

export class MemoryJournalDisk implements JournalDisk {
  readonly #held: HeldJournal;
  readonly #life: Life;

  constructor(held: HeldJournal, life: Life) {
    this.#held = held;
    this.#life = life;
  }

  read(): Promise<Buffer> {
    return Promise.resolve(this.#held.bytes);
  }

  async append(bytes: Buffer): Promise<void> {
    if (this.#life.isDead) return never;
    // A disk takes its time, and others go on.
    await new Promise((resolve) => setImmediate(resolve));
    this.#life.steps++;
    const written = this.#life.isDead
      ? bytes.subarray(0, this.#life.random.below(bytes.length + 1))
      : bytes;
    this.#held.bytes = Buffer.concat([this.#held.bytes, written]);
    return this.#life.isDead ? never : undefined;
  }

  get isShort(): boolean {
    return false;
  }

  async truncate(lengthBytes: number): Promise<void> {
    this.#held.bytes = this.#held.bytes.subarray(0, lengthBytes);
  }

  async sync(): Promise<void> {
    if (this.#life.isDead) return never;
    this.#held.syncedBytes = this.#held.bytes.length;
    return undefined;
  }

  async replace(bytes: Buffer): Promise<void> {
    if (this.#life.isDead) return never;
    this.#held.bytes = bytes;
    this.#held.syncedBytes = bytes.length;
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A store over these, with its journal in `journal`. */
export function openInMemory(
  parts: {
    readonly cluster: MemoryCluster;
    readonly life: Life;
    readonly directory: string;
    readonly journal: HeldJournal;
    readonly isAtomic: boolean;
  } & Pick<StoreOptions, 'writeMode' | 'attributesTtlMs' | 'clock' | 'tuning'>,
): Promise<ClusterStore> {
  const { cluster, life, directory, journal, isAtomic, ...options } = parts;
  return openStore({
    ...options,
    reader: new MemoryReader(cluster, life),
    writer: new MemoryWriter(cluster, life, isAtomic),
    stateDirectory: directory,
    stagingDirectory: directory,
    journalDisk: new MemoryJournalDisk(journal, life),
    logger: silentLogger,
  });
}
