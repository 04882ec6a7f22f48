/**
 * Writes to the cluster as one: strategy, order of steps, and a look afterwards at what the workers
 * now say, since their answers alone do not tell what they did. Calls about one path must come one
 * after the other; that is the caller's part.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { displayByteString, parentOf, type ByteString } from '../../base/byte-string.ts';
import type { Logger } from '../../base/logger.ts';
import type { ClusterEvents } from '../cluster-events.ts';
import { isSameVersion } from '../path-choice.ts';
import type { CallContext, FileStatus } from '../types.ts';
import { ClusterError } from '../types.ts';
import { normaliseAlluxioPath } from '../ufs-path.ts';
import type { UnderStoreFallback } from '../under-store-fallback.ts';
import { toClusterError } from '../worker-calls.ts';
import type { Ring } from '../ring.ts';
import type { Personality } from '../worker-client.ts';
import type { WritePath } from '../worker-writes.ts';
import type {
  ClusterWriter,
  RenameContext,
  TellContext,
  UploadContext,
  UploadedContent,
  UploadSource,
  UploadStrategy,
  WriteContext,
  WrittenFile,
} from './cluster-writer.ts';
import { UploadUnfinished } from './cluster-writer.ts';
import { ListingRenewals } from './listing-renewals.ts';
import {
  findInStore,
  ignoring,
  step,
  StoreWriter,
  type HoldReads,
  untellable,
  type WritableStore,
} from './store-writer.ts';
import {
  assertTemporary,
  temporaryDirectoryFor,
  temporaryPathFor,
  UPLOADS_DIRECTORY,
} from './temporary-names.ts';
import type { WriteAttempts } from './write-attempts.ts';

export interface RoutedWriterParts {
  readonly attempts: WriteAttempts;
  readonly fallback: UnderStoreFallback;
  /** Of the workers that would be asked for the path. */
  readonly personalityOf: (ufsPath: ByteString, context: CallContext) => Promise<Personality>;
  readonly ufsPathOf: (path: ByteString) => ByteString;
  /** Every ring that the workers may go by. */
  readonly rings: () => readonly Ring[];
  readonly strategy: UploadStrategy;
  readonly events: ClusterEvents;
  readonly logger: Logger;
  /** What was noted about the path is no longer so. */
  readonly onChanged: (path: ByteString, ufsPath: ByteString) => void;
}

/** A removed file is looked for again after 50 ms, and up to some three seconds. */
const REMOVAL_PAUSE_MS = 50;
const REMOVAL_PAUSE_MAX_MS = 1600;

const PERSONALITY_MS = 20_000;

export class RoutedWriter implements ClusterWriter {
  readonly #parts: RoutedWriterParts;
  readonly #attempts: WriteAttempts;
  readonly #store: StoreWriter;
  readonly #listings: ListingRenewals;
  /** A store that nobody ever reached from here holds nothing that workers do not know. */
  #hasReachedStore = false;

  constructor(parts: RoutedWriterParts) {
    this.#parts = parts;
    const { attempts, rings, ufsPathOf, logger } = parts;
    this.#attempts = attempts;
    this.#store = new StoreWriter(attempts);
    const lookUp = attempts.lookUpAt.bind(attempts);
    this.#listings = new ListingRenewals({ rings, ufsPathOf, lookUp, logger });
  }

  /** Once no call runs any more: tells the workers what they do not know yet, within seconds. */
  close(): Promise<void> {
    return this.#listings.close();
  }

  temporaryPathFor(path: ByteString, token: string): ByteString {
    return temporaryPathFor(normaliseAlluxioPath(path), token);
  }

  listingOldSinceMs(directory: ByteString): number | undefined {
    return this.#listings.oldSinceMs(normaliseAlluxioPath(directory));
  }

  renewListing(directory: ByteString): void {
    this.#listings.changed(normaliseAlluxioPath(directory));
  }

  async canRename(path: ByteString): Promise<boolean> {
    if (untellable(path) !== undefined) {
      return this.#mayRename && (await this.#renamingStore()) !== undefined;
    }
    const { signal } = new AbortController();
    return (await this.#storeToRenameIn(this.#fileAt(path), signal)) !== undefined;
  }

  async putFile(
    path: ByteString,
    source: UploadSource,
    context: UploadContext,
  ): Promise<WrittenFile> {
    const at = this.#fileAt(path);
    const { signal, token = randomBytes(12).toString('hex'), onUploaded } = context;
    return this.#changing([at], async (holdReads) => {
      const temporary = this.#at(temporaryPathFor(at.path, token));
      const store = await this.#storeFor(at, signal);
      if (store !== undefined) {
        return this.#store.put(store, at, temporary.path, source, holdReads, signal);
      }
      if (this.#parts.strategy === 'single-put') return this.#putAtOnce(at, source, signal);
      const md5 = await this.#upload(temporary, source, signal);
      const content = { lengthBytes: source.lengthBytes, md5 };
      await onUploaded?.(content);
      return this.#finish(at, temporary, content, token, signal);
    });
  }

  async finishUpload(
    path: ByteString,
    content: UploadedContent,
    context: UploadContext & { readonly token: string },
  ): Promise<WrittenFile> {
    const at = this.#fileAt(path);
    const { token, signal } = context;
    const temporary = this.#at(temporaryPathFor(at.path, token));
    return this.#changing([at], () => this.#finish(at, temporary, content, token, signal));
  }

  async removeTemporary(temporary: ByteString, { signal }: WriteContext): Promise<void> {
    assertTemporary(temporary);
    // Of an upload through the store no worker has ever heard; of one through a worker the store has.
    const store = await this.#renamingStore();
    if (store === undefined) await this.#removeUpload(this.#at(temporary), signal);
    else await ignoring('not-found', store.writes.deleteFile(temporary, step(signal)));
  }

  async deleteFile(path: ByteString, { signal }: WriteContext): Promise<void> {
    const at = this.#fileAt(path);
    await this.#changing([at], async (holdReads) => {
      const store = await this.#storeForLost(at);
      if (store !== undefined) return store.writes.deleteFile(at.path, step(signal));
      const status = await this.#attempts.stat(at, signal);
      if (status.type === 'directory') throw isADirectory(at);
      await holdReads(at, signal);
      await this.#remove(at, signal);
    });
  }

  async makeDirectory(path: ByteString, { signal }: WriteContext): Promise<FileStatus> {
    const at = this.#at(normaliseAlluxioPath(path));
    return this.#changingDirectory(at, async () => {
      const store = await this.#storeForLost(at);
      if (store !== undefined) {
        await store.writes.makeDirectory(at.path, step(signal));
        return store.stat(at.path, step(signal));
      }
      const exists = (): ClusterError =>
        new ClusterError('exists', 'The name is taken', { path: at.path });
      if ((await this.#attempts.lookUp(at, signal)) !== undefined) throw exists();
      await this.#attempts.makeDirectory(at, signal);
      const made = await this.#attempts.stat(at, signal);
      // Made meanwhile by somebody else, to whom the worker said the same.
      if (made.type !== 'directory') throw exists();
      return made;
    });
  }

  async removeDirectory(path: ByteString, { signal }: WriteContext): Promise<void> {
    const at = this.#at(normaliseAlluxioPath(path));
    await this.#changingDirectory(at, async () => {
      const store = await this.#storeForLost(at);
      if (store !== undefined) return store.writes.removeDirectory(at.path, step(signal));
      const status = await this.#attempts.stat(at, signal);
      if (status.type !== 'directory') {
        throw new ClusterError('not-a-directory', 'The path is a file', { path: at.path });
      }
      const uploads = temporaryDirectoryFor(`${at.path}/x` as ByteString);
      const isBucket = !at.path.includes('/', 1) && at.path !== UPLOADS_DIRECTORY;
      // Ours, and hidden: it does not count. With an upload in it, it stays.
      if (isBucket) await this.#attempts.remove(this.#at(uploads), signal).catch(ignore);
      await this.#attempts.remove(at, signal);
      // What the worker did is the only sure word.
      if (!(await this.#isStillThere(at, signal))) return;
      throw new ClusterError('not-empty', 'The directory is still there, so it is not empty', {
        path: at.path,
      });
    });
  }

  async renameFile(
    from: ByteString,
    to: ByteString,
    { signal, isAtomic }: RenameContext,
  ): Promise<WrittenFile> {
    const source = this.#fileAt(from);
    const target = this.#fileAt(to);
    return this.#changing([source, target], async (holdReads) => {
      const store =
        (await this.#storeFor(source, signal)) ?? (await this.#storeFor(target, signal));
      if (store !== undefined) {
        return this.#store.rename(store, source, target, holdReads, signal);
      }
      if (isAtomic === true) {
        const message =
          'The under store, which could rename it in one step, does not answer any more';
        throw new ClusterError('unavailable', message, { path: from, retryable: true });
      }
      const before = await this.#fileStatus(source, signal);
      if (source.path === target.path) return written(before, undefined, 'temporary-and-copy');
      if ((await this.#personality(source, signal)) === 'enterprise') {
        const moved = await this.#move(source, target, before, signal);
        if (moved !== undefined) return moved;
      }
      const copied = await this.#copy(source, target, before, signal);
      await holdReads(source, signal);
      await this.#remove(source, signal);
      return copied;
    });
  }

  async copyFile(from: ByteString, to: ByteString, { signal }: WriteContext): Promise<WrittenFile> {
    const source = this.#fileAt(from);
    const target = this.#fileAt(to);
    return this.#changing([target], async () => {
      const before = await this.#fileStatus(source, signal);
      if (source.path === target.path) return written(before, undefined, 'temporary-and-copy');
      return this.#copy(source, target, before, signal);
    });
  }

  async statStored(path: ByteString, { signal }: WriteContext): Promise<FileStatus | undefined> {
    const at = this.#fileAt(path);
    const { fallback } = this.#parts;
    const isThere =
      untellable(at.path) === undefined ? fallback.hasAtomicRenames : fallback.hasWrites;
    if (!isThere) return this.#attempts.lookUp(at, signal);
    const store = await this.#reachableStore();
    if (store !== undefined) return findInStore(store, at, signal);
    const message = 'Whether a change was made only the under store knows, and it does not answer';
    throw new ClusterError('unavailable', message, { path: at.path, retryable: true });
  }

  async tellWorkers(path: ByteString, { signal, moved }: TellContext): Promise<void> {
    const at = this.#fileAt(path);
    if (untellable(at.path) !== undefined || !this.#mayRename) return;
    const store = await this.#renamingStore();
    if (store !== undefined) {
      // Through Enterprise workers all changes go that they can be told of.
      if ((await this.#personality(at, signal)) !== 'oss') return;
      await this.#changing([at], () => this.#store.tell(store, at, moved, signal));
    } else if (this.#hasReachedStore) {
      const message =
        'What the workers are to be told the under store knows, which does not answer';
      throw new ClusterError('unavailable', message, { path: at.path, retryable: true });
    }
  }

  async #copy(
    source: WritePath,
    target: WritePath,
    before: FileStatus,
    signal: AbortSignal,
  ): Promise<WrittenFile> {
    const answer = await this.#attempts
      .copy(source, target, { lengthBytes: before.lengthBytes }, signal)
      .catch((error: unknown) => this.#throwTyped(error, target, signal));
    const status = await this.#fileStatus(target, signal);
    const hasAll = status.lengthBytes === before.lengthBytes;
    // A copy has the bytes of the store: what the workers know of the source may be older.
    if (!hasAll) await ignoring('unsupported', this.#attempts.refresh(source, signal));
    const after = await this.#fileStatus(source, signal);
    if (isSameVersion(before, after)) {
      assertLength(status, before.lengthBytes, target);
      return written(status, answer.md5, 'temporary-and-copy');
    }
    const message = 'The source changed while it was copied';
    throw new ClusterError('version-changed', message, { path: source.path, retryable: true });
  }

  /** Undefined where the worker will not, and copying has to do. */
  async #move(
    source: WritePath,
    target: WritePath,
    before: FileStatus,
    signal: AbortSignal,
  ): Promise<WrittenFile | undefined> {
    try {
      await this.#attempts.move(source, target, signal);
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error;
      if (error.code === 'exists' || error.code === 'unsupported') return undefined;
      // The first try may have moved it, and lost its answer.
      const isGone = (await this.#attempts.lookUp(source, signal)) === undefined;
      if (error.code !== 'not-found' || !isGone) await this.#throwTyped(error, target, signal);
    }
    const status = await this.#verified(target, before.lengthBytes, signal);
    return written(status, undefined, 'temporary-and-copy');
  }

  async #putAtOnce(at: WritePath, source: UploadSource, signal: AbortSignal): Promise<WrittenFile> {
    const md5 = await this.#attempts
      .put(at, source, signal)
      .catch((error: unknown) => this.#throwTyped(error, at, signal));
    return written(await this.#verified(at, source.lengthBytes, signal), md5, 'single-put');
  }

  async #upload(temporary: WritePath, source: UploadSource, signal: AbortSignal): Promise<string> {
    try {
      return await this.#attempts.put(temporary, source, signal);
    } catch (error) {
      const isMissing = error instanceof ClusterError && error.code === 'not-found';
      if (isMissing && temporary.path.startsWith(`${UPLOADS_DIRECTORY}/`)) {
        // For root files that directory is a bucket, and those are not made by a PUT into them.
        await this.#attempts.makeDirectory(this.#at(UPLOADS_DIRECTORY), signal);
        return this.#attempts.put(temporary, source, signal);
      }
      await this.#removeUpload(temporary, new AbortController().signal).catch(ignore);
      throw error;
    }
  }

  async #finish(
    at: WritePath,
    temporary: WritePath,
    content: UploadedContent,
    token: string,
    signal: AbortSignal,
  ): Promise<WrittenFile> {
    const { lengthBytes, md5 } = content;
    let status: FileStatus;
    try {
      // Where the worker tells no checksum of the copy, the source is at least as long as it should be.
      const uploaded = await this.#attempts.stat(temporary, signal);
      assertLength(uploaded, lengthBytes, temporary);
      await this.#attempts.copy(temporary, at, content, signal);
      status = await this.#verified(at, lengthBytes, signal);
    } catch (error) {
      const failure = await this.#throwTyped(error, at, signal).catch(toClusterError);
      if (failure.code === 'not-found') throw failure;
      if (failure.code === 'is-a-directory') {
        await this.#removeUpload(temporary, signal).catch(ignore);
        throw failure;
      }
      const message =
        `The upload is complete, but could not be copied to its name: ${failure.message}. ` +
        'The name may hold a part of it until the copy is repeated';
      const details = { path: at.path, token, content, cause: failure };
      throw new UploadUnfinished(failure.code, message, details);
    }
    const done = written(status, md5, 'temporary-and-copy');
    try {
      await this.#removeUpload(temporary, signal);
      return done;
    } catch (error) {
      const fields = { path: displayByteString(temporary.path), error };
      const message = 'An upload is done, but its temporary file is left behind';
      // Whoever gave up need not be told; the next one clears it either way.
      this.#parts.logger[signal.aborted ? 'info' : 'warn'](fields, message);
      return { ...done, isTemporaryLeft: true };
    }
  }

  /** What the workers tell after a write; a length that differs is not ours. */
  async #verified(at: WritePath, lengthBytes: number, signal: AbortSignal): Promise<FileStatus> {
    const status = await this.#fileStatus(at, signal);
    assertLength(status, lengthBytes, at);
    return status;
  }

  async #fileStatus(at: WritePath, signal: AbortSignal): Promise<FileStatus> {
    const status = await this.#attempts.stat(at, signal);
    if (status.type === 'directory') throw isADirectory(at);
    return status;
  }

  /** Workers say 500 of a directory that stands where a file should go. */
  async #throwTyped(failure: unknown, at: WritePath, signal: AbortSignal): Promise<never> {
    if (isPassing(failure) && !signal.aborted) {
      const found = await this.#attempts.lookUp(at, signal).catch(ignore);
      if (found?.type === 'directory') throw isADirectory(at);
    }
    throw failure;
  }

  async #removeUpload(temporary: WritePath, signal: AbortSignal): Promise<void> {
    await ignoring('not-found', this.#attempts.remove(temporary, signal));
  }

  async #remove(at: WritePath, signal: AbortSignal): Promise<void> {
    for (let pauseMs = REMOVAL_PAUSE_MS; ; pauseMs *= 2) {
      await ignoring('not-found', this.#attempts.remove(at, signal));
      if (!(await this.#isStillThere(at, signal))) return;
      if (pauseMs > REMOVAL_PAUSE_MAX_MS) break;
      await setTimeout(pauseMs, undefined, { signal });
    }
    const message = 'The worker says that it deleted the file, but it is still there';
    throw new ClusterError('permission', message, { path: at.path });
  }

  /** What tells of a name in the root is a listing, which may be days old: it is renewed first. */
  async #isStillThere(at: WritePath, signal: AbortSignal): Promise<boolean> {
    if ((await this.#attempts.lookUp(at, signal)) === undefined) return false;
    await this.#listings.renew(parentOf(at.path)).catch(ignore);
    return (await this.#attempts.lookUp(at, signal)) !== undefined;
  }

  /** The store for a write of the whole file: for lost names, and where it is the strategy. */
  async #storeFor(at: WritePath, signal: AbortSignal): Promise<WritableStore | undefined> {
    const lost = await this.#storeForLost(at);
    if (lost !== undefined) return lost;
    const store = await this.#storeToRenameIn(at, signal);
    if (store !== undefined || this.#parts.strategy !== 'rename') return store;
    throw new ClusterError(
      'unavailable',
      'Uploads by rename need an under store that this machine reaches (--ufs file://…), and ' +
        'workers of open source',
      { path: at.path, retryable: true },
    );
  }

  /** For names that no worker can be told; throws `inexpressible` without a store. */
  async #storeForLost(at: WritePath): Promise<WritableStore | undefined> {
    const reason = untellable(at.path);
    if (reason === undefined) return undefined;
    this.#parts.events.inexpressible(reason);
    const store = await this.#reachableStore();
    if (store !== undefined) {
      this.#parts.events.fallback('inexpressible');
      return store;
    }
    const message = `No worker can be told this name (${reason}); a reachable under store could`;
    throw new ClusterError('inexpressible', message, { path: at.path });
  }

  /** Where the workers can be told afterwards of what was done past them. */
  async #storeToRenameIn(at: WritePath, signal: AbortSignal): Promise<WritableStore | undefined> {
    const store = this.#mayRename ? await this.#renamingStore() : undefined;
    const isOss = store !== undefined && (await this.#personality(at, signal)) === 'oss';
    return isOss ? store : undefined;
  }

  get #mayRename(): boolean {
    return this.#parts.strategy === 'auto' || this.#parts.strategy === 'rename';
  }

  /** One that is written past workers that could do it: only for what they cannot, a step. */
  async #renamingStore(): Promise<WritableStore | undefined> {
    return this.#parts.fallback.hasAtomicRenames ? await this.#reachableStore() : undefined;
  }

  async #reachableStore(): Promise<WritableStore | undefined> {
    const { fallback } = this.#parts;
    if (!fallback.hasWrites) return undefined;
    const store = await fallback.reachable();
    if (store?.writes === undefined) return undefined;
    this.#hasReachedStore ||= store.writes.isRenameAtomic;
    return store as WritableStore;
  }

  #personality({ ufsPath }: WritePath, signal: AbortSignal): Promise<Personality> {
    const deadlineMs = performance.now() + PERSONALITY_MS;
    return this.#parts.personalityOf(ufsPath, { signal, deadlineMs });
  }

  /** Whether it succeeds or not: after a failure even less is known. */
  async #changing<T>(
    places: readonly WritePath[],
    work: (holdReads: HoldReads) => Promise<T>,
  ): Promise<T> {
    const held: (() => void)[] = [];
    try {
      return await work(async (at, signal) => {
        held.push(await this.#attempts.holdReads(at, signal));
      });
    } finally {
      for (const { path, ufsPath } of places) {
        this.#parts.onChanged(path, ufsPath);
        this.#listings.changed(parentOf(path));
      }
      for (const letReadsGo of held) letReadsGo();
    }
  }

  /** Its own listing outlives a directory, to be shown for the next one of that name. */
  async #changingDirectory<T>(at: WritePath, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#changing([at], work);
    } finally {
      this.#listings.changed(at.path);
    }
  }

  #fileAt(path: ByteString): WritePath {
    const at = this.#at(normaliseAlluxioPath(path));
    if (at.path === '/') throw isADirectory(at);
    return at;
  }

  #at(path: ByteString): WritePath {
    return { path, ufsPath: this.#parts.ufsPathOf(path) };
  }
}

/** The worker could not, this time: not an answer about the path. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof ClusterError)) return false;
  return error.code === 'unavailable' || error.code === 'timeout' || error.code === 'protocol';
}

function assertLength(status: FileStatus, lengthBytes: number, { path }: WritePath): void {
  if (status.lengthBytes === lengthBytes) return;
  const message = `The cluster has ${status.lengthBytes} of the ${lengthBytes} bytes written`;
  throw new ClusterError('protocol', message, { path, retryable: true });
}

function written(
  status: FileStatus,
  md5: string | undefined,
  strategy: WrittenFile['strategy'],
): WrittenFile {
  return { ...status, md5, strategy };
}

function isADirectory({ path }: WritePath): ClusterError {
  return new ClusterError('is-a-directory', 'The path is a directory', { path });
}

function ignore(): undefined {
  return undefined;
}
