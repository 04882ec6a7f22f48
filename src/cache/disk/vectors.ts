/** Reading and writing pages that lie in several pieces of memory. */
import type { FileHandle } from 'node:fs/promises';

/** Linux takes at most 1024 pieces in a call. */
const PIECES_MAX = 512;

/** Fills all pieces; false where the file ends before. */
export async function readFully(
  handle: FileHandle,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<boolean> {
  return await all(pieces, position, async (part, at) => {
    const { bytesRead } = await handle.readv(part, at);
    return bytesRead;
  });
}

export async function writeFully(
  handle: FileHandle,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  const isWritten = await all(pieces, position, async (part, at) => {
    const { bytesWritten } = await handle.writev(part, at);
    return bytesWritten;
  });
  if (!isWritten) throw new Error('The disk took no byte');
}

async function all(
  pieces: readonly Uint8Array[],
  position: number,
  call: (part: readonly Uint8Array[], position: number) => Promise<number>,
): Promise<boolean> {
  let left = pieces;
  let at = position;
  while (left.length > 0) {
    const bytes = await call(left.slice(0, PIECES_MAX), at);
    if (bytes === 0) return false;
    at += bytes;
    left = rest(left, bytes);
  }
  return true;
}

/** Copies the bytes into the first of the pieces; what is left of these. */
export function scatter(bytes: Buffer, pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  let done = 0;
  for (const piece of pieces) {
    if (done === bytes.length) break;
    const part = bytes.subarray(done, done + piece.length);
    // Not `set`: into shared memory it copies word by word.
    Buffer.from(piece.buffer, piece.byteOffset, part.length).fill(part);
    done += part.length;
  }
  return rest(pieces, done);
}

/** What is left after so many bytes. */
function rest(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let done = bytes;
  for (const [index, piece] of pieces.entries()) {
    if (done < piece.length) return [piece.subarray(done), ...pieces.slice(index + 1)];
    done -= piece.length;
  }
  return [];
}
