/** Pages as they are given to a backing file. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { ByteString } from '../../base/byte-string.ts';
import type { CacheKey, ContentVersion } from './cache-key.ts';
import { writeFully } from './vectors.ts';
import type { PageCopy } from './write-behind.ts';

/** Pages of one file that are to be kept. */
export interface WriteBatch {
  readonly key: CacheKey;
  readonly path: ByteString;
  readonly version: ContentVersion;
  readonly copies: readonly PageCopy[];
}

/**
 * Made only where it is new: undefined for a file that somebody has removed. `look` is at what was opened,
 * before it is written to.
 */
export async function openForPages(
  path: string,
  isNew: boolean,
  look: (handle: FileHandle) => Promise<void>,
): Promise<FileHandle | undefined> {
  const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  const make = isNew ? O_CREAT : 0;
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, make | O_NOFOLLOW | O_NONBLOCK | O_WRONLY, 0o600);
    await look(handle);
    return handle;
  } catch (error) {
    await handle?.close();
    if (isNew || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

export async function writePages(
  handle: FileHandle,
  copies: readonly PageCopy[],
  pageSizeBytes: number,
): Promise<void> {
  for (const { first, pieces } of runsOf(copies)) {
    await writeFully(handle, pieces, first * pageSizeBytes);
  }
}

/** Pages that follow each other are written in one call. */
function runsOf(
  copies: readonly PageCopy[],
): { readonly first: number; readonly pieces: readonly Uint8Array[] }[] {
  const runs: { first: number; end: number; pieces: Uint8Array[] }[] = [];
  for (const { index, pieces } of copies) {
    const last = runs.at(-1);
    if (last?.end === index) {
      last.end++;
      last.pieces.push(...pieces);
    } else runs.push({ first: index, end: index + 1, pieces: [...pieces] });
  }
  return runs;
}
