/** Errors of the operating system in the words of the cluster layer. */
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type ClusterErrorCode } from '../../cluster/types.ts';

const codes: ReadonlyMap<string, ClusterErrorCode> = new Map([
  ['ENOENT', 'not-found'],
  ['ENOTDIR', 'not-a-directory'],
  // No such name can be there.
  ['ENAMETOOLONG', 'not-found'],
  ['EISDIR', 'is-a-directory'],
  ['EACCES', 'permission'],
  ['EPERM', 'permission'],
  ['EROFS', 'permission'],
  ['EEXIST', 'exists'],
  ['ENOTEMPTY', 'not-empty'],
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
  ['EXDEV', 'unsupported'],
  // Like a link to nowhere.
  ['ELOOP', 'not-found'],
  // What an O_NONBLOCK open says of a socket: nothing that Alluxio would show.
  ['ENXIO', 'not-found'],
]);

export function errorOfSystem(error: unknown, path: ByteString): ClusterError {
  if (error instanceof ClusterError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new ClusterError(codes.get(code) ?? 'unavailable', `The under store says ${code}`, {
    path,
    // EIO, ESTALE, EMFILE: another time it may work.
    retryable: !codes.has(code),
    cause: error,
  });
}
