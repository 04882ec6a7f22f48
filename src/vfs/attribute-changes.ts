/** SETATTR and extended attributes. */
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText, bytesOfByteString } from '../base/byte-string.ts';
import type { AttributeChange } from '../store/index.ts';
import type { CoreContext } from './context.ts';
import { contentOfHandle } from './handles.ts';
import type { Inode } from './inode.ts';
import type { Metadata } from './metadata.ts';
import { mergeAttributes, modeWithoutPrivileges, shownAttributes } from './posix.ts';
import { failureOf } from './pending.ts';
import type { FsErrorCode, HandleId, InodeId, RequestId } from './types.ts';
import type { Writer } from './writer.ts';

const XATTR_WORKER = 'user.alluxio.worker' as ByteString;
const XATTR_UFS_PATH = 'user.alluxio.ufs_path' as ByteString;
const XATTR_CACHED = 'user.alluxio.cached' as ByteString;
const DIRECTORY_XATTRS: readonly ByteString[] = [XATTR_WORKER, XATTR_UFS_PATH];
const FILE_XATTRS: readonly ByteString[] = [...DIRECTORY_XATTRS, XATTR_CACHED];
const OWN_XATTR_PREFIX = 'user.alluxio.';
/** `system.` is for ACLs, which are not kept: the kernel must not believe that it has set one. */
const XATTR_NAME_SPACES = ['user.', 'trusted.', 'security.'];
const SELINUX_LABEL = 'security.selinux';
/** As Linux has it for one attribute; ours travel with every status of the file. */
const XATTR_BYTES_MAX = 64 * 1024;

/** SETATTR: what is undefined stays. Times `'now'` are the daemon's. */
export interface AttributesWanted {
  readonly lengthBytes: number | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly atimeMs: number | 'now' | undefined;
  readonly mtimeMs: number | 'now' | undefined;
  /** The set-id bits go, since somebody without the privilege cuts the file. */
  readonly clearsPrivileges: boolean;
}

function isXattrName(name: ByteString): boolean {
  return XATTR_NAME_SPACES.some((space) => name.startsWith(space) && name.length > space.length);
}

export class AttributeChanges {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  readonly #writer: Writer;

  constructor(context: CoreContext, metadata: Metadata, writer: Writer) {
    this.#context = context;
    this.#metadata = metadata;
    this.#writer = writer;
  }

  answer(request: RequestId, inode: Inode): void {
    const ttlMs = this.#metadata.attrTtlMs(inode);
    this.#context.replies.attributes(request, shownAttributes(inode), ttlMs);
  }

  setattr(
    request: RequestId,
    inode: Inode,
    handleId: HandleId | undefined,
    wanted: AttributesWanted,
  ): void {
    if (this.#writer.mustWait(inode, wanted.lengthBytes)) {
      this.#context.asking.until(
        request,
        (settle) => this.#writer.whenSettled(inode, () => settle(undefined)),
        () => this.setattr(request, inode, handleId, wanted),
      );
      return;
    }
    const error = this.#truncate(inode, handleId, wanted);
    if (error !== undefined) {
      this.#context.replies.error(request, error);
      return;
    }
    const change = this.#changeOf(inode, wanted);
    if (change !== undefined && !isKeptHere(inode)) {
      this.#save(request, inode, change, () => this.answer(request, inode));
      return;
    }
    if (change !== undefined) this.#changeLocally(inode, change);
    if (wanted.lengthBytes === undefined || inode.writers > 0 || inode.isUnlinked) {
      this.answer(request, inode);
      return;
    }
    // truncate(2) of a file that nobody closes later.
    this.#context.asking.until(
      request,
      (settle) => this.#writer.whenSaved(inode, settle),
      () => this.answer(request, inode),
    );
  }

  #truncate(
    inode: Inode,
    handleId: HandleId | undefined,
    wanted: AttributesWanted,
  ): FsErrorCode | undefined {
    if (wanted.lengthBytes === undefined) return undefined;
    let content = this.#metadata.contentOf(inode);
    if (handleId !== undefined) {
      const handle = this.#context.handles.find(handleId, 'file');
      if (typeof handle === 'string') return handle;
      content = contentOfHandle(handle);
    }
    const error = this.#writer.truncate(inode, content, wanted.lengthBytes);
    if (error === undefined && wanted.clearsPrivileges) this.#writer.clearPrivileges(inode);
    return error;
  }

  #changeOf(inode: Inode, wanted: AttributesWanted): AttributeChange | undefined {
    const { mode, uid, gid, atimeMs, mtimeMs } = wanted;
    const nowMs = this.#context.wallNowMs();
    // chown(2) that leaves both as they are arrives as a change of nothing.
    const isOwnerChange =
      uid !== undefined || gid !== undefined || Object.values(wanted).every(isAbsent);
    const lessMode = isOwnerChange
      ? modeWithoutPrivileges(inode, this.#context.options.defaults)
      : undefined;
    const newMode = mode === undefined ? lessMode : mode & 0o7777;
    const change: AttributeChange = {
      ...(newMode === undefined ? {} : { mode: newMode }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(atimeMs === undefined ? {} : { atimeMs: atimeMs === 'now' ? nowMs : atimeMs }),
      ...(mtimeMs === undefined ? {} : { mtimeMs: mtimeMs === 'now' ? nowMs : mtimeMs }),
    };
    return Object.keys(change).length === 0 ? undefined : { ...change, ctimeMs: nowMs };
  }

  #changeLocally(inode: Inode, change: AttributeChange): void {
    inode.touchedMs = this.#context.wallNowMs();
    if (inode.staged !== undefined) inode.staged.changeAttributes(change);
    else inode.posix = mergeAttributes(inode.posix, change);
  }

  /** Where the file is by then: a change of its name that is under way comes first. */
  #save(request: RequestId, inode: Inode, change: AttributeChange, done: () => void): void {
    this.#context.asking.whenStill(request, [inode], () => {
      if (isKeptHere(inode)) {
        this.#changeLocally(inode, change);
        done();
      } else this.#submit(request, inode, change, done);
    });
  }

  #submit(request: RequestId, inode: Inode, change: AttributeChange, done: () => void): void {
    const { jobs, asking, inodes } = this.#context;
    inode.openHandles++;
    const path = inodes.path(inode);
    const start = (settle: (error: FsErrorCode | undefined) => void): void =>
      jobs.submit(
        (id) => ({ kind: 'set-attributes', id, path, change }),
        (result) => {
          if (result.kind === 'status') {
            inode.mode = result.status.mode;
            inode.posix = result.status.posix;
            inode.touchedMs = this.#context.wallNowMs();
            this.#metadata.noteChanged(inode);
            settle(undefined);
          } else {
            const { code, reason } = failureOf(result);
            if (code !== 'not-found') this.#context.effects.report({ code, path, reason });
            settle(code);
          }
          inode.openHandles--;
          this.#metadata.release(inode);
          return true;
        },
      );
    asking.until(request, start, done);
  }

  listxattr(request: RequestId, ino: InodeId, sizeBytes: number): void {
    const { replies, inodes } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) {
      replies.error(request, 'stale');
      return;
    }
    // rsync -X and mv carry over what is listed, and take away what the source does not have: what the
    // mount tells of itself is only asked for by name where programs write.
    const told = inode.kind === 'file' ? FILE_XATTRS : DIRECTORY_XATTRS;
    const own = this.#context.options.isReadOnly ? told : [];
    const set = [...(shownAttributes(inode).posix?.xattrs?.keys() ?? [])];
    const names = [...own, ...set].map((name) => `${name}\0`).join('');
    this.#answerValue(request, byteStringOfText(names), sizeBytes);
  }

  getxattr(request: RequestId, ino: InodeId, name: ByteString, sizeBytes: number): void {
    const { replies, inodes } = this.#context;
    const inode = inodes.find(ino);
    if (inode === undefined) replies.error(request, 'stale');
    else if (!isXattrName(name)) replies.error(request, 'unsupported');
    else if (name === XATTR_CACHED && inode.kind === 'file') {
      this.#answerValue(request, byteStringOfText(this.#cachedPages(inode)), sizeBytes);
    } else if (name === XATTR_WORKER || name === XATTR_UFS_PATH) {
      this.#locate(request, inode, name, sizeBytes);
    } else {
      const value = shownAttributes(inode).posix?.xattrs?.get(name);
      // Programs (ls) that hear that there are no labels at all do not ask for each file.
      if (value === undefined) {
        replies.error(request, name === SELINUX_LABEL ? 'unsupported' : 'no-attribute');
      } else if (sizeBytes > 0 && value.length > sizeBytes) replies.error(request, 'range');
      else replies.attributeValue(request, value, sizeBytes);
    }
  }

  setxattr(
    request: RequestId,
    ino: InodeId,
    name: ByteString,
    value: Uint8Array | undefined,
    must: 'create' | 'replace' | 'either',
  ): void {
    const { replies, inodes, options } = this.#context;
    const inode = inodes.find(ino);
    const present = inode === undefined ? undefined : shownAttributes(inode).posix?.xattrs;
    if (inode === undefined) replies.error(request, 'stale');
    else if (options.isReadOnly) replies.error(request, 'read-only');
    else if (!isXattrName(name)) replies.error(request, 'unsupported');
    // Copies of files of a mount that lists them: every mount tells them anew.
    else if (FILE_XATTRS.includes(name)) replies.ok(request);
    else if (name.startsWith(OWN_XATTR_PREFIX)) replies.error(request, 'not-permitted');
    else if (must === 'create' && present?.has(name) === true) replies.error(request, 'exists');
    else if (must === 'replace' && present?.has(name) !== true) {
      replies.error(request, 'no-attribute');
    } else if (value !== undefined && xattrBytes(present) + value.length > XATTR_BYTES_MAX) {
      replies.error(request, 'no-space');
    } else {
      const copy = value === undefined ? undefined : Uint8Array.from(value);
      const change: AttributeChange = {
        xattrs: new Map([[name, copy]]),
        ctimeMs: this.#context.wallNowMs(),
      };
      this.#save(request, inode, change, () => replies.ok(request));
    }
  }

  /** '<pages in memory>/<pages of the file>'. */
  #cachedPages(inode: Inode): string {
    const total = Math.ceil(inode.lengthBytes / this.#context.tier.pageSizeBytes);
    let ready = 0;
    for (const page of inode.content?.pages.values() ?? []) if (page.state === 'ready') ready++;
    return `${ready}/${total}`;
  }

  #locate(request: RequestId, inode: Inode, name: ByteString, sizeBytes: number): void {
    const { jobs, pending, replies } = this.#context;
    pending.add(request, (code) => {
      if (pending.take(request)) replies.error(request, code);
    });
    jobs.submit(
      (id) => ({ kind: 'locate', id, path: this.#context.inodes.path(inode) }),
      (result) => {
        if (!pending.take(request)) return true;
        if (result.kind !== 'located') {
          replies.error(request, failureOf(result).code);
        } else if (name === XATTR_UFS_PATH) {
          if (result.ufsPath === '') replies.error(request, 'no-attribute');
          else this.#answerValue(request, result.ufsPath, sizeBytes);
        } else if (result.workers.length === 0) replies.error(request, 'no-attribute');
        else this.#answerValue(request, byteStringOfText(result.workers.join(',')), sizeBytes);
        return true;
      },
    );
  }

  #answerValue(request: RequestId, value: ByteString, sizeBytes: number): void {
    const bytes = bytesOfByteString(value);
    if (sizeBytes > 0 && bytes.length > sizeBytes) this.#context.replies.error(request, 'range');
    else this.#context.replies.attributeValue(request, bytes, sizeBytes);
  }
}

/** Its attributes go to the cluster with its content, or never. */
function isKeptHere({ isUnlinked, staged }: Inode): boolean {
  return isUnlinked || staged !== undefined;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === false;
}

function xattrBytes(xattrs: ReadonlyMap<ByteString, Uint8Array> | undefined): number {
  let bytes = 0;
  for (const [name, value] of xattrs ?? []) bytes += name.length + value.length;
  return bytes;
}
