/**
 * Alluxio's consistent-hash ring, bit for bit: which workers own a path, in which order.
 *
 * Point i of a worker is the hash of `identifier ‖ version ‖ i`; a key's attempt a (1, 2, …) is the
 * hash of `key ‖ a`; its worker is that of the smallest point at or after the hash, or of the first
 * point of the ring. Distinct workers are collected over the attempts. The ring is cyclic, so
 * points are kept in unsigned order though Java sorts them signed: the answers are the same.
 *
 * Two workers whose points collide: the one inserted last wins. Java inserts in the order of a set,
 * which no client can know; ours is the order of the view (sorted by id), so that all of our
 * clients at least agree with each other.
 *
 * Keys are bytes. Java hashes the UTF-8 of its string, which is these same bytes; a name that is
 * not valid UTF-8 has no such string in Java, so any choice will do, and its bytes are hashed.
 */
import type { ByteString } from '../base/byte-string.ts';
import { Murmur3Prefix } from './murmur3.ts';
import type { Worker } from './types.ts';

/** Alluxio's own bound on attempts. */
const ATTEMPTS_MAX = 100;
/** Alluxio's clients use 5 or 2000; beyond this a ring of 1000 workers would not fit in memory. */
export const VIRTUAL_NODES_MAX = 10_000;
/** Point hash and worker index are packed into the 53 bits that a double holds exactly. */
const WORKER_INDEX_LIMIT = 2 ** 20;

export interface RingOptions {
  readonly virtualNodes: number;
}

export class Ring {
  readonly virtualNodes: number;
  readonly #workers: readonly Worker[];
  /** Distinct point hashes as uint32, ascending. */
  readonly #points: Uint32Array;
  /** Index into #workers, parallel to #points. */
  readonly #owners: Uint32Array;
  /** For the top bits of a hash: index of the first point whose top bits are not smaller. */
  readonly #buckets: Uint32Array;
  readonly #bucketShift: number;
  readonly #prefix = new Murmur3Prefix();

  constructor(workers: readonly Worker[], options: RingOptions) {
    const { virtualNodes } = options;
    if (!Number.isInteger(virtualNodes) || virtualNodes < 1 || virtualNodes > VIRTUAL_NODES_MAX) {
      throw new RangeError(`Virtual node count must be 1 to ${VIRTUAL_NODES_MAX}: ${virtualNodes}`);
    }
    if (workers.length >= WORKER_INDEX_LIMIT) {
      throw new RangeError(`Too many workers for a ring: ${workers.length}`);
    }
    this.virtualNodes = virtualNodes;
    this.#workers = [...workers];
    const packed = sortedPoints(this.#workers, virtualNodes);
    this.#points = new Uint32Array(packed.length);
    this.#owners = new Uint32Array(packed.length);
    const count = unpackDistinct(packed, this.#points, this.#owners);
    this.#points = this.#points.subarray(0, count);
    this.#owners = this.#owners.subarray(0, count);
    // About one point a bucket: a lookup reads one bucket and then one or two points.
    const bucketBits = Math.min(20, Math.max(1, Math.ceil(Math.log2(count + 1))));
    this.#bucketShift = 32 - bucketBits;
    this.#buckets = bucketStarts(this.#points, bucketBits);
  }

  get size(): number {
    return this.#workers.length;
  }

  /** The first worker for a key, undefined on an empty ring. */
  ownerOf(key: ByteString): Worker | undefined {
    if (this.#workers.length === 0) return undefined;
    return this.#workers[this.#ownerAt(this.#prefix.start(key).hashWithInt32(1))];
  }

  /**
   * The first `count` distinct workers for a key, the owner first. Fewer where the ring has fewer
   * workers or 100 attempts find no more.
   */
  workersFor(key: ByteString, count: number): Worker[] {
    const wanted = Math.min(count, this.#workers.length);
    const found: Worker[] = [];
    if (wanted < 1) return found;
    const prefix = this.#prefix.start(key);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX && found.length < wanted; attempt += 1) {
      const worker = this.#workers[this.#ownerAt(prefix.hashWithInt32(attempt))];
      // At most 100 entries, mostly one to four: scanning beats a set.
      if (worker !== undefined && !found.includes(worker)) found.push(worker);
    }
    return found;
  }

  /** Signed hash and worker of every point in Java's (signed) order; for tests and tools. */
  points(): { hash: number; worker: Worker }[] {
    const points: { hash: number; worker: Worker }[] = [];
    for (let i = 0; i < this.#points.length; i += 1) {
      const worker = this.#workers[this.#owners[i] ?? 0];
      if (worker !== undefined) points.push({ hash: (this.#points[i] ?? 0) | 0, worker });
    }
    return points.sort((a, b) => a.hash - b.hash);
  }

  #ownerAt(signedHash: number): number {
    const hash = signedHash >>> 0;
    const points = this.#points;
    let i = this.#buckets[hash >>> this.#bucketShift] ?? 0;
    while (i < points.length && (points[i] ?? 0) < hash) i += 1;
    return this.#owners[i === points.length ? 0 : i] ?? 0;
  }
}

function sortedPoints(workers: readonly Worker[], virtualNodes: number): Float64Array {
  const packed = new Float64Array(workers.length * virtualNodes);
  const prefix = new Murmur3Prefix();
  let next = 0;
  for (const [index, worker] of workers.entries()) {
    prefix.start(identityBytes(worker));
    for (let i = 0; i < virtualNodes; i += 1) {
      packed[next] = (prefix.hashWithInt32(i) >>> 0) * WORKER_INDEX_LIMIT + index;
      next += 1;
    }
  }
  // A typed array without a comparator sorts natively; equal hashes stay in worker order because
  // the worker index is in the low bits.
  return packed.sort();
}

/** Of equal hashes the last, the worker inserted last, is kept. Returns how many are left. */
function unpackDistinct(packed: Float64Array, points: Uint32Array, owners: Uint32Array): number {
  let count = 0;
  for (const value of packed) {
    const hash = Math.floor(value / WORKER_INDEX_LIMIT);
    if (count > 0 && points[count - 1] === hash) count -= 1;
    points[count] = hash;
    owners[count] = value - hash * WORKER_INDEX_LIMIT;
    count += 1;
  }
  return count;
}

function bucketStarts(points: Uint32Array, bucketBits: number): Uint32Array {
  const buckets = new Uint32Array(2 ** bucketBits);
  const shift = 32 - bucketBits;
  let i = 0;
  for (let bucket = 0; bucket < buckets.length; bucket += 1) {
    while (i < points.length && (points[i] ?? 0) >>> shift < bucket) i += 1;
    buckets[bucket] = i;
  }
  return buckets;
}

/** `identifier ‖ version as int32 LE`, as bytes. */
function identityBytes(worker: Worker): ByteString {
  const version = Buffer.alloc(4);
  version.writeInt32LE(worker.version | 0);
  return Buffer.concat([Buffer.from(worker.identifier, 'hex'), version]).toString(
    'latin1',
  ) as ByteString;
}
