/**
 * Changes in a `file://` under store, with the guarantees that workers lack: a file appears whole
 * under its name or not at all, and what was confirmed is on the disk.
 */
import { constants } from 'node:fs';
import { mkdir, open, rename, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { bytesOfByteString, type ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext, type FileStatus } from '../../cluster/types.ts';
import type { UnderStoreUpload, UnderStoreWrites } from '../../cluster/under-store.ts';

export interface FileWritesParts {
  /** The place on this machine that an Alluxio path has or would have; its directory is there. */
  readonly place: (path: ByteString, context: CallContext) => Promise<ByteString>;
  /** The same for what is removed or renamed: a link itself, not what it leads to. */
  readonly entry: (path: ByteString, context: CallContext) => Promise<ByteString>;
  readonly stat: (path: ByteString, context: CallContext) => Promise<FileStatus>;
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
const syncEveryBytes = 64 * 1024 * 1024;

export class FileWrites implements UnderStoreWrites {
  readonly #parts: FileWritesParts;

  constructor(parts: FileWritesParts) {
    this.#parts = parts;
  }

  async putFile(upload: UnderStoreUpload, context: CallContext): Promise<FileStatus> {
    const { path, stallMs } = upload;
    const { place, run } = this.#parts;
    const target = await place(path, step(context, stallMs));
    const temporary = await this.#temporaryPlace(upload.temporary, step(context, stallMs));
    const file = await run(
      path,
      step(context, stallMs),
      () => open(bytesOfByteString(temporary), 'w', fileMode),
      (late) => void late.close().catch(ignore),
    );
    try {
      await this.#fill(file, upload, context);
      await run(path, step(context, stallMs), () => keepOwner(file, target, path));
      await run(path, step(context, stallMs), () => file.sync());
    } catch (error) {
      void file.close().catch(ignore);
      await this.#discard(temporary);
      throw error;
    }
    await run(path, step(context, stallMs), () => file.close());
    try {
      await this.#rename(temporary, target, path, step(context, stallMs));
    } catch (error) {
      await this.#discard(temporary);
      throw error;
    }
    return this.#parts.stat(path, step(context, stallMs));
  }

  async makeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const target = await this.#parts.place(path, context);
    await this.#parts.run(path, context, async () => {
      await mkdir(bytesOfByteString(target), { mode: directoryMode });
      await syncParent(target);
    });
  }

  async removeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const target = await this.#parts.entry(path, context);
    await this.#parts.run(path, context, async () => {
      await rmdir(bytesOfByteString(target));
      await syncParent(target);
    });
  }

  async deleteFile(path: ByteString, context: CallContext): Promise<void> {
    const target = await this.#parts.entry(path, context);
    await this.#parts.run(path, context, async () => {
      // unlink(2) of a directory says EPERM or EISDIR, as the system pleases.
      await assertNoDirectory(target, path);
      await unlink(bytesOfByteString(target));
      await syncParent(target);
    });
  }

  async renameFile(from: ByteString, to: ByteString, context: CallContext): Promise<void> {
    const { entry, run } = this.#parts;
    const source = await entry(from, context);
    const target = await entry(to, context);
    await run(from, context, () => assertNoDirectory(source, from));
    await this.#rename(source, target, from, context);
    await run(from, context, () => syncParent(source));
  }

  async #fill(file: FileHandle, upload: UnderStoreUpload, context: CallContext): Promise<void> {
    const { path, stallMs, lengthBytes } = upload;
    let written = 0;
    let syncedAt = 0;
    for await (const chunk of upload.chunks) {
      for (let at = 0; at < chunk.length;) {
        const { bytesWritten } = await this.#parts.run(path, step(context, stallMs), () =>
          file.write(chunk, at, chunk.length - at, written),
        );
        at += bytesWritten;
        written += bytesWritten;
      }
      if (written - syncedAt >= syncEveryBytes) {
        await this.#parts.run(path, step(context, stallMs), () => file.datasync());
        syncedAt = written;
      }
    }
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
      await syncParent(target);
    });
  }

  async #temporaryPlace(path: ByteString, context: CallContext): Promise<ByteString> {
    const { place, run } = this.#parts;
    const directory = path.slice(0, path.lastIndexOf('/')) as ByteString;
    const real = await place(directory, context);
    await run(path, context, () =>
      mkdir(bytesOfByteString(real), { mode: directoryMode }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }),
    );
    return place(path, context);
  }

  /** What stays is found by its name at the next sweep. */
  async #discard(temporary: ByteString): Promise<void> {
    // Not the caller's: that one may be cancelled.
    const signal = new AbortController().signal;
    const own = { signal, deadlineMs: performance.now() + discardMs };
    await this.#parts.run(temporary, own, () => unlink(bytesOfByteString(temporary))).catch(ignore);
  }
}

/** A local unlink; one that hangs must not keep the caller, who has failed already. */
const discardMs = 2_000;

function step(context: CallContext, stallMs: number): CallContext {
  const deadlineMs = Math.min(context.deadlineMs, performance.now() + stallMs);
  return { signal: context.signal, deadlineMs };
}

async function keepOwner(file: FileHandle, target: ByteString, path: ByteString): Promise<void> {
  const old = await stat(bytesOfByteString(target)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (old === undefined) return;
  if (old.isDirectory()) throw new ClusterError('is-a-directory', 'It is a directory', { path });
  // Before the mode: changing the owner clears set-user-id bits. Not root: the file becomes ours.
  await file.chown(old.uid, old.gid).catch(ignore);
  await file.chmod(old.mode & permissionBits);
}

async function assertNoDirectory(target: ByteString, path: ByteString): Promise<void> {
  const found = await stat(bytesOfByteString(target)).catch(() => undefined);
  if (found?.isDirectory() !== true) return;
  throw new ClusterError('is-a-directory', 'It is a directory', { path });
}

/** A new name survives a power cut only once its directory is on disk. */
async function syncParent(target: ByteString): Promise<void> {
  const parent = target.slice(0, Math.max(1, target.lastIndexOf('/'))) as ByteString;
  const directory = await open(bytesOfByteString(parent), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function ignore(): void {
  // Nothing hangs on it.
}
