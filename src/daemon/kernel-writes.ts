/** Requests of the kernel that change something, as calls of the core. */
import type { FuseRequest } from '../fuse/wire/index.ts';
import { OpenRequestFlag, SetattrValid, WriteFlag } from '../fuse/wire/index.ts';
import type {
  AttributesWanted,
  Core,
  HandleId,
  InodeId,
  OpenMode,
  RequestId,
  SpecialKind,
} from '../vfs/index.ts';
import { kindOfMode } from './presentation.ts';

const O_ACCMODE = 3;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const RENAME_NOREPLACE = 1;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;

export function openModeOf(flags: number, openFlags = 0): OpenMode {
  const truncates = (flags & O_TRUNC) !== 0;
  return {
    wantsWrite: (flags & O_ACCMODE) !== 0 || truncates,
    truncates,
    clearsPrivileges: (openFlags & OpenRequestFlag.KILL_SUIDGID) !== 0,
  };
}

const CHANGES = [
  'setattr',
  'mkdir',
  'mknod',
  'symlink',
  'link',
  'unlink',
  'rmdir',
  'rename',
  'create',
  'write',
  'fallocate',
  'setxattr',
  'removexattr',
] as const;

type Change = Extract<FuseRequest, { op: (typeof CHANGES)[number] }>;

export function isChange(request: FuseRequest): request is Change {
  return (CHANGES as readonly string[]).includes(request.op);
}

/** `refuse` answers with the error. */
export function change(
  core: Core,
  id: RequestId,
  request: Change,
  refuse: (code: 'invalid' | 'unsupported' | 'not-permitted') => void,
): void {
  const { header } = request;
  const ino = header.nodeId as InodeId;
  switch (request.op) {
    case 'setattr':
      core.setattr(id, ino, request.fh as HandleId | undefined, wantedOf(request));
      return;
    case 'mkdir':
      core.mkdir(id, ino, request.name, creationOf(request));
      return;
    case 'mknod':
      makeNode(core, id, request, refuse);
      return;
    case 'symlink': {
      const creation = { mode: 0o777, uid: header.uid, gid: header.gid, target: request.target };
      core.makeNode(id, ino, request.name, 'symlink', creation);
      return;
    }
    case 'link':
      core.link(id);
      return;
    case 'unlink':
      core.unlink(id, ino, request.name);
      return;
    case 'rmdir':
      core.rmdir(id, ino, request.name);
      return;
    case 'rename': {
      // What no object store can do in one step: exchange two names, leave a whiteout.
      if ((request.flags & ~RENAME_NOREPLACE) !== 0) refuse('invalid');
      else {
        const from = { parent: ino, name: request.name };
        const to = { parent: request.newParent as InodeId, name: request.newName };
        core.rename(id, from, to, request.flags === RENAME_NOREPLACE);
      }
      return;
    }
    case 'create':
      core.create(id, ino, request.name, {
        ...creationOf(request),
        ...openModeOf(request.flags, request.openFlags),
        isExclusive: (request.flags & O_EXCL) !== 0,
      });
      return;
    case 'write': {
      const kills = (request.writeFlags & WriteFlag.KILL_SUIDGID) !== 0;
      core.write(id, request.fh as HandleId, request.offset, request.data, kills);
      return;
    }
    case 'fallocate':
      allocate(core, id, request, refuse);
      return;
    case 'setxattr': {
      const must =
        request.flags === XATTR_CREATE
          ? 'create'
          : request.flags === XATTR_REPLACE
            ? 'replace'
            : 'either';
      core.setxattr(id, ino, request.name, request.value, must);
      return;
    }
    case 'removexattr':
      core.setxattr(id, ino, request.name, undefined, 'replace');
      return;
  }
}

function creationOf(request: {
  readonly mode: number;
  readonly header: { readonly uid: number; readonly gid: number };
}) {
  return { mode: request.mode, uid: request.header.uid, gid: request.header.gid };
}

function makeNode(
  core: Core,
  id: RequestId,
  request: Extract<Change, { op: 'mknod' }>,
  refuse: (code: 'invalid' | 'not-permitted') => void,
): void {
  const ino = request.header.nodeId as InodeId;
  const kind = kindOfMode(request.mode);
  if (kind === 'file') core.makeFile(id, ino, request.name, creationOf(request));
  else if (kind === undefined || kind === 'directory') refuse('not-permitted');
  else {
    const isDevice = kind === 'character-device' || kind === 'block-device';
    const device = isDevice ? { deviceNumber: request.rdev } : {};
    core.makeNode(id, ino, request.name, kind satisfies SpecialKind, {
      ...creationOf(request),
      ...device,
    });
  }
}

function allocate(
  core: Core,
  id: RequestId,
  request: Extract<Change, { op: 'fallocate' }>,
  refuse: (code: 'unsupported') => void,
): void {
  const { fh, offset, length, mode } = request;
  const handle = fh as HandleId;
  if (mode === 0) core.allocate(id, handle, offset, length, 'extend');
  else if (mode === FALLOC_KEEP_SIZE) core.allocate(id, handle, offset, length, 'keep-size');
  else if (mode === (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE)) {
    core.allocate(id, handle, offset, length, 'punch');
  } else if (mode === FALLOC_ZERO_RANGE) core.allocate(id, handle, offset, length, 'zero');
  else refuse('unsupported');
}

function wantedOf(request: Extract<Change, { op: 'setattr' }>): AttributesWanted {
  return {
    lengthBytes: request.size,
    mode: request.mode,
    uid: request.uid,
    gid: request.gid,
    atimeMs: request.atimeMs,
    mtimeMs: request.mtimeMs,
    clearsPrivileges: (request.valid & SetattrValid.KILL_SUIDGID) !== 0,
  };
}
