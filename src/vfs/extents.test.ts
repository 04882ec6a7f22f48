import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Extents } from './extents.ts';

const SIZE = 40;

test('ranges behave as a set of bytes', () => {
  const change = fc.record({
    isAdd: fc.boolean(),
    start: fc.nat(SIZE),
    length: fc.nat(SIZE),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const extents = new Extents();
      const held = Array.from({ length: 2 * SIZE + 1 }, () => false);
      for (const { isAdd, start, length } of changes) {
        if (isAdd) extents.add(start, start + length);
        else extents.remove(start, start + length);
        held.fill(isAdd, start, start + length);
        const seen: boolean[] = [];
        let previous: boolean | undefined;
        for (const run of extents.runs(0, held.length)) {
          assert.equal(run.start, seen.length, 'a gap between runs');
          assert.notEqual(run.isHeld, previous, 'two runs of one kind side by side');
          previous = run.isHeld;
          while (seen.length < run.end) seen.push(run.isHeld);
        }
        assert.deepEqual(seen, held);
        assert.equal(extents.totalBytes, held.filter(Boolean).length);
        assert.equal(
          extents.missing(3, SIZE),
          held.slice(3, SIZE).filter((isHeld) => !isHeld).length,
        );
      }
    }),
    { numRuns: 2000 },
  );
});
