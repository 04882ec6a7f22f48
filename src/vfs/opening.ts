/** Opening, making and closing files. */
import type { ByteString } from '../base/byte-string.ts';
import { isKeptName } from '../base/kept-names.ts';
import type { CoreContext } from './context.ts';
import type { FileHandle } from './handles.ts';
import type { Inode } from './inode.ts';
import type { Metadata } from './metadata.ts';
import type { Creation, NameChanges } from './name-changes.ts';
import { creationAttributes, shownAttributes } from './posix.ts';
import { ReadAhead } from './read-ahead.ts';
import type { Reader } from './reader.ts';
import { ScanAhead } from './scan-ahead.ts';
import type { FsErrorCode, HandleId, RequestId } from './types.ts';
import { isOnlyListed } from './versions.ts';
import type { Writer } from './writer.ts';

/** How a program opens a file. */
export interface OpenMode {
  readonly wantsWrite: boolean;
  readonly truncates: boolean;
  /** The set-id bits go with the content, since somebody without the privilege cuts it. */
  readonly clearsPrivileges?: boolean;
}

export interface OpeningParts {
  readonly metadata: Metadata;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly names: NameChanges;
}

export class Opening {
  readonly #context: CoreContext;
  readonly #parts: OpeningParts;
  readonly #scans: ScanAhead;

  constructor(context: CoreContext, parts: OpeningParts) {
    this.#context = context;
    this.#parts = parts;
    this.#scans = new ScanAhead(context, parts.metadata, parts.reader);
  }

  open(request: RequestId, inode: Inode, mode: OpenMode): void {
    this.#whenStaying(request, inode, () =>
      this.#whenCuttable(request, inode, mode, () => this.#open(request, inode, mode)),
    );
  }

  /** Where an open says ESTALE the kernel looks the name up again, unseen by the program. */
  #whenStaying(request: RequestId, inode: Inode, run: () => void): void {
    const { asking, replies } = this.#context;
    if (inode.isUnlinked && inode.openFiles === 0) replies.error(request, 'stale');
    else if (inode.departing === undefined) run();
    else {
      asking.until(
        request,
        (settle) => inode.departing?.push(() => settle(undefined)),
        () => this.#whenStaying(request, inode, run),
      );
    }
  }

  /** What an upload reads must not be cut off under it. */
  #whenCuttable(request: RequestId, inode: Inode, mode: OpenMode, run: () => void): void {
    const { writer } = this.#parts;
    if (!mode.truncates || !writer.mustWait(inode, 0)) run();
    else {
      this.#context.asking.until(
        request,
        (settle) => writer.whenSettled(inode, () => settle(undefined)),
        () => this.#whenCuttable(request, inode, mode, run),
      );
    }
  }

  #open(request: RequestId, inode: Inode, mode: OpenMode): void {
    const whole = (): void => this.#whole(request, inode, mode);
    if (mode.truncates || inode.staged !== undefined) this.#opened(request, inode, mode);
    else {
      // What was fetched ahead may lie with its path, and tells that the file is there.
      const content = this.#parts.metadata.contentOf(inode);
      if (isOnlyListed(inode, content)) this.#verified(request, inode, whole);
      else whole();
    }
  }

  /** The kernel reads by itself what lies whole on disk; of the rest its reader comes in a moment. */
  #whole(request: RequestId, inode: Inode, mode: OpenMode): void {
    const { metadata, reader } = this.#parts;
    const { passthrough, inodes, replies } = this.#context;
    const content = metadata.contentOf(inode);
    passthrough.whenKnown(request, inode, content, (hasWaited) => {
      if (hasWaited && (!inodes.isNamed(inode) || metadata.contentOf(inode) !== content)) {
        replies.error(request, 'stale');
        return;
      }
      const backingId = passthrough.take(inode, content);
      // What was read before, the kernel has.
      const isFirst = inode.openedContent !== content;
      const isOpen = this.#opened(request, inode, mode, backingId);
      if (backingId === undefined) {
        if (!isOpen || !isFirst) return;
        reader.warm(inode, content);
        this.#scans.opened(inode);
      } else if (!isOpen) passthrough.closed(inode);
    });
  }

  /**
   * What only a listing has told may be long gone. The kernel looks again, unseen by the program, where
   * an open says ESTALE; a read cannot.
   */
  #verified(request: RequestId, inode: Inode, done: () => void): void {
    const { metadata, reader } = this.#parts;
    const { asking, replies } = this.#context;
    const content = metadata.contentOf(inode);
    asking.resolve(
      request,
      (waiter) => {
        const isOnItsWay = reader.warm(inode, content, (error) => {
          if (error === 'stale') waiter.failed(error);
          // Whatever else went wrong, the read will say.
          else waiter.found(inode);
        });
        if (!isOnItsWay) metadata.verify(inode, waiter);
      },
      (fresh) => {
        // Of another version the kernel must have the length before anybody reads.
        if (fresh === inode && metadata.contentOf(inode) === content) {
          this.#whenStaying(request, inode, done);
        } else replies.error(request, 'stale');
      },
      () => replies.error(request, 'not-found'),
    );
  }

  /** A file is being read from its start that the kernel has opened without a word. */
  begun({ inode, content }: FileHandle): void {
    inode.openedContent = content;
    this.#scans.opened(inode);
  }

  #opened(request: RequestId, inode: Inode, mode: OpenMode, backingId?: number): boolean {
    // A directory above it has moved since it was looked at: the kernel looks again.
    if (inode.staged === undefined && inode.checkedMs === -Infinity) {
      this.#context.replies.error(request, 'stale');
      return false;
    }
    const keepCache = inode.openedContent === this.#parts.metadata.contentOf(inode);
    const handle = this.#addHandle(inode, mode, backingId !== undefined);
    if (typeof handle === 'string') this.#context.replies.error(request, handle);
    else this.#context.replies.opened(request, handle, keepCache, backingId);
    return typeof handle !== 'string';
  }

  #addHandle(inode: Inode, mode: OpenMode, isPassthrough = false): HandleId | FsErrorCode {
    const { handles, windowLimit, counters } = this.#context;
    // Others may have been opened while this one waited.
    if (handles.isFull) return 'limit';
    const content = this.#parts.metadata.contentOf(inode);
    inode.openedContent = content;
    inode.openHandles++;
    inode.openFiles++;
    if (mode.wantsWrite) inode.writers++;
    const readAhead = new ReadAhead(windowLimit);
    const { wantsWrite: canWrite } = mode;
    const handle = { inode, content, canWrite, readAhead, isPassthrough };
    const id = handles.add({ kind: 'file', ...handle });
    counters.add('openFiles');
    const error = mode.truncates ? this.#parts.writer.truncate(inode, content, 0) : undefined;
    if (mode.clearsPrivileges === true) this.#parts.writer.clearPrivileges(inode);
    if (error === undefined) return id;
    this.drop(id);
    return error;
  }

  /** As open(2) with O_CREAT: opens what is there, else makes a file. */
  create(
    request: RequestId,
    parent: Inode,
    name: ByteString,
    creation: Creation & OpenMode & { readonly isExclusive: boolean },
  ): void {
    const { replies, asking } = this.#context;
    asking.resolve(
      request,
      (waiter) => this.#parts.metadata.resolve(parent, name, waiter),
      (inode) => {
        if (creation.isExclusive) replies.error(request, 'exists');
        else if (inode.kind !== 'file') replies.error(request, 'is-a-directory');
        else {
          this.#whenCuttable(request, inode, creation, () =>
            this.#created(request, inode, creation),
          );
        }
      },
      () =>
        this.#parts.metadata.beforeLocalChange(request, parent, () => {
          const inode = this.#createLocal(parent, name, creation);
          if (typeof inode === 'string') replies.error(request, inode);
          else this.#created(request, inode, { wantsWrite: true, truncates: false });
        }),
    );
  }

  /** A new file, known only here until it is saved. */
  #createLocal(parent: Inode, name: ByteString, creation: Creation): Inode | FsErrorCode {
    const { options } = this.#context;
    // Not only when it is saved: what cannot be saved would keep the mount from being taken away.
    if (isKeptName(parent.parent === undefined, name)) return 'permission';
    const inode = this.#parts.metadata.makeLocal(parent, name);
    const error = this.#parts.writer.createLocal(inode, this.#parts.metadata.contentOf(inode));
    if (error !== undefined) {
      inode.isUnlinked = true;
      this.#parts.metadata.noteGone(parent, name, inode);
      this.#parts.metadata.release(inode);
      return error;
    }
    this.#parts.metadata.entriesChanged(parent);
    inode.staged?.changeAttributes(creationAttributes(parent, false, creation, options.defaults));
    return inode;
  }

  #created(request: RequestId, inode: Inode, mode: OpenMode): void {
    const { replies } = this.#context;
    const handle = this.#addHandle(inode, mode);
    if (typeof handle === 'string') {
      replies.error(request, handle);
      return;
    }
    inode.lookups++;
    const ttls = {
      attrMs: this.#parts.metadata.attrTtlMs(inode),
      entryMs: this.#parts.metadata.entryTtlMs(inode),
    };
    replies.created(request, shownAttributes(inode), ttls, handle);
  }

  /** A file that is not opened, so nobody closes it: it is saved at once. */
  makeFile(
    request: RequestId,
    parent: Inode,
    name: ByteString,
    creation: Creation,
    found: (inode: Inode) => void,
  ): void {
    const { replies, asking } = this.#context;
    asking.resolve(
      request,
      (waiter) => this.#parts.metadata.resolve(parent, name, waiter),
      () => replies.error(request, 'exists'),
      () =>
        this.#parts.metadata.beforeLocalChange(request, parent, () => {
          const inode = this.#createLocal(parent, name, creation);
          if (typeof inode === 'string') replies.error(request, inode);
          else {
            asking.until(
              request,
              (settle) => this.#parts.writer.whenSaved(inode, settle),
              () => found(inode),
            );
          }
        }),
    );
  }

  drop(handleId: HandleId): void {
    const handle = this.#context.handles.remove(handleId);
    if (handle === undefined) return;
    const { inode } = handle;
    this.#context.counters.add(handle.kind === 'file' ? 'openFiles' : 'openDirectories', -1);
    if (handle.kind === 'file') {
      inode.openFiles--;
      if (handle.canWrite) inode.writers--;
      if (handle.isPassthrough) this.#context.passthrough.closed(inode);
      this.#parts.writer.closed(inode);
      if (inode.isUnlinked && inode.openFiles === 0) this.#parts.names.gone(inode);
    } else this.#context.kernelListings.closed(handle);
    inode.openHandles--;
    this.#parts.metadata.release(inode);
  }
}
