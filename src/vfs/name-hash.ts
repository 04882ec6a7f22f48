/** A hash of names for tables whose size is a power of two. */
import type { ByteString } from '../base/byte-string.ts';

/** FNV-1a: one multiplication a byte, and no two names of a counter fall together. */
export const HASH_START = 0x811c9dc5 | 0;

export function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** As uint32, so that the low bits of it are a place. */
export function hashOfName(name: ByteString): number {
  let hash = HASH_START;
  for (let at = 0; at < name.length; at++) hash = hashStep(hash, name.charCodeAt(at));
  return hash >>> 0;
}
