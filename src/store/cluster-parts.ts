/** What the store needs of the cluster, and no more, so that tests can stand in for it. */
import { parentOf } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { ClusterError } from '../cluster/index.ts';
import type {
  CallContext,
  ClusterClient,
  FileStatus,
  FileVersion,
  ReadRequest,
} from '../cluster/index.ts';
import type {
  ClusterWriter,
  UploadContext,
  UploadedContent,
} from '../cluster/write/cluster-writer.ts';
import { whenOver } from './contexts.ts';
import type { ListingNotes } from './listing-notes.ts';

export type StoreReader = Pick<ClusterClient, 'stat' | 'list' | 'read'>;

/** Exactly these bytes, which lie within the version. */
export async function readBytes(
  reader: StoreReader,
  range: ReadRequest,
  context: CallContext,
): Promise<Buffer> {
  const bytes = Buffer.alloc(range.lengthBytes);
  if (bytes.length > 0) await reader.read(range, (chunk, at) => bytes.set(chunk, at), context);
  return bytes;
}

export interface FileContent {
  readonly lengthBytes: number;
  /** From the start, for every attempt anew. */
  open(): AsyncIterable<Uint8Array>;
}

/** What a put left; the writer may tell that its hidden file could not be removed. */
export type PutStatus = FileStatus & { readonly isTemporaryLeft?: boolean };

/** The writer's calls end when nothing moves any more; those of the store have a deadline as well. */
export class BoundedWriter {
  readonly #writer: ClusterWriter;
  readonly #notes: ListingNotes;

  constructor(writer: ClusterWriter, notes: ListingNotes) {
    this.#writer = writer;
    this.#notes = notes;
  }

  temporaryPathFor(path: ByteString, token: string): ByteString {
    return this.#writer.temporaryPathFor(path, token);
  }

  canRename(path: ByteString): Promise<boolean> {
    return this.#writer.canRename(path);
  }

  putFile(
    path: ByteString,
    content: FileContent,
    upload: Omit<UploadContext, 'signal'>,
    context: CallContext,
  ): Promise<PutStatus> {
    return this.#changing([parentOf(path)], context, (signal) =>
      this.#writer.putFile(path, content, { ...upload, signal }),
    );
  }

  finishUpload(
    path: ByteString,
    content: UploadedContent,
    token: string,
    context: CallContext,
  ): Promise<FileStatus> {
    return this.#changing([parentOf(path)], context, (signal) =>
      this.#writer.finishUpload(path, content, { signal, token }),
    );
  }

  removeTemporary(temporary: ByteString, context: CallContext): Promise<void> {
    return within(context, (signal) => this.#writer.removeTemporary(temporary, { signal }));
  }

  deleteFile(path: ByteString, context: CallContext): Promise<void> {
    return this.#changing([parentOf(path)], context, (signal) =>
      this.#writer.deleteFile(path, { signal }),
    );
  }

  makeDirectory(path: ByteString, context: CallContext): Promise<FileStatus> {
    return this.#changing(ownAndParent(path), context, (signal) =>
      this.#writer.makeDirectory(path, { signal }),
    );
  }

  removeDirectory(path: ByteString, context: CallContext): Promise<void> {
    return this.#changing(ownAndParent(path), context, (signal) =>
      this.#writer.removeDirectory(path, { signal }),
    );
  }

  /** In one step, or not at all. */
  renameFile(from: ByteString, to: ByteString, context: CallContext): Promise<FileStatus> {
    return this.#changing([parentOf(from), parentOf(to)], context, (signal) =>
      this.#writer.renameFile(from, to, { signal, isAtomic: true }),
    );
  }

  statStored(path: ByteString, context: CallContext): Promise<FileStatus | undefined> {
    return within(context, (signal) => this.#writer.statStored(path, { signal }));
  }

  tellWorkers(
    path: ByteString,
    moved: FileVersion | undefined,
    context: CallContext,
  ): Promise<void> {
    return this.#changing([parentOf(path)], context, (signal) =>
      this.#writer.tellWorkers(path, { signal, moved }),
    );
  }

  copyFile(from: ByteString, to: ByteString, context: CallContext): Promise<FileStatus> {
    return this.#changing([parentOf(to)], context, (signal) =>
      this.#writer.copyFile(from, to, { signal }),
    );
  }

  /** Names in the directories appear, disappear or change. */
  #changing<T>(
    directories: readonly ByteString[],
    context: CallContext,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#notes.during([...new Set(directories)], () => within(context, call));
  }
}

/** A directory's own listing outlives it, to be shown for the next of its name. */
function ownAndParent(path: ByteString): ByteString[] {
  return [parentOf(path), path];
}

async function within<T>(
  context: CallContext,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const cancel = whenOver(context, () => controller.abort());
  try {
    return await call(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted || context.signal.aborted) throw error;
    throw new ClusterError('timeout', 'The deadline ran out while writing to the cluster', {
      retryable: true,
      cause: error,
    });
  } finally {
    cancel();
  }
}
