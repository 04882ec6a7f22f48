/** Reads a backing file and compares it with what the index says of it. */
import type { BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { checksumOf } from './checksum.ts';
import type { FileTable } from './file-table.ts';
import type { FileIdentity } from './records.ts';
import { READ_FLAGS } from './handle-cache.ts';
import { readFully } from './vectors.ts';

/** What a link, a directory or a pipe in place of a file answers. */
const NO_FILE = new Set(['ELOOP', 'EISDIR', 'ESPIPE', 'ENXIO']);

export function isNoFile({ code = '' }: NodeJS.ErrnoException): boolean {
  return NO_FILE.has(code);
}

/** What the disk, or a file system with checksums, answers for bytes that are lost. */
const BAD_SECTOR = new Set(['EIO', 'EBADMSG', 'EUCLEAN']);

export function isBadSector({ code = '' }: NodeJS.ErrnoException): boolean {
  return BAD_SECTOR.has(code);
}

/** It is not what was written. */
export class CorruptFileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CorruptFileError';
  }
}

/**
 * What it was when all of its pages were seen to be right; undefined where that was not to be found
 * out. Rejects with a `CorruptFileError` where one is not, or with an error of the disk.
 */
export async function checkFile(
  path: string,
  table: FileTable,
  identity: FileIdentity,
  signal: AbortSignal | undefined,
): Promise<BigIntStats | undefined> {
  const handle = await open(path, READ_FLAGS);
  try {
    const before = await handle.stat({ bigint: true });
    const row = table.findExactly(identity);
    if (row === undefined) return undefined;
    if (!before.isFile()) throw new CorruptFileError('it is no file');
    if (before.size !== BigInt(table.lengthOf(row))) {
      throw new CorruptFileError('it has another length');
    }
    await checkPages(handle, table, identity, signal);
    if (signal?.aborted === true) return undefined;
    const after = await handle.stat({ bigint: true });
    return before.ctimeNs === after.ctimeNs ? after : undefined;
  } finally {
    await handle.close();
  }
}

/** Since the last batch nobody may have changed it: else what is held is not known to be right. */
export async function doubtIfTouched(
  handle: FileHandle,
  table: FileTable,
  identity: FileIdentity,
): Promise<void> {
  const before = table.findExactly(identity);
  if (before === undefined || table.isUnsure(before)) return;
  const seen = table.seenOf(before);
  table.setSeen(before, undefined);
  const { ino, ctimeNs } = await handle.stat({ bigint: true });
  // Rows are used again.
  const row = table.findExactly(identity);
  if (row === undefined) return;
  if (ino !== seen?.ino || ctimeNs !== seen.ctimeNs) table.makeUnsure(row);
}

async function checkPages(
  handle: FileHandle,
  table: FileTable,
  identity: FileIdentity,
  signal: AbortSignal | undefined,
): Promise<void> {
  let row = table.findExactly(identity);
  if (row === undefined) return;
  const pages = table.pagesOf(row);
  const buffer = Buffer.allocUnsafeSlow(Math.min(table.pageSizeBytes, table.lengthOf(row)));
  for (let index = 0; index < pages; index++) {
    if (signal?.aborted === true) return;
    if (!table.hasPage(row, index)) continue;
    const page = buffer.subarray(0, table.pageLength(row, index));
    const sum = table.sumOf(row, index);
    const isWhole = await readFully(handle, [page], index * table.pageSizeBytes);
    if (!isWhole || checksumOf([page]) !== sum) {
      throw new CorruptFileError(`page ${index} is not what was written`);
    }
    // Rows are used again.
    row = table.findExactly(identity);
    if (row === undefined) return;
  }
}
