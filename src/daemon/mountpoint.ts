/** Mount points as the kernel names them, and why one cannot be used. */
import { readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';

/** Links to links are followed so far, as the kernel does. */
const LINKS_MAX = 40;

/**
 * The name under which the kernel lists the mount: without links. The last part itself is never
 * looked into, since it may be a mount that hangs.
 */
export function canonicalMountpoint(path: string): string {
  let current = path;
  for (let links = 0; links < LINKS_MAX; links++) {
    try {
      current = join(realpathSync(dirname(current)), basename(current));
      current = resolvePath(dirname(current), readlinkSync(current));
    } catch {
      // Not a link (or not there): this is its name.
      return current;
    }
  }
  return current;
}

/** Why a mount point cannot be used, before anything is started. */
export function mountpointProblem(mountpoint: string): string | undefined {
  try {
    if (!statSync(mountpoint).isDirectory()) return `"${mountpoint}" is not a directory`;
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return `"${mountpoint}" does not exist; make it with mkdir -p`;
    if (code === 'ENOTCONN') {
      return `"${mountpoint}" has a dead mount; take it away with umount -l ${mountpoint}`;
    }
    return `"${mountpoint}" cannot be used: ${code}`;
  }
}
