/** How long a path may be. Known to both threads, so it takes little with it. */
import { parseUfsRoot } from '../cluster/ufs-path.ts';

/** PATH_MAX of Linux without the NUL: what a worker can name on its own disk. */
const LOCAL_PATH_BYTES_MAX = 4095;

/** The longest path below the mount point that the under store can hold, where that is known. */
export function pathBytesMax(ufs: string): number {
  const { localPath } = parseUfsRoot(ufs);
  if (localPath === undefined) return Infinity;
  return LOCAL_PATH_BYTES_MAX - (localPath === '/' ? 0 : localPath.length);
}
