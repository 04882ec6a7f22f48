/** Copies that were cut short leave the beginning of a file under its name. */
import type { ByteString } from '../base/byte-string.ts';
import type { FileStatus } from '../cluster/index.ts';
import { readBytes } from './cluster-parts.ts';
import type { StoreReader } from './cluster-parts.ts';
import { contextFor } from './contexts.ts';

const CHUNK_BYTES = 4 * 1024 * 1024;
/** Of two chunks: however long the files are, it goes on while they come. */
const CHUNK_TIMEOUT_MS = 60_000;

export interface FileAt {
  readonly path: ByteString;
  readonly status: FileStatus;
}

/**
 * Whether a copy of `whole` that was cut short may have left `file`: it is younger, shorter, and has the
 * bytes that the whole begins with. Anything else is somebody's own file.
 */
export async function isBeginning(
  reader: StoreReader,
  file: FileAt,
  whole: FileAt,
  stop: AbortSignal,
): Promise<boolean> {
  const { lengthBytes } = file.status;
  if (file.status.mtimeMs < whole.status.mtimeMs) return false;
  if (lengthBytes >= whole.status.lengthBytes) return false;
  for (let offset = 0; offset < lengthBytes; offset += CHUNK_BYTES) {
    const range = { offset, lengthBytes: Math.min(CHUNK_BYTES, lengthBytes - offset) };
    const context = contextFor(CHUNK_TIMEOUT_MS, stop);
    const chunks = [file, whole].map(({ path, status }) =>
      readBytes(reader, { path, version: status, ...range }, context),
    );
    const [a, b] = (await Promise.all(chunks)) as [Buffer, Buffer];
    if (!a.equals(b)) return false;
  }
  return true;
}
