/** CRC32C of pages and of the index, by the processor's own instruction. */
import { crc32c } from '@node-rs/crc32';

/** Of pieces in a row; shared memory is read where it lies. */
export function checksumOf(pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces) sum = crc32c(piece, sum);
  return sum;
}
