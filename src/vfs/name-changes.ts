/**
 * Changes of the name space: each is a job, and nothing here changes before the cluster has done it.
 * The kernel serves one change of a directory at a time, so two jobs about one name do not meet.
 */
import type { ByteString } from '../base/byte-string.ts';
import { joinPath } from '../base/byte-string.ts';
import type { PosixAttributes } from '../store/index.ts';
import { reportFailure } from './context.ts';
import type { CoreContext } from './context.ts';
import type { Inode } from './inode.ts';
import type { Metadata } from './metadata.ts';
import { creationAttributes } from './posix.ts';
import type {
  FsErrorCode,
  Job,
  JobId,
  JobResult,
  KeptMessage,
  RequestId,
  SpecialKind,
} from './types.ts';
import type { Writer } from './writer.ts';

/** Open files below a renamed directory whose new versions are asked for; others find out by TTL. */
const WATCHED_MAX = 10_000;

export interface Creation {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export class NameChanges {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #writer: Writer;
  /** Answers with the entry: one more lookup. */
  readonly #found: (request: RequestId, inode: Inode) => void;

  constructor(
    context: CoreContext,
    metadata: Metadata,
    writer: Writer,
    found: (request: RequestId, inode: Inode) => void,
  ) {
    this.#context = context;
    this.#metadata = metadata;
    this.#writer = writer;
    this.#found = found;
  }

  makeDirectory(request: RequestId, parent: Inode, name: ByteString, creation: Creation): void {
    const attributes = creationAttributes(parent, true, creation, this.#context.options.defaults);
    this.#make(request, parent, name, (id, path) => {
      return { kind: 'make-directory', id, path, attributes };
    });
  }

  makeNode(
    request: RequestId,
    parent: Inode,
    name: ByteString,
    nodeKind: SpecialKind,
    creation: Creation & Pick<PosixAttributes, 'target' | 'deviceNumber'>,
  ): void {
    const { target, deviceNumber } = creation;
    const nowMs = this.#context.wallNowMs();
    const inherited = creationAttributes(parent, false, creation, this.#context.options.defaults);
    const attributes: PosixAttributes = {
      mode: inherited.mode ?? creation.mode,
      uid: inherited.uid ?? creation.uid,
      gid: inherited.gid ?? creation.gid,
      mtimeMs: nowMs,
      ctimeMs: nowMs,
      ...(target === undefined ? {} : { target }),
      ...(deviceNumber === undefined ? {} : { deviceNumber }),
    };
    this.#make(request, parent, name, (id, path) => {
      return { kind: 'make-node', id, path, nodeKind, attributes };
    });
  }

  #pathOf(parent: Inode, name: ByteString): ByteString {
    return joinPath(this.#context.inodes.path(parent), name);
  }

  #make(
    request: RequestId,
    parent: Inode,
    name: ByteString,
    build: (id: JobId, path: ByteString) => Job,
  ): void {
    this.#context.asking.whenStill(request, [parent], () => {
      const path = this.#pathOf(parent, name);
      const job = (id: JobId): Job => build(id, path);
      this.#run(request, [parent], job, (result, answer) => {
        if (result.kind !== 'status') return;
        this.#metadata.entriesChanged(parent);
        const inode = this.#metadata.noteMade(parent, name, result.status);
        answer(() => this.#found(request, inode));
        this.#metadata.release(inode);
      });
    });
  }

  /**
   * Submits a job for a request. `done` gets every final result that is not a failure, whether or not
   * anybody still waits; `answer` runs its argument if somebody does. The inodes held stay in the table
   * until then; `moving` are those whose name changes. Nobody opens `departing` before the job has
   * ended: its bytes go with its name.
   */
  #run(
    request: RequestId,
    held: readonly [Inode, ...Inode[]],
    build: (id: JobId) => Job,
    done: (result: JobResult, answer: (reply: () => void) => void) => void,
    moving: readonly Inode[] = [],
    departing?: Inode,
  ): void {
    const { jobs, asking, moves } = this.#context;
    let answer = (): void => {};
    asking.until(
      request,
      (settle) => {
        const letGo = this.#metadata.hold(held);
        const ends = moving.map((inode) => moves.begin(inode));
        if (departing !== undefined) departing.departing ??= [];
        jobs.submit(build, (result) => {
          if (result.kind === 'failed') {
            this.#report(held[0], result.code, result.reason);
            settle(result.code);
          } else {
            done(result, (reply) => {
              answer = reply;
              settle(undefined);
            });
          }
          const waiting = departing?.departing ?? [];
          if (departing !== undefined) departing.departing = undefined;
          for (const run of waiting) run();
          for (const end of ends) end();
          letGo();
          return true;
        });
      },
      () => answer(),
    );
  }

  #report(inode: Inode, code: FsErrorCode, reason: string): void {
    // These say what is the matter by themselves.
    const isPlain = code === 'exists' || code === 'not-empty' || code === 'not-found';
    if (!isPlain) reportFailure(this.#context, inode, code, reason);
  }

  unlink(request: RequestId, parent: Inode, name: ByteString, child: Inode): void {
    if (child.kind === 'directory') {
      this.#context.replies.error(request, 'is-a-directory');
      return;
    }
    this.#settled(request, parent, child, () => {
      if (child.isLocal) {
        this.#metadata.beforeLocalChange(request, parent, () => {
          // It may have been closed meanwhile, and be on its way to the cluster, or there.
          if (!child.isLocal || child.staged?.isUploading === true) {
            this.unlink(request, parent, name, child);
            return;
          }
          this.#unlinked(parent, name, child);
          this.#context.replies.ok(request);
        });
        return;
      }
      const path = this.#pathOf(parent, name);
      const mustKeep = isRead(child);
      this.#run(
        request,
        [parent, child],
        (id) => ({ kind: 'remove-file', id, path, mustKeep }),
        (result, answer) => {
          this.#unlinked(parent, name, child, result.kind === 'removed' ? result.kept : undefined);
          answer(() => this.#context.replies.ok(request));
        },
        [child],
        mustKeep ? undefined : child,
      );
    });
  }

  /** The name is gone; the inode stays for whoever has it open. */
  #unlinked(parent: Inode, name: ByteString, child: Inode, kept?: KeptMessage): void {
    child.openHandles++;
    if (kept !== undefined) this.#metadata.kept(child, kept.path, kept.version);
    this.#metadata.entriesChanged(parent);
    child.isUnlinked = true;
    child.touchedMs = this.#context.wallNowMs();
    this.#metadata.noteGone(parent, name, child);
    if (child.openFiles === 0) this.gone(child);
    child.openHandles--;
    this.#metadata.release(child);
  }

  /** Nobody has the unlinked file open any more. */
  gone(inode: Inode): void {
    this.#writer.forget(inode);
    const { content } = inode;
    if (content?.keptPath === undefined) return;
    const path = content.keptPath;
    content.keptPath = undefined;
    content.isStale = true;
    this.#context.jobs.submit(
      (id) => ({ kind: 'remove-kept', id, path }),
      (result) => {
        if (result.kind === 'failed') {
          const reason = `A removed file's content stays until the next start: ${result.reason}`;
          this.#context.effects.report({ code: result.code, path, reason });
        }
        return true;
      },
    );
  }

  /** Runs once no upload of the file is under way, and its directory is not on its way elsewhere. */
  #settled(request: RequestId, parent: Inode, inode: Inode, run: () => void): void {
    const { asking } = this.#context;
    asking.whenStill(request, [parent], () => {
      if (inode.staged?.isUploading !== true) {
        run();
        return;
      }
      asking.until(
        request,
        (settle) => this.#writer.whenSettled(inode, () => settle(undefined)),
        () => asking.whenStill(request, [parent], run),
      );
    });
  }

  removeDirectory(request: RequestId, parent: Inode, name: ByteString, child: Inode): void {
    const { replies, asking } = this.#context;
    if (child.kind !== 'directory') {
      replies.error(request, 'not-a-directory');
      return;
    }
    if (hasLocalChildren(child)) {
      replies.error(request, 'not-empty');
      return;
    }
    asking.whenStill(request, [parent], () => {
      const path = this.#pathOf(parent, name);
      this.#run(
        request,
        [parent, child],
        (id) => ({ kind: 'remove-directory', id, path }),
        (_, answer) => {
          this.#metadata.entriesChanged(parent);
          child.isUnlinked = true;
          this.#metadata.noteGone(parent, name, child);
          answer(() => replies.ok(request));
        },
      );
    });
  }

  /** What is staged of the file, or below the directory, is saved first: then one move moves all. */
  rename(
    request: RequestId,
    from: { readonly parent: Inode; readonly name: ByteString; readonly child: Inode },
    to: { readonly parent: Inode; readonly name: ByteString; readonly child: Inode | undefined },
    isExclusive: boolean,
  ): void {
    const { replies, asking } = this.#context;
    const { child } = from;
    if (to.child === child) {
      replies.ok(request);
      return;
    }
    const wrong = wrongTarget(from.child, to.child, isExclusive);
    if (wrong !== undefined) {
      replies.error(request, wrong);
      return;
    }
    const renameWhenStill = (): void => {
      asking.whenStill(request, [from.parent, to.parent], () => {
        this.#rename(request, from, to, isExclusive);
      });
    };
    const unsaved = stagedBelow(child);
    if (to.child?.staged !== undefined) unsaved.push(to.child);
    if (unsaved.length === 0) {
      renameWhenStill();
      return;
    }
    // A file that is saved may be let go of.
    const letGo = this.#metadata.hold(to.child === undefined ? [child] : [child, to.child]);
    asking.until(
      request,
      (settle) => {
        let missing = unsaved.length;
        let failure: FsErrorCode | undefined;
        for (const inode of unsaved) {
          this.#writer.whenSaved(inode, (error) => {
            failure ??= error;
            if (--missing > 0) return;
            settle(failure);
            letGo();
          });
        }
      },
      renameWhenStill,
    );
  }

  #rename(
    request: RequestId,
    from: { readonly parent: Inode; readonly name: ByteString; readonly child: Inode },
    to: { readonly parent: Inode; readonly name: ByteString; readonly child: Inode | undefined },
    isExclusive: boolean,
  ): void {
    const { replies, inodes } = this.#context;
    const { child } = from;
    const path = this.#pathOf(from.parent, from.name);
    const target = this.#pathOf(to.parent, to.name);
    const open = openFilesBelow(child, WATCHED_MAX);
    const watched = open.map((inode) => inodes.path(inode).slice(path.length + 1) as ByteString);
    const replaced = to.child === undefined ? [] : [to.child];
    const keepsTarget = to.child !== undefined && !to.child.isLocal && isRead(to.child);
    this.#run(
      request,
      [from.parent, to.parent, child, ...replaced, ...open],
      (id) => ({ kind: 'rename', id, path, to: target, isExclusive, watched, keepsTarget }),
      (result, answer) => {
        const statuses = result.kind === 'renamed' ? result.statuses : [];
        const kept = result.kind === 'renamed' ? result.kept : undefined;
        if (to.child !== undefined) this.#unlinked(to.parent, to.name, to.child, kept);
        this.#metadata.entriesChanged(from.parent);
        this.#metadata.entriesChanged(to.parent);
        child.touchedMs = this.#context.wallNowMs();
        this.#metadata.noteMoved(child, to.parent, to.name);
        open.forEach((inode, index) => this.#metadata.reversioned(inode, statuses[index]));
        const told = new Set(open);
        for (const inode of openFilesBelow(child, WATCHED_MAX)) {
          if (!told.has(inode)) this.#reversion(inode);
        }
        answer(() => replies.ok(request));
      },
      [child, ...replaced],
      keepsTarget || to.child?.kind !== 'file' ? undefined : to.child,
    );
  }

  /** It was opened while a directory above it moved: which version it is there, nobody has told. */
  #reversion(inode: Inode): void {
    const { inodes, jobs, moves } = this.#context;
    const path = inodes.path(inode);
    const letGo = this.#metadata.hold([inode]);
    const end = moves.begin(inode);
    jobs.submit(
      (id) => ({ kind: 'stat', id, path }),
      (result) => {
        // Another change that came through meanwhile has told it.
        if (inodes.path(inode) === path && !inode.isUnlinked) {
          const status = result.kind === 'status' ? result.status : undefined;
          this.#metadata.reversioned(inode, status);
        }
        end();
        letGo();
        return true;
      },
    );
  }
}

function wrongTarget(
  child: Inode,
  target: Inode | undefined,
  isExclusive: boolean,
): FsErrorCode | undefined {
  if (target === undefined) return undefined;
  if (isExclusive) return 'exists';
  if (target.kind === 'directory' && child.kind !== 'directory') return 'is-a-directory';
  if (target.kind !== 'directory' && child.kind === 'directory') return 'not-a-directory';
  if (target.kind === 'directory' && hasLocalChildren(target)) return 'not-empty';
  return undefined;
}

/** Somebody has it open who may ask for its bytes when it has no name any more. */
function isRead(inode: Inode): boolean {
  return inode.kind === 'file' && inode.openFiles > 0 && inode.lengthBytes > 0;
}

function hasLocalChildren(directory: Inode): boolean {
  for (const child of directory.children?.values() ?? []) if (child.isLocal) return true;
  return false;
}

function* below(inode: Inode): IterableIterator<Inode> {
  yield inode;
  for (const child of inode.children?.values() ?? []) yield* below(child);
}

function stagedBelow(inode: Inode): Inode[] {
  return [...below(inode)].filter(({ staged }) => staged !== undefined);
}

function openFilesBelow(inode: Inode, limit: number): Inode[] {
  const found: Inode[] = [];
  for (const each of below(inode)) {
    if (each.kind === 'file' && (each === inode || each.openFiles > 0)) found.push(each);
    if (found.length >= limit) break;
  }
  return found;
}
