/**
 * MurmurHash3 x86 32-bit, seed 0, the result as signed int32: what Alluxio's ring hashes with
 * (Guava's `murmur3_32_fixed`). Everything the ring hashes is "some bytes, then one int32 in little
 * endian", with the same bytes asked for many times: `Murmur3Prefix` mixes the bytes once and then
 * finishes for each int32 in constant time.
 */
import type { ByteString } from '../base/byte-string.ts';

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

function scramble(k: number): number {
  const product = Math.imul(k, C1);
  return Math.imul((product << 15) | (product >>> 17), C2);
}

function mixBlock(h: number, k: number): number {
  const mixed = h ^ scramble(k);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(h: number, lengthBytes: number): number {
  let x = h ^ lengthBytes;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** The hash state after some bytes. One instance is reused for many keys: it allocates nothing. */
export class Murmur3Prefix {
  #h = 0;
  /** The 0 to 3 bytes after the last whole block, little endian. */
  #tail = 0;
  #tailBits = 0;
  #lengthBytes = 0;

  start(bytes: ByteString): this {
    const lengthBytes = bytes.length;
    const blocksEnd = lengthBytes & ~3;
    let h = 0;
    for (let i = 0; i < blocksEnd; i += 4) {
      const k =
        bytes.charCodeAt(i) |
        (bytes.charCodeAt(i + 1) << 8) |
        (bytes.charCodeAt(i + 2) << 16) |
        (bytes.charCodeAt(i + 3) << 24);
      h = mixBlock(h, k);
    }
    let tail = 0;
    for (let i = blocksEnd; i < lengthBytes; i += 1) {
      tail |= bytes.charCodeAt(i) << ((i - blocksEnd) * 8);
    }
    this.#h = h;
    this.#tail = tail;
    this.#tailBits = (lengthBytes - blocksEnd) * 8;
    this.#lengthBytes = lengthBytes;
    return this;
  }

  /** Hash of the bytes alone. */
  hash(): number {
    const h = this.#tailBits === 0 ? this.#h : this.#h ^ scramble(this.#tail);
    return finish(h, this.#lengthBytes);
  }

  /** Hash of the bytes followed by one int32, little endian. */
  hashWithInt32(value: number): number {
    const bits = this.#tailBits;
    if (bits === 0) return finish(mixBlock(this.#h, value), this.#lengthBytes + 4);
    const h = mixBlock(this.#h, this.#tail | (value << bits));
    return finish(h ^ scramble(value >>> (32 - bits)), this.#lengthBytes + 4);
  }
}

export function murmur3(bytes: ByteString): number {
  return new Murmur3Prefix().start(bytes).hash();
}
