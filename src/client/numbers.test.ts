/** Ranges and counts, as callers may get them wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConcurrency, placeOf, pythonRange, rangeOf } from './numbers.ts';

const SIZE = 10;
const invalid = { name: 'AlluxioError', code: 'invalid' };

test('a range is what the file has of it', () => {
  assert.deepEqual(rangeOf(2, 5, SIZE), { from: 2, to: 7 });
  assert.deepEqual(rangeOf(8, 5, SIZE), { from: 8, to: 10 });
  assert.deepEqual(rangeOf(12, 5, SIZE), { from: 10, to: 10 });
  assert.deepEqual(rangeOf(3, Infinity, SIZE), { from: 3, to: 10 });
});

test('what is no range is none, whatever could be made of it', () => {
  for (const [offset, length] of [
    [2, -5],
    [-1, 2],
    [0.5, 1],
    [0, 1.5],
    [NaN, 1],
    [0, NaN],
    [Infinity, 1],
  ] as const) {
    assert.throws(() => rangeOf(offset, length, SIZE), invalid, `${offset}+${length}`);
  }
  for (const offset of [0.5, NaN]) assert.throws(() => placeOf(offset, SIZE), invalid);
});

test("as in Python's clients, places count from the end, and a length of -1 is all", () => {
  assert.deepEqual(pythonRange(-3, 3, SIZE), { from: 7, to: 10 });
  assert.deepEqual(pythonRange(-3, 2, SIZE), { from: 7, to: 9 });
  assert.deepEqual(pythonRange(-30, undefined, SIZE), { from: 0, to: 10 });
  assert.deepEqual(pythonRange(4, -1, SIZE), { from: 4, to: 10 });
  assert.throws(() => pythonRange(4, -2, SIZE), invalid);
});

test('so many at a time are a number that machines can hold', () => {
  for (const value of [undefined, 1, 8, 256]) checkConcurrency(value);
  for (const value of [NaN, 0, -1, 1.5, 1e9, Infinity]) {
    assert.throws(() => checkConcurrency(value), invalid, String(value));
  }
});
