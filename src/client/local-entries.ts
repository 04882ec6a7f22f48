/** Directories and links of a tree that is written here: a link that lies in it is never followed. */
import { randomBytes } from 'node:crypto';
import { lstat, lutimes, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { AlluxioError } from './errors.ts';
import { hasErrno, joinLocal, parentOfLocal, unlessMissing } from './local-path.ts';
import { PART_PREFIX } from './part-file.ts';

/** Made, or there already; not a link to one, which may have come from the cluster and lead anywhere. */
export async function makeOwnDirectory(path: Buffer, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    if ((await lstat(path)).isDirectory()) return;
    const reason = 'It is in the way of a directory';
    throw new AlluxioError('not-a-directory', reason, {
      path: path.toString('utf8'),
      cause: error,
    });
  }
}

/** In place of a file or another link, in one step. */
export async function writeLink(
  path: Buffer,
  target: Buffer,
  { mtime, resume }: { readonly mtime: string | undefined; readonly resume: boolean },
): Promise<'copied' | 'skipped'> {
  const there = await lstat(path).catch(unlessMissing);
  if (there?.isDirectory() === true) {
    const details = { path: path.toString('utf8') };
    throw new AlluxioError('is-a-directory', 'A directory is in the way of a link', details);
  }
  if (resume && there?.isSymbolicLink() === true) {
    if (target.equals(await readlink(path, { encoding: 'buffer' }))) return 'skipped';
  }
  const name = `${PART_PREFIX}${randomBytes(8).toString('hex')}`;
  const part = joinLocal(parentOfLocal(path), name);
  await symlink(target, part);
  try {
    if (mtime !== undefined) await lutimes(part, mtime, mtime);
    await rename(part, path);
    return 'copied';
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
