/** From what callers give to Alluxio paths and back. */
import {
  bytesOfByteString,
  type ByteString,
  byteStringOfBytes,
  byteStringOfText,
  nameOf,
  textOfByteString,
} from '../base/byte-string.ts';
import type { FileStatus, MountTable } from '../cluster/index.ts';
import { normaliseAlluxioPath } from '../cluster/ufs-path.ts';
import type { NodeStatus } from '../store/index.ts';
import { AlluxioError, shownPath } from './errors.ts';
import type { FileInfo, PathLike } from './types.ts';

export const ROOT = '/' as ByteString;

export function bytesOfPath(path: PathLike): ByteString {
  return typeof path === 'string' ? byteStringOfText(path) : byteStringOfBytes(path);
}

/** `/a/b`, or the URI of the same in an under store that is mounted; normalised. */
export function alluxioPathOf(given: PathLike, mounts: MountTable): ByteString {
  const path = bytesOfPath(given);
  if (path.includes('\0')) throw invalidPath(path, 'a path has no NUL bytes');
  if (path.startsWith('/')) return normaliseAlluxioPath(path);
  const known = mounts.pathOf(path);
  if (known !== undefined) return known;
  const isUri = /^[a-z][a-z0-9+.-]*:/i.test(path);
  const roots = mounts.mounts.map(({ root }) => shownPath(root.uri)).join(', ');
  const why = isUri
    ? `it lies in none of the under stores that are mounted: ${roots}`
    : 'it begins with a slash, or is a URI in an under store';
  throw invalidPath(path, why);
}

/** `/a/b/` can only be a directory, whether there is one or not. */
export function namesDirectory(path: PathLike): boolean {
  return path.length > 1 && bytesOfPath(path).endsWith('/');
}

/** Of a target that is to be a file: as for cp(1), the slash is not as good as not there. */
export function mustNameFile(path: PathLike): void {
  if (!namesDirectory(path)) return;
  const reason = 'It is not a directory, which alone can be named with a slash at the end';
  throw new AlluxioError('not-a-directory', reason, { path: shownPath(bytesOfPath(path)) });
}

function invalidPath(path: ByteString, why: string): AlluxioError {
  return new AlluxioError('invalid', `Not a path of this cluster: ${why}`, {
    path: shownPath(path),
  });
}

/** What a path of `FileInfo` is given back as. */
export function pathOf(info: Pick<FileInfo, 'path' | 'pathBytes'>): PathLike {
  return info.pathBytes ?? info.path;
}

type Shown = Pick<FileInfo, 'path' | 'name'> & { pathBytes?: Uint8Array };

function shown(path: ByteString): Shown {
  const text = textOfByteString(path);
  if (text !== undefined) return { path: text, name: text.slice(text.lastIndexOf('/') + 1) };
  return {
    path: shownPath(path),
    name: shownPath(nameOf(path)),
    pathBytes: new Uint8Array(bytesOfByteString(path)),
  };
}

/** What users see of a node: the time kept beside the file, if there is one. */
export function shownTime({ posix, mtimeMs }: Pick<NodeStatus, 'posix' | 'mtimeMs'>): number {
  return posix.mtimeMs ?? mtimeMs;
}

export function infoOfNode(path: ByteString, node: NodeStatus): FileInfo {
  const { kind, lengthBytes, owner, group, contentHash, posix } = node;
  const { mode, uid, gid, target } = posix;
  return {
    ...shown(path),
    type: kind,
    size: lengthBytes,
    mtimeMs: shownTime(node),
    ...(mode === undefined ? {} : { mode }),
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(contentHash === undefined ? {} : { contentHash }),
    ...(target === undefined ? {} : { target: shownPath(target) }),
  };
}

/** As workers tell it, without what mounts keep beside it. */
export function infoOfStatus(path: ByteString, status: FileStatus): FileInfo {
  const { type: kind, mode, ...rest } = status;
  return infoOfNode(path, { ...rest, kind, posix: mode === undefined ? {} : { mode } });
}
