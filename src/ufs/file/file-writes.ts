/**
 * Changes in a `file://` under store, with the guarantees that workers lack: a file appears whole
 * under its name or not at all, and what was confirmed is on the disk.
 */
import { constants, type BigIntStats } from 'node:fs';
import { mkdir, open, rename, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { bytesOfByteString, joinPath, parentOf, type ByteString } from '../../base/byte-string.ts';
import { SharedRuns } from '../../base/shared-runs.ts';
import { ClusterError, type CallContext, type FileStatus } from '../../cluster/types.ts';
import type { StoredFile, UnderStoreUpload, UnderStoreWrites } from '../../cluster/under-store.ts';
import { ChunksAhead } from './chunks-ahead.ts';

/** Where a file goes, and what is there now. */
export interface Target {
  readonly place: ByteString;
  readonly old: BigIntStats | undefined;
}

interface OpenFile {
  readonly place: ByteString;
  readonly file: FileHandle;
}

export interface FileWritesParts {
  /** The place on this machine that an Alluxio path has or would have; its directory is there. */
  readonly place: (path: ByteString, context: CallContext) => Promise<ByteString>;
  readonly target: (path: ByteString, context: CallContext) => Promise<Target>;
  /** The same for what is removed or renamed: a link itself, not what it leads to. */
  readonly entry: (path: ByteString, context: CallContext) => Promise<ByteString>;
  readonly statusOf: (path: ByteString, stats: BigIntStats) => FileStatus | undefined;
  /** Runs one system call within the store's bounds. */
  readonly run: <T>(
    path: ByteString,
    context: CallContext,
    task: () => Promise<T>,
    discardLate?: (value: T) => void,
  ) => Promise<T>;
}

/**
 * Of new files, unless the umask takes from it: workers may run as another user, and read them; who
 * may read the mount's files is told by the mount.
 */
const fileMode = 0o644;
const directoryMode = 0o755;
const permissionBits = 0o7777;
/** Between two syncs, so that the last one does not have to write everything. */
const syncEveryBytes = 32 * 1024 * 1024;

/** Buckets whose directory for uploads is known: one path each. */
const bucketsMax = 1000;

export class FileWrites implements UnderStoreWrites {
  readonly isRenameAtomic = true;
  readonly #parts: FileWritesParts;
  /** Of directories: one sync serves all the names that were made before it. */
  readonly #syncs = new SharedRuns<ByteString>();
  /** Real places of directories for uploads that were there. */
  readonly #uploads = new Map<ByteString, ByteString>();

  constructor(parts: FileWritesParts) {
    this.#parts = parts;
  }

  /** What does not hang on each other runs beside each other: most files are small, and wait for a disk. */
  async putFile(upload: UnderStoreUpload, context: CallContext): Promise<StoredFile> {
    const { path, stallMs } = upload;
    const { run, target, statusOf } = this.#parts;
    const chunks = new ChunksAhead(upload.chunks);
    let temporary: OpenFile | undefined;
    try {
      const opening = this.#openTemporary(upload.temporary, step(context, stallMs)).then(
        (opened) => (temporary = opened),
      );
      const [{ place, old }, { file, place: source }] = await allOf([
        target(path, step(context, stallMs)),
        opening,
      ]);
      if (old?.isDirectory() === true) throw isADirectory(path);
      await this.#fill(file, { ...upload, chunks }, context);
      if (old !== undefined) await run(path, step(context, stallMs), () => keepOwner(file, old));
      await run(path, step(context, stallMs), () => file.sync());
      if (old !== undefined) await upload.beforeReplacing?.();
      // What it is called does not change what it is.
      const [stats] = await Promise.all([
        run(path, step(context, stallMs), () => file.stat({ bigint: true })),
        run(path, step(context, stallMs), () =>
          rename(bytesOfByteString(source), bytesOfByteString(place)),
        ),
      ]);
      const status = statusOf(path, stats);
      if (status === undefined) throw new ClusterError('protocol', 'It is no file', { path });
      const directory = parentOf(place);
      const synced = this.#syncs.run(directory, () =>
        run(path, { signal: never, deadlineMs: performance.now() + stallMs }, () =>
          syncDirectory(directory),
        ),
      );
      // Whoever does not wait for it does not want to know.
      synced.catch(ignore);
      return { status, isNew: old === undefined, synced };
    } catch (error) {
      if (temporary !== undefined) await this.#discard(temporary.place);
      throw error;
    } finally {
      // What matters of it was synced; what hangs must not keep the caller.
      void temporary?.file.close().catch(ignore);
      chunks.end();
    }
  }

  async makeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const target = await this.#parts.place(path, context);
    await this.#parts.run(path, context, async () => {
      await mkdir(bytesOfByteString(target), { mode: directoryMode });
      await syncDirectory(parentOf(target));
    });
  }

  async removeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const target = await this.#parts.entry(path, context);
    await this.#parts.run(path, context, async () => {
      await rmdir(bytesOfByteString(target));
      await syncDirectory(parentOf(target));
    });
  }

  async deleteFile(path: ByteString, context: CallContext): Promise<void> {
    const target = await this.#parts.entry(path, context);
    await this.#parts.run(path, context, async () => {
      // unlink(2) of a directory says EPERM or EISDIR, as the system pleases.
      await assertNoDirectory(target, path);
      await unlink(bytesOfByteString(target));
      await syncDirectory(parentOf(target));
    });
  }

  async renameFile(from: ByteString, to: ByteString, context: CallContext): Promise<void> {
    const { entry, run } = this.#parts;
    const source = await entry(from, context);
    const target = await entry(to, context);
    await run(from, context, () => assertNoDirectory(source, from));
    await this.#rename(source, target, from, context);
    await run(from, context, () => syncDirectory(parentOf(source)));
  }

  async #fill(file: FileHandle, upload: UnderStoreUpload, context: CallContext): Promise<void> {
    const { path, stallMs, lengthBytes } = upload;
    let written = 0;
    let syncedAt = 0;
    // One at a time, while the next bytes are written: the disk is never idle.
    let syncing: Promise<void> = Promise.resolve();
    for await (const chunk of upload.chunks) {
      for (let at = 0; at < chunk.length;) {
        const { bytesWritten } = await this.#parts.run(path, step(context, stallMs), () =>
          file.write(chunk, at, chunk.length - at, written),
        );
        at += bytesWritten;
        written += bytesWritten;
      }
      if (written - syncedAt >= syncEveryBytes) {
        await syncing;
        syncing = this.#parts.run(path, step(context, stallMs), () => file.datasync());
        // Awaited a while later, or not at all where the upload fails for another reason.
        syncing.catch(ignore);
        syncedAt = written;
      }
    }
    await syncing;
    if (written === lengthBytes) return;
    const message = `The source gave ${written} of ${lengthBytes} bytes`;
    throw new ClusterError('protocol', message, { path });
  }

  async #rename(
    source: ByteString,
    target: ByteString,
    path: ByteString,
    context: CallContext,
  ): Promise<void> {
    await this.#parts.run(path, context, async () => {
      await assertNoDirectory(target, path);
      await rename(bytesOfByteString(source), bytesOfByteString(target));
      await syncDirectory(parentOf(target));
    });
  }

  async #openTemporary(path: ByteString, context: CallContext): Promise<OpenFile> {
    const { place: placeOf, run } = this.#parts;
    const directory = parentOf(path);
    const name = path.slice(directory.length + 1) as ByteString;
    const known = this.#uploads.get(directory);
    const openIn = async (real: ByteString): Promise<OpenFile> => {
      const place = joinPath(real, name);
      const file = await run(
        path,
        context,
        () => open(bytesOfByteString(place), 'w', fileMode),
        (late) => void late.close().catch(ignore),
      );
      return { file, place };
    };
    if (known !== undefined) {
      try {
        return await openIn(known);
      } catch (error) {
        this.#uploads.delete(directory);
        if (!(error instanceof ClusterError) || error.code !== 'not-found') throw error;
      }
    }
    const real = await placeOf(directory, context);
    await run(path, context, () =>
      mkdir(bytesOfByteString(real), { mode: directoryMode }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }),
    );
    const opened = await openIn(real);
    if (this.#uploads.size >= bucketsMax) this.#uploads.clear();
    this.#uploads.set(directory, real);
    return opened;
  }

  /** What stays is found by its name at the next sweep. */
  async #discard(temporary: ByteString): Promise<void> {
    // Not the caller's: that one may be cancelled.
    const signal = new AbortController().signal;
    const own = { signal, deadlineMs: performance.now() + discardMs };
    await this.#parts.run(temporary, own, () => unlink(bytesOfByteString(temporary))).catch(ignore);
  }
}

const never = new AbortController().signal;
/** A local unlink; one that hangs must not keep the caller, who has failed already. */
const discardMs = 2_000;

function step(context: CallContext, stallMs: number): CallContext {
  const deadlineMs = Math.min(context.deadlineMs, performance.now() + stallMs);
  return { signal: context.signal, deadlineMs };
}

async function keepOwner(file: FileHandle, old: BigIntStats): Promise<void> {
  // Before the mode: changing the owner clears set-user-id bits. Not root: the file becomes ours.
  await file.chown(Number(old.uid), Number(old.gid)).catch(ignore);
  await file.chmod(Number(old.mode) & permissionBits);
}

async function assertNoDirectory(target: ByteString, path: ByteString): Promise<void> {
  const found = await stat(bytesOfByteString(target)).catch(() => undefined);
  if (found?.isDirectory() === true) throw isADirectory(path);
}

function isADirectory(path: ByteString): ClusterError {
  return new ClusterError('is-a-directory', 'It is a directory', { path });
}

/** A new name survives a power cut only once its directory is on disk. */
async function syncDirectory(path: ByteString): Promise<void> {
  const directory = await open(bytesOfByteString(path), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Both, or a failure once both have ended: nothing goes on behind an error. */
async function allOf<A, B>(work: readonly [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

function ignore(): void {
  // Nothing hangs on it.
}
