/** The one place where failures of the core become errno values. */
import { Errno } from '../fuse/wire/index.ts';
import type { ErrnoCode } from '../fuse/wire/index.ts';
import type { FsErrorCode } from '../vfs/index.ts';

export function errnoOf(code: FsErrorCode): ErrnoCode {
  switch (code) {
    case 'not-found':
      return Errno.ENOENT;
    case 'stale':
      return Errno.ESTALE;
    case 'bad-handle':
      return Errno.EBADF;
    case 'not-a-directory':
      return Errno.ENOTDIR;
    case 'is-a-directory':
      return Errno.EISDIR;
    case 'read-only':
      return Errno.EROFS;
    case 'permission':
      return Errno.EACCES;
    case 'exists':
      return Errno.EEXIST;
    case 'not-empty':
      return Errno.ENOTEMPTY;
    case 'no-space':
      return Errno.ENOSPC;
    case 'invalid':
      return Errno.EINVAL;
    case 'name-too-long':
      return Errno.ENAMETOOLONG;
    case 'no-data':
      return Errno.ENXIO;
    case 'no-attribute':
      return Errno.ENODATA;
    case 'range':
      return Errno.ERANGE;
    case 'limit':
      // Not ENOMEM: programs take that for their own fault; this is a table of the mount.
      return Errno.ENFILE;
    case 'interrupted':
      return Errno.EINTR;
    case 'timeout':
      return Errno.ETIMEDOUT;
    case 'unsupported':
      return Errno.EOPNOTSUPP;
    case 'shutting-down':
      return Errno.ENOTCONN;
    // No errno says "the cluster is away" to programs that only read files; the log and `status`
    // have the reason.
    case 'unavailable':
    case 'inexpressible':
    case 'io':
      return Errno.EIO;
    default: {
      const unknown: never = code;
      throw new Error(`No errno for ${String(unknown)}`);
    }
  }
}
