import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random.ts';

test('the same seed gives the same numbers, another seed others', () => {
  const draw = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 20 }, () => random.below(1_000_000));
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
});

test('every value of a range comes, about as often as the others, and none outside', () => {
  const random = new Random(7);
  const counts = new Map<number, number>();
  for (let i = 0; i < 60_000; i++) {
    const value = random.between(3, 8);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  assert.deepEqual(
    [...counts.keys()].sort((a, b) => a - b),
    [3, 4, 5, 6, 7, 8],
  );
  for (const count of counts.values()) assert.ok(Math.abs(count - 10_000) < 500, `${count}`);
});

test('steps next to each other do not resemble each other', () => {
  let ones = 0;
  for (let step = 0; step < 10_000; step++) if (Random.forStep(1, step).chance(0.5)) ones++;
  assert.ok(Math.abs(ones - 5_000) < 300, `${ones}`);
});

test('shuffle keeps every item', () => {
  const items = Array.from({ length: 100 }, (_, index) => index);
  const shuffled = new Random(3).shuffle(items);
  assert.notDeepEqual(shuffled, items);
  assert.deepEqual(
    shuffled.sort((a, b) => a - b),
    items,
  );
});
