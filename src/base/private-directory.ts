/** Directories on this machine's disk that are to be ours alone. */
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * mkdir -p. Not Node's own: that one never returns where the kernel refuses to make a directory with
 * ENOENT although its parent is there (/proc).
 */
export function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || existsSync(parent)) throw error;
    makeDirectory(parent, mode);
    mkdirSync(path, { mode });
  }
}

const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;

/**
 * The same, for files that nobody else may put there or replace: in a place like /tmp anybody may have
 * been first with the name, or with that of the directory above. Throws an error that says whose it is.
 */
export function makePrivateDirectory(path: string): void {
  makeDirectory(path, 0o700);
  const { mode, uid } = statSync(path);
  if ((mode & OTHERS_WRITE) !== 0) {
    if (uid !== process.getuid?.()) {
      throw new Error(`others may write in ${path} (mode ${(mode & 0o7777).toString(8)})`);
    }
    // Kubernetes does that to the volumes of pods with an fsGroup.
    chmodSync(path, mode & ~OTHERS_WRITE & 0o7777);
  }
  const parent = dirname(path);
  // Root may be told to take up what another user left, or what a server gives to nobody.
  if (process.getuid?.() !== 0 || isForAll(parent)) mustBeOurs(path);
  if (isForAll(dirname(parent))) mustBeOurs(parent);
}

/** As /tmp is. */
function isForAll(path: string): boolean {
  return (statSync(path).mode & STICKY) !== 0;
}

function mustBeOurs(path: string): void {
  const { uid } = statSync(path);
  if (uid !== process.getuid?.() && uid !== 0) {
    throw new Error(`${path} belongs to user ${uid}, not to us`);
  }
}
