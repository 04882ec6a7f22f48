import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slab, SLOT_BYTES } from './slab.ts';

const slab = new Slab({ slotBytes: 16, slotCount: 10 });

function write(slots: readonly number[], lengthBytes: number): void {
  for (let at = 0; at < lengthBytes;) {
    const memory = slab.memoryAt(slots, at, lengthBytes - at);
    assert.ok(memory !== undefined && memory.length > 0);
    for (let i = 0; i < memory.length; i++) memory[i] = at + i;
    at += memory.length;
  }
}

test('a page can be written through its memory, whatever order its slots are in', () => {
  for (const slots of [
    [2, 3, 4],
    [4, 3, 2],
    [9, 0, 1],
    [0, 2, 3],
  ]) {
    slab.slot(5).fill(99);
    write(slots, 40);
    const page = Buffer.concat(slots.map((slot) => slab.slot(slot))).subarray(0, 40);
    assert.deepEqual(
      [...page],
      Array.from({ length: 40 }, (_, index) => index),
    );
    assert.ok(slab.slot(5).every((byte) => byte === 99));
  }
});

test('the memory of neighbouring slots is one piece, and ends where the page does', () => {
  assert.equal(slab.memoryAt([2, 3, 4], 0, 48)?.length, 48);
  assert.equal(slab.memoryAt([2, 3, 4], 20, 10)?.length, 10);
  assert.equal(slab.memoryAt([2, 3, 7], 20, 28)?.length, 12);
  assert.equal(slab.memoryAt([2, 3], 32, 1), undefined);
  assert.equal(slab.memoryAt([2, 3], 0, 0), undefined);
});

test('preparing memory changes none of it', () => {
  const large = new Slab({ slotBytes: SLOT_BYTES, slotCount: 16 });
  large.slot(3).fill(7);
  large.prepare([1, 2, 3, 9, 8]);
  large.prepare([3, 4]);
  assert.ok(large.slot(3).every((byte) => byte === 7));
  assert.ok(large.slot(9).every((byte) => byte === 0));
});
