/**
 * Page memory: one SharedArrayBuffer cut into equal slots, sized once. The cluster thread writes
 * network bytes into slots, the kernel thread replies from them; no page byte lives anywhere else,
 * so the memory ceiling holds by construction.
 *
 * A slot is smaller than a page: a file of 110 KiB on a cluster with 4 MiB pages takes one slot,
 * not a page, and a page takes as many slots as it has bytes for (they need not be neighbours).
 */
import { assert } from '../base/assert.ts';
import { populate } from '../sys/index.ts';

/** 128 KiB: the size of a typical small file and of a kernel request without raised read-ahead. */
export const SLOT_BYTES = 128 * 1024;

/** Asked for in one call: as much as the longest fetch. */
const PREPARED_BYTES = 4 * 1024 * 1024;

export interface SlabGeometry {
  readonly slotBytes: number;
  readonly slotCount: number;
}

export function slabGeometry(memoryLimitBytes: number): SlabGeometry {
  return { slotBytes: SLOT_BYTES, slotCount: Math.floor(memoryLimitBytes / SLOT_BYTES) };
}

export class Slab {
  readonly geometry: SlabGeometry;
  readonly buffer: SharedArrayBuffer;
  readonly #slots: Buffer[] = [];
  /** By slot: 1 once its memory was asked for. */
  readonly #isPrepared: Uint8Array;
  #canPrepare = true;

  /** With a buffer: the same memory, seen from another thread. */
  constructor(geometry: SlabGeometry, buffer?: SharedArrayBuffer) {
    const { slotBytes, slotCount } = geometry;
    this.geometry = geometry;
    this.buffer = buffer ?? new SharedArrayBuffer(slotBytes * slotCount);
    assert(this.buffer.byteLength === slotBytes * slotCount, 'The slab has another size');
    this.#isPrepared = new Uint8Array(slotCount);
    for (let index = 0; index < slotCount; index++) {
      this.#slots.push(Buffer.from(this.buffer, index * slotBytes, slotBytes));
    }
  }

  slot(index: number): Buffer {
    const slot = this.#slots[index];
    assert(slot !== undefined, 'The slot index is out of range');
    return slot;
  }

  /** Has memory that was never used ready for bytes that are about to come. */
  prepare(slots: readonly number[]): void {
    if (!this.#canPrepare) return;
    for (const slot of slots) if (this.#isPrepared[slot] === 0) this.#prepareFrom(slot);
  }

  /** With those behind it, which are handed out next: the call itself costs as much as a slot. */
  #prepareFrom(first: number): void {
    const { slotBytes, slotCount } = this.geometry;
    const most = Math.min(slotCount, first + Math.max(1, PREPARED_BYTES / slotBytes));
    let end = first;
    while (end < most && this.#isPrepared[end] === 0) this.#isPrepared[end++] = 1;
    populate(this.buffer, first * slotBytes, (end - first) * slotBytes, (isDone) => {
      this.#canPrepare &&= isDone;
    });
  }

  /**
   * The place of a page's bytes from `offsetInPage` on: at most `lengthBytes`, less where its slots
   * are not neighbours; undefined for none.
   */
  memoryAt(
    slots: readonly number[],
    offsetInPage: number,
    lengthBytes: number,
  ): Uint8Array | undefined {
    const { slotBytes } = this.geometry;
    let index = Math.floor(offsetInPage / slotBytes);
    const first = slots[index];
    if (first === undefined || lengthBytes <= 0) return undefined;
    const offsetInSlot = offsetInPage % slotBytes;
    let room = slotBytes - offsetInSlot;
    while (room < lengthBytes && slots[index + 1] === (slots[index] as number) + 1) {
      room += slotBytes;
      index++;
    }
    const start = first * slotBytes + offsetInSlot;
    return new Uint8Array(this.buffer, start, Math.min(room, lengthBytes));
  }

  /**
   * Copies a chunk into a page that is laid over `slots`, starting at `offsetInPage`. Bytes past
   * the last slot are an error of the caller.
   */
  writeToPage(slots: readonly number[], offsetInPage: number, chunk: Uint8Array): void {
    const { slotBytes } = this.geometry;
    let done = 0;
    while (done < chunk.length) {
      const at = offsetInPage + done;
      const slotIndex = slots[Math.floor(at / slotBytes)];
      assert(slotIndex !== undefined, 'A chunk runs over the end of its page');
      const offsetInSlot = at % slotBytes;
      const length = Math.min(chunk.length - done, slotBytes - offsetInSlot);
      const part = length === chunk.length ? chunk : chunk.subarray(done, done + length);
      // Not `set`: into shared memory it copies word by word, at a quarter of this speed.
      this.slot(slotIndex).fill(part, offsetInSlot, offsetInSlot + length);
      done += length;
    }
  }
}
