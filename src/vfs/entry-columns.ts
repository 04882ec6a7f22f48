/**
 * Many directory entries in little memory: names in one block of bytes, attributes in typed arrays,
 * and an open hash over the names. Some 45 bytes an entry and its name, where an object with a
 * string and a place in a Map takes 200, all of which a collector would have to walk.
 *
 * INVARIANT: `#slots` holds, at or after the place a name hashes to, 1 + the entry's index; 0 ends
 * the search. At most half of the slots are taken.
 */
import type { ByteString } from '../base/byte-string.ts';
import { HASH_START, hashOfName, hashStep } from './name-hash.ts';
import type { StatusMessage } from './types.ts';

const FIRST_CAPACITY = 64;
/** Of names, as a first guess; it grows like everything else. */
const BYTES_PER_NAME = 16;
const SLOTS_PER_ENTRY = 2;
/** A mode has 12 bits. */
const NO_MODE = 0xffff;
/** Among the kinds; anything else is a file. */
const DIRECTORY = 1;

/** A plain entry's mode in a column of 16 bits, its kind in one of 8. */
export const codes = {
  ofMode: (mode: number | undefined): number => mode ?? NO_MODE,
  ofKind: (kind: StatusMessage['kind']): number => (kind === 'directory' ? DIRECTORY : 0),
  mode: (code: number | undefined): number | undefined => (code === NO_MODE ? undefined : code),
  kind: (code: number | undefined): 'directory' | 'file' =>
    code === DIRECTORY ? 'directory' : 'file',
};

export class EntryColumns {
  #count = 0;
  #names: Buffer = Buffer.alloc(FIRST_CAPACITY * BYTES_PER_NAME);
  /** Where each name ends; it begins where the one before ends. */
  #nameEnds = new Uint32Array(FIRST_CAPACITY);
  #lengths = new Float64Array(FIRST_CAPACITY);
  #mtimes = new Float64Array(FIRST_CAPACITY);
  #modes = new Uint16Array(FIRST_CAPACITY);
  #kinds = new Uint8Array(FIRST_CAPACITY);
  /** Only some clusters tell them. */
  readonly #hashes = new Map<number, string>();
  #slots = new Uint32Array(FIRST_CAPACITY * SLOTS_PER_ENTRY);

  get count(): number {
    return this.#count;
  }

  name(index: number): ByteString {
    const end = this.#nameEnds[index] as number;
    return this.#names.toString('latin1', this.#nameStart(index), end) as ByteString;
  }

  status(index: number): StatusMessage {
    return {
      kind: codes.kind(this.#kinds[index]),
      lengthBytes: this.#lengths[index] as number,
      mtimeMs: this.#mtimes[index] as number,
      mode: codes.mode(this.#modes[index]),
      contentHash: this.#hashes.get(index),
    };
  }

  /** Ascending. */
  directories(): Uint32Array {
    const found: number[] = [];
    for (let index = 0; index < this.#count; index++) {
      if (this.#kinds[index] === DIRECTORY) found.push(index);
    }
    return Uint32Array.from(found);
  }

  indexOf(name: ByteString): number | undefined {
    const found = this.#slots[this.#slotOf(name)] as number;
    return found === 0 ? undefined : found - 1;
  }

  /** False for a name that is there: nothing is done then. */
  add(name: ByteString, status: StatusMessage): boolean {
    let slot = this.#slotOf(name);
    if (this.#slots[slot] !== 0) return false;
    const index = this.#count;
    if (index === this.#lengths.length) {
      this.#grow();
      slot = this.#slotOf(name);
    }
    const start = index === 0 ? 0 : (this.#nameEnds[index - 1] as number);
    const end = start + name.length;
    if (end > this.#names.length) {
      this.#names = resizedNames(this.#names, Math.max(end, this.#names.length * 2));
    }
    for (let at = 0; at < name.length; at++) this.#names[start + at] = name.charCodeAt(at);
    this.#nameEnds[index] = end;
    this.#lengths[index] = status.lengthBytes;
    this.#mtimes[index] = status.mtimeMs;
    this.#modes[index] = codes.ofMode(status.mode);
    this.#kinds[index] = codes.ofKind(status.kind);
    if (status.contentHash !== undefined) this.#hashes.set(index, status.contentHash);
    this.#slots[slot] = index + 1;
    this.#count++;
    return true;
  }

  /** Gives back what was taken for entries that will not come. */
  trim(): void {
    this.#resizeColumns(this.#count);
    this.#names = resizedNames(this.#names, this.#nameStart(this.#count));
  }

  #nameStart(index: number): number {
    return index === 0 ? 0 : (this.#nameEnds[index - 1] as number);
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#lengths.length * 2);
    this.#resizeColumns(capacity);
    this.#slots = new Uint32Array(capacity * SLOTS_PER_ENTRY);
    for (let index = 0; index < this.#count; index++) {
      let slot = this.#hashOfEntry(index) % this.#slots.length;
      while (this.#slots[slot] !== 0) slot = (slot + 1) % this.#slots.length;
      this.#slots[slot] = index + 1;
    }
  }

  #resizeColumns(capacity: number): void {
    this.#nameEnds = resized(this.#nameEnds, capacity);
    this.#lengths = resized(this.#lengths, capacity);
    this.#mtimes = resized(this.#mtimes, capacity);
    this.#modes = resized(this.#modes, capacity);
    this.#kinds = resized(this.#kinds, capacity);
  }

  /** The slot that leads to the name, or the free one where it belongs. */
  #slotOf(name: ByteString): number {
    let slot = hashOfName(name) % this.#slots.length;
    for (;;) {
      const found = this.#slots[slot] as number;
      if (found === 0 || this.#isName(found - 1, name)) return slot;
      slot = (slot + 1) % this.#slots.length;
    }
  }

  #isName(index: number, name: ByteString): boolean {
    const start = this.#nameStart(index);
    if ((this.#nameEnds[index] as number) - start !== name.length) return false;
    for (let at = 0; at < name.length; at++) {
      if (this.#names[start + at] !== name.charCodeAt(at)) return false;
    }
    return true;
  }

  #hashOfEntry(index: number): number {
    let hash = HASH_START;
    const end = this.#nameEnds[index] as number;
    for (let at = this.#nameStart(index); at < end; at++) {
      hash = hashStep(hash, this.#names[at] as number);
    }
    return hash >>> 0;
  }
}

/** Not of Node's pool, which would keep more than these. */
function resizedNames(names: Buffer, length: number): Buffer {
  const larger = Buffer.alloc(length);
  names.copy(larger, 0, 0, length);
  return larger;
}

type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

function resized<T extends Column>(column: T, length: number): T {
  const larger = new (column.constructor as new (length: number) => T)(length);
  larger.set(column.subarray(0, length));
  return larger;
}
