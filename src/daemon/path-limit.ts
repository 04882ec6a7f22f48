/** How long a path may be. Known to both threads, so it takes little with it. */
import { parseUfsRoot } from '../cluster/ufs-path.ts';
import type { ConfiguredMount } from '../config/index.ts';

/** PATH_MAX of Linux without the NUL: what a worker can name on its own disk. */
const LOCAL_PATH_BYTES_MAX = 4095;

/** The longest path below the mount point that every under store can hold, where that is known. */
export function pathBytesMax(mounts: readonly ConfiguredMount[]): number {
  return Math.min(...mounts.map(({ path, ufs }) => limitOf(path, ufs)));
}

function limitOf(path: string, ufs: string): number {
  const { localPath } = parseUfsRoot(ufs);
  if (localPath === undefined) return Infinity;
  const lengthOf = (text: string): number => (text === '/' ? 0 : Buffer.byteLength(text));
  return LOCAL_PATH_BYTES_MAX - lengthOf(localPath) + lengthOf(path);
}
