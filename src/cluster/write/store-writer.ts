/**
 * Writes straight into an under store that this machine reaches, and tells the workers. They never
 * look again by themselves at what they know; a name that no worker can be told needs no telling.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { LinkedSignal } from '../../base/linked-signal.ts';
import type { InexpressibleReason } from '../cluster-events.ts';
import { isUnderRoot, lostName } from '../inexpressible.ts';
import { isSameVersion } from '../path-choice.ts';
import type { CallContext, ClusterErrorCode, FileStatus, FileVersion } from '../types.ts';
import { ClusterError } from '../types.ts';
import type { UnderStore, UnderStoreWrites } from '../under-store.ts';
import { isPlain } from '../worker/names.ts';
import type { WritePath } from '../worker-writes.ts';
import type { UploadSource, WrittenFile } from './cluster-writer.ts';
import type { WriteAttempts } from './write-attempts.ts';

/** One change of names; a store that needs longer hangs. */
const STEP_MS = 20_000;
/** Telling the workers of a file: three small requests, at workers that may be slow. */
const TELL_MS = 60_000;
/** No upload takes longer; it only keeps timers within their range. */
const UPLOAD_MS_MAX = 24 * 60 * 60 * 1000;

/** Before a file is replaced or taken away: this process reads nothing of it until the call has ended. */
export type HoldReads = (at: WritePath, signal: AbortSignal) => Promise<void>;

export type WritableStore = UnderStore & { readonly writes: UnderStoreWrites };

export class StoreWriter {
  readonly #attempts: WriteAttempts;

  constructor(attempts: WriteAttempts) {
    this.#attempts = attempts;
  }

  async put(
    store: WritableStore,
    at: WritePath,
    temporary: ByteString,
    source: UploadSource,
    holdReads: HoldReads,
    signal: AbortSignal,
  ): Promise<WrittenFile> {
    const upload = {
      path: at.path,
      temporary,
      lengthBytes: source.lengthBytes,
      chunks: source.open(),
      stallMs: this.#attempts.stallMs,
      beforeReplacing: () => holdReads(at, signal),
    };
    const deadlineMs = performance.now() + UPLOAD_MS_MAX;
    const { status, isNew, synced } = await store.writes.putFile(upload, { signal, deadlineMs });
    const shown = this.#shown(store, at, status, isNew);
    await Promise.allSettled([shown, synced]);
    await synced;
    return shown;
  }

  async rename(
    store: WritableStore,
    from: WritePath,
    to: WritePath,
    holdReads: HoldReads,
    signal: AbortSignal,
  ): Promise<WrittenFile> {
    const places = from.path === to.path ? [to] : [from, to];
    await Promise.all(places.map((at) => holdReads(at, signal)));
    await store.writes.renameFile(from.path, to.path, step(signal));
    const status = await store.stat(to.path, step(signal));
    const shown = await this.#shown(store, to, status, false);
    // The workers still believe in the old name; a DELETE of what is gone makes them look. Somebody
    // who made a new file of that name meanwhile must not lose it.
    if (untellable(from.path) === undefined && from.path !== to.path) {
      const again = await findInStore(store, from, signal);
      if (again === undefined) await ignoring('not-found', this.#attempts.remove(from, signal));
      else await this.#attempts.refresh(from, signal);
    }
    return shown;
  }

  /**
   * Until the workers tell of the path the file that the store holds; of a path that they can be told
   * about. Of a file that is gone they are told by a DELETE, and only if they tell of the very version
   * that was `moved` away: a store that seems empty may not be mounted, and somebody may have made a
   * new file of that name.
   */
  async tell(
    store: UnderStore,
    at: WritePath,
    moved: FileVersion | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const held = await findInStore(store, at, signal);
    if (held?.type === 'file') await this.#shown(store, at, held, true, signal);
    if (held !== undefined || moved === undefined) return;
    const told = await this.#attempts.look(at, signal);
    if (told?.type !== 'file' || !isSameVersion(told, moved)) return;
    if ((await findInStore(store, at, signal)) === undefined) {
      await ignoring('not-found', this.#attempts.remove(at, signal));
    }
  }

  /**
   * Until the workers tell of the file what the store tells of it; also when the caller has given up:
   * what is in the store and not told would stay hidden behind what the workers know.
   */
  async #shown(
    store: UnderStore,
    at: WritePath,
    writtenNow: FileStatus,
    isNew: boolean,
    caller?: AbortSignal,
  ): Promise<WrittenFile> {
    const limit = new LinkedSignal(caller === undefined ? [] : [caller]);
    limit.abortAfter(
      TELL_MS,
      () => new ClusterError('timeout', 'Telling the workers took too long'),
    );
    const shown = this.#told(store, at, writtenNow, isNew, limit.signal);
    return shown.finally(() => limit.end());
  }

  async #told(
    store: UnderStore,
    at: WritePath,
    writtenNow: FileStatus,
    isNew: boolean,
    signal: AbortSignal,
  ): Promise<WrittenFile> {
    const result = (status: FileStatus): WrittenFile => {
      return { ...status, md5: undefined, strategy: 'rename' };
    };
    if (untellable(at.path) !== undefined) return result(writtenNow);
    // Of what was not there, the workers mostly know nothing yet: they find it when they are asked.
    const found = isNew ? await this.#attempts.look(at, signal) : undefined;
    if (isSameFile(found, writtenNow)) return result(found);
    // What a worker reads now of the old file it keeps, if it is told before it has it. Of a file that
    // went meanwhile it is not told: it would make a directory.
    if (await this.#attempts.readsEnded(at, signal)) await store.stat(at.path, step(signal));
    // Enterprise cannot be told; what it says of a name that was new to it is right all the same.
    await ignoring('unsupported', this.#attempts.refresh(at, signal));
    const told = await this.#attempts.look(at, signal);
    if (isSameFile(told, writtenNow)) return result(told);
    // Another client may have written it since.
    const stored = await store.stat(at.path, step(signal));
    if (isSameFile(told, stored)) return result(told);
    const message =
      'The file is written, but the workers tell of another version; is --ufs the directory ' +
      'that they serve?';
    throw new ClusterError('unavailable', message, { path: at.path, retryable: true });
  }
}

/**
 * Why no worker can be told of the path, or be asked for it. (Files directly under the root can be
 * written over the S3 port with any name, but their status only comes from the other one.)
 */
export function untellable(path: ByteString): InexpressibleReason | undefined {
  const isAskable = !isUnderRoot(path) || isPlain(path);
  return lostName(path) ?? (isAskable ? undefined : 'root-file');
}

/** Runs it, and takes one kind of failure for a success. */
export async function ignoring(code: ClusterErrorCode, work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof ClusterError) || error.code !== code) throw error;
  });
}

export function step(signal: AbortSignal): CallContext {
  return { signal, deadlineMs: performance.now() + STEP_MS };
}

function isSameFile(a: FileStatus | undefined, b: FileStatus): a is FileStatus {
  return a?.type === 'file' && b.type === 'file' && isSameVersion(a, b);
}

/** Undefined where nothing is, or can be. */
export async function findInStore(
  store: UnderStore,
  { path }: WritePath,
  signal: AbortSignal,
): Promise<FileStatus | undefined> {
  try {
    return await store.stat(path, step(signal));
  } catch (error) {
    const code = error instanceof ClusterError ? error.code : undefined;
    if (code === 'not-found' || code === 'not-a-directory') return undefined;
    throw error;
  }
}
