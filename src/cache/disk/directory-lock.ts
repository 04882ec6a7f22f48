/** One daemon at a time uses a cache directory. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tryLock } from '../../sys/index.ts';
import type { BackingFiles } from './backing-files.ts';

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
  files: BackingFiles,
  { directory, holder }: { readonly directory: string; readonly holder: LockHolder },
): Promise<FileHandle> {
  const handle = await openLock(files).catch((error: Error) => {
    const message = `The cache directory ${directory} cannot be used: ${error.message}; give another`;
    throw new Error(message, { cause: error });
  });
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

async function openLock(files: BackingFiles): Promise<FileHandle> {
  files.make();
  const made = await open(files.lockPath, 'a', 0o600);
  await made.close();
  return await open(files.lockPath, 'r+');
}

/** Undefined where it is just being written. */
function holderIn(text: string): LockHolder | undefined {
  try {
    return JSON.parse(text) as LockHolder;
  } catch {
    return undefined;
  }
}
