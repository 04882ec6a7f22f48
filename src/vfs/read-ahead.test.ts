import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadAhead, WindowLimit } from './read-ahead.ts';

const MIB = 1024 * 1024;

const readAheadOf = (bytesMax: number): ReadAhead =>
  new ReadAhead(new WindowLimit(bytesMax, 64 * MIB));

test('reading in order doubles the window up to its bound', () => {
  const readAhead = readAheadOf(8 * MIB);
  const targets = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((index) => {
    return readAhead.next(index * MIB, (index + 1) * MIB) / MIB;
  });
  // At its bound the window moves in steps of 4.
  assert.deepEqual(targets, [2, 4, 7, 12, 12, 12, 12, 16, 16]);
});

test('a first read in the middle, and every jump, fetches nothing that nobody asked for', () => {
  const readAhead = readAheadOf(8 * MIB);
  assert.equal(readAhead.next(100, 200), 200);
  for (const offset of [50 * MIB, 10 * MIB, 90 * MIB, 20 * MIB]) {
    assert.equal(readAhead.next(offset, offset + 4096), offset + 4096);
  }
});

test('requests of one stream may overtake each other', () => {
  const readAhead = readAheadOf(64 * MIB);
  let targetEnd = 0;
  for (const index of [0, 2, 1, 4, 3, 6, 5]) {
    const next = readAhead.next(index * MIB, (index + 1) * MIB);
    assert.ok(next >= targetEnd, 'the target never goes back');
    targetEnd = next;
  }
  assert.ok(targetEnd > 7 * MIB);
});

test('after a jump reading in order opens the window again', () => {
  const readAhead = readAheadOf(8 * MIB);
  readAhead.next(0, MIB);
  assert.equal(readAhead.next(100 * MIB, 101 * MIB), 101 * MIB);
  assert.equal(readAhead.next(101 * MIB, 102 * MIB), 103 * MIB);
});

test('what had to make room before it was read makes all windows smaller, until all is read again', () => {
  const limit = new WindowLimit(8 * MIB, 64 * MIB);
  const readAhead = new ReadAhead(limit);
  const file = {};
  let at = 0;
  const read = (count = 1): void => {
    for (let i = 0; i < count; i++, at += MIB) readAhead.next(at, at + MIB);
  };
  const lose = (): void => {
    readAhead.fetching(file, at, at + 2 * MIB);
    read();
    readAhead.fetching(file, at, at + MIB);
  };
  read(12);
  assert.equal(readAhead.next(at - MIB, at), at + 8 * MIB);
  lose();
  assert.equal(limit.bytes, 4 * MIB);
  assert.equal(readAhead.next(at - MIB, at), at + 4 * MIB);
  read(8);
  // Nobody fetched these, or somebody has read them.
  readAhead.fetching(file, at + 20 * MIB, at + 21 * MIB);
  readAhead.fetching(file, 0, MIB);
  assert.equal(limit.bytes, 4 * MIB);
  at += 21 * MIB;
  read(9);
  lose();
  // At the same time.
  lose();
  assert.equal(limit.bytes, 2 * MIB);
  for (let i = 0; i < 5; i++) {
    read(8);
    lose();
  }
  assert.equal(limit.bytes, MIB);
  // Another version of the file: its pages went with it.
  read(8);
  readAhead.fetching(file, at, at + 2 * MIB);
  readAhead.fetching({}, at, at + 2 * MIB);
  read(23);
  assert.equal(limit.bytes, MIB);
  read(2);
  assert.equal(limit.bytes, 2 * MIB);
  read(100);
  assert.equal(limit.bytes, 8 * MIB);
});

/** Offsets of the places that are expected after each read, in MiB. */
function placesOf(readAhead: ReadAhead, offsets: readonly number[], sizeBytes = 4096): number[][] {
  return offsets.map((offset) => {
    const end = offset * MIB + sizeBytes;
    assert.equal(readAhead.next(offset * MIB, end), end);
    const places = readAhead.places();
    assert.ok(places.every((place) => place.end - place.offset === sizeBytes));
    return places.map((place) => place.offset / MIB);
  });
}

test('jumps of one length are followed, the further the longer they go on', () => {
  const readAhead = readAheadOf(64 * MIB);
  readAhead.next(0, 4096);
  assert.deepEqual(placesOf(readAhead, [10, 20, 30, 40, 50, 60, 70]), [
    [],
    [],
    [40],
    [50, 60],
    [60, 70, 80, 90],
    [70, 80, 90, 100, 110, 120, 130, 140],
    [80, 90, 100, 110, 120, 130, 140, 150],
  ]);
  assert.deepEqual(placesOf(readAhead, [33, 77]), [[], []]);
});

test('backwards they end at the beginning of the file', () => {
  const readAhead = readAheadOf(64 * MIB);
  const places = placesOf(readAhead, [60, 50, 40, 30, 20]);
  assert.deepEqual(places, [[], [], [], [20], [10, 0]]);
});

test('what lies between two jumps is read ahead as a whole, and nothing behind it', () => {
  const readAhead = readAheadOf(64 * MIB);
  for (const start of [0, 20, 40, 60]) {
    readAhead.next(start * MIB, (start + 1) * MIB);
    readAhead.next((start + 1) * MIB, (start + 2) * MIB);
  }
  assert.deepEqual(readAhead.places(), [{ offset: 80 * MIB, end: 82 * MIB }]);
  assert.equal(readAhead.next(80 * MIB, 81 * MIB), 81 * MIB);
  assert.equal(readAhead.next(81 * MIB, 82 * MIB), 82 * MIB);
  // It goes on where it used to jump.
  assert.ok(readAhead.next(82 * MIB, 83 * MIB) > 83 * MIB);
});

test('jumps of different lengths are not followed', () => {
  const readAhead = readAheadOf(64 * MIB);
  for (const places of placesOf(readAhead, [10, 70, 30, 90, 50, 120]))
    assert.equal(places.length, 0);
});

test('a bound of 0 switches it off', () => {
  const readAhead = readAheadOf(0);
  for (let index = 0; index < 20; index++) {
    const end = (index + 1) * MIB;
    assert.ok(readAhead.next(index * MIB, end) <= end);
  }
  for (let index = 1; index < 20; index++) {
    readAhead.next(index * 10 * MIB, index * 10 * MIB + 4096);
    assert.deepEqual(readAhead.places(), []);
  }
});
