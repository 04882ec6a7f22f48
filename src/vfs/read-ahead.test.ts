import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadAhead } from './read-ahead.ts';

const MIB = 1024 * 1024;

test('reading in order doubles the window up to its bound', () => {
  const readAhead = new ReadAhead(8 * MIB);
  const targets = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((index) => {
    return readAhead.next(index * MIB, (index + 1) * MIB) / MIB;
  });
  // At its bound the window moves in steps of 4.
  assert.deepEqual(targets, [2, 4, 7, 12, 12, 12, 12, 16, 16]);
});

test('a first read in the middle, and every jump, fetches nothing that nobody asked for', () => {
  const readAhead = new ReadAhead(8 * MIB);
  assert.equal(readAhead.next(100, 200), 200);
  for (const offset of [50 * MIB, 10 * MIB, 90 * MIB, 20 * MIB]) {
    assert.equal(readAhead.next(offset, offset + 4096), offset + 4096);
  }
});

test('requests of one stream may overtake each other', () => {
  const readAhead = new ReadAhead(64 * MIB);
  let targetEnd = 0;
  for (const index of [0, 2, 1, 4, 3, 6, 5]) {
    const next = readAhead.next(index * MIB, (index + 1) * MIB);
    assert.ok(next >= targetEnd, 'the target never goes back');
    targetEnd = next;
  }
  assert.ok(targetEnd > 7 * MIB);
});

test('after a jump reading in order opens the window again', () => {
  const readAhead = new ReadAhead(8 * MIB);
  readAhead.next(0, MIB);
  assert.equal(readAhead.next(100 * MIB, 101 * MIB), 101 * MIB);
  assert.equal(readAhead.next(101 * MIB, 102 * MIB), 103 * MIB);
});

test('a bound of 0 switches it off', () => {
  const readAhead = new ReadAhead(0);
  for (let index = 0; index < 20; index++) {
    const end = (index + 1) * MIB;
    assert.ok(readAhead.next(index * MIB, end) <= end);
  }
});
