/**
 * Brings index and backing files together after a start: files with a name of ours that the index does
 * not know are removed, and entries whose file is gone. Files of others are left alone.
 */
import type { BackingFiles } from './backing-files.ts';
import type { FileTable, Row } from './file-table.ts';
import type { FileIdentity } from './records.ts';

/** What a file system may take beside the pages: its own maps of them. */
const SLACK_BYTES = 64 * 1024;

export interface SweepParts {
  readonly isOver: () => boolean;
  /** Made meanwhile. */
  readonly isWriting: (row: Row) => boolean;
  readonly forget: (identity: FileIdentity) => void;
}

export async function sweep(
  files: BackingFiles,
  table: FileTable,
  parts: SweepParts,
): Promise<void> {
  const before = table.snapshot();
  const isSeen = new Uint8Array(before.rowsEnd);
  for await (const { path, identity } of files.walk()) {
    if (parts.isOver()) return;
    const row = table.findExactly(identity);
    if (row === undefined) {
      await files.remove(path);
      continue;
    }
    if (row < isSeen.length) isSeen[row] = 1;
    if (table.isComplete(row) || parts.isWriting(row)) continue;
    // A kill may have come between writing pages and writing them down.
    const diskBytes = await files.diskBytes(path).catch(() => 0);
    const now = table.findExactly(identity);
    if (now === undefined || parts.isWriting(now)) continue;
    if (diskBytes > table.heldBytes(now) + SLACK_BYTES) parts.forget(identity);
  }
  for (let row = 0; row < isSeen.length; row++) {
    if (isSeen[row] === 1 || parts.isOver()) continue;
    const identity = before.stillThere(row as Row);
    if (identity !== undefined && !parts.isWriting(row as Row)) parts.forget(identity);
  }
}
