/** What a cached file is known by: where it lies in the cluster, and its version. */
import { createHash } from 'node:crypto';
import type { ByteString } from '../../base/byte-string.ts';

export interface ContentVersion {
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly contentHash?: string | undefined;
}

/** 128 bits of SHA-256: two files that share one do not come up. */
export type CacheKey = Uint32Array;

export const KEY_WORDS = 4;
export const KEY_BYTES = 16;

/** `place` names the cluster's name space: one directory may have served another cluster before. */
export function cacheKeyOf(place: string, path: ByteString, version: ContentVersion): CacheKey {
  const { lengthBytes, mtimeMs, contentHash } = version;
  const digest = createHash('sha256')
    .update(`${place}\0${lengthBytes}\0${mtimeMs}\0${contentHash ?? ''}\0`, 'utf8')
    .update(path, 'latin1')
    .digest();
  return new Uint32Array(new Uint8Array(digest.subarray(0, KEY_BYTES)).buffer);
}

const bytesOf = (key: CacheKey): Buffer => Buffer.from(key.buffer, key.byteOffset, KEY_BYTES);

/** Part of the name of a backing file. */
export function hexOfKey(key: CacheKey): string {
  return bytesOf(key).toString('hex');
}

export function keyOfHex(hex: string): CacheKey {
  const key = new Uint32Array(KEY_WORDS);
  bytesOf(key).write(hex, 'hex');
  return key;
}
