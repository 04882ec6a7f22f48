/** Open files and directories, by the number given to the kernel. */
import type { Content, Inode } from './inode.ts';
import type { Listing } from './listing.ts';
import type { ReadAhead } from './read-ahead.ts';
import { INCARNATION_STRIDE } from './types.ts';
import type { FsErrorCode, HandleId } from './types.ts';

export interface FileHandle {
  readonly kind: 'file';
  readonly inode: Inode;
  /** Follows what this mount writes; see `Content.successor`. */
  content: Content;
  readonly canWrite: boolean;
  /** The kernel reads the file by itself. */
  readonly isPassthrough: boolean;
  readonly readAhead: ReadAhead;
}

export interface DirectoryHandle {
  readonly kind: 'directory';
  readonly inode: Inode;
  listing: Listing;
  /** Reading from the start again asks for the directory as it is then. */
  isRead: boolean;
}

/** The content as this mount has last written it. */
export function contentOfHandle(handle: FileHandle): Content {
  while (handle.content.successor !== undefined) handle.content = handle.content.successor;
  return handle.content;
}

export type Handle = FileHandle | DirectoryHandle;

export class Handles {
  readonly #base: number;
  readonly #max: number;
  readonly #handles = new Map<HandleId, Handle>();
  #last = 0;

  constructor(incarnation: number, max: number) {
    this.#base = incarnation * INCARNATION_STRIDE;
    this.#max = max;
  }

  get count(): number {
    return this.#handles.size;
  }

  get isFull(): boolean {
    return this.#handles.size >= this.#max;
  }

  add(handle: Handle): HandleId {
    const id = (this.#base + ++this.#last) as HandleId;
    this.#handles.set(id, handle);
    return id;
  }

  find<Kind extends Handle['kind']>(
    id: HandleId,
    kind: Kind,
  ): Extract<Handle, { kind: Kind }> | FsErrorCode {
    const handle = this.#handles.get(id);
    if (handle?.kind === kind) return handle as Extract<Handle, { kind: Kind }>;
    // A number of an earlier life was valid once: the file has to be opened again.
    return id <= this.#base ? 'stale' : 'bad-handle';
  }

  remove(id: HandleId): Handle | undefined {
    const handle = this.#handles.get(id);
    this.#handles.delete(id);
    return handle;
  }

  *all(): IterableIterator<Handle> {
    yield* this.#handles.values();
  }
}
