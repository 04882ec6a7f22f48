/** One daemon at a time uses a cache directory. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tryLock } from '../../sys/index.ts';

/** Whoever has a directory; in the lock file, for those that find it locked. */
export interface LockHolder {
  readonly pid: number;
  /** Where the daemon can be asked to do what others may not. */
  readonly adminSocket?: string | undefined;
  readonly mountpoint?: string | undefined;
}

export class DirectoryInUseError extends Error {
  readonly holder: LockHolder | undefined;

  constructor(directory: string, holder: LockHolder | undefined) {
    const mount = holder?.mountpoint === undefined ? '' : ` for the mount ${holder.mountpoint}`;
    super(
      `The cache directory ${directory} is in use by process ${holder?.pid ?? 'unknown'}${mount}; ` +
        'give this one another',
    );
    this.name = 'DirectoryInUseError';
    this.holder = holder;
  }
}

/** Locked until the handle is closed, or the process ends, however it does. */
export async function lockDirectory(
  directory: string,
  lockPath: string,
  holder: LockHolder,
): Promise<FileHandle> {
  const made = await open(lockPath, 'a', 0o600);
  await made.close();
  const handle = await open(lockPath, 'r+');
  try {
    if (!tryLock(handle.fd)) {
      throw new DirectoryInUseError(directory, holderIn(await handle.readFile('utf8')));
    }
    const text = JSON.stringify(holder);
    await handle.truncate(0);
    await handle.write(text, 0);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Undefined where it is just being written. */
function holderIn(text: string): LockHolder | undefined {
  try {
    return JSON.parse(text) as LockHolder;
  } catch {
    return undefined;
  }
}
