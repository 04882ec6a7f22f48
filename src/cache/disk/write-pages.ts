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
 * Made only where nothing is held of it (`isFirst`): a file that somebody has removed is not the one that is
 * known, and undefined.
 */
export async function openForPages(
  path: string,
  isFirst: boolean,
): Promise<FileHandle | undefined> {
  const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  const make = isFirst ? O_CREAT : 0;
  try {
    return await open(path, make | O_NOFOLLOW | O_NONBLOCK | O_WRONLY, 0o600);
  } catch (error) {
    if (isFirst || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
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
