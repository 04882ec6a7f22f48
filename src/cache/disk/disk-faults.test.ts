/** A tier whose disk is slow or broken, or that is asked for much at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intercept } from './testing/calls.ts';
import { backingFiles, fileOf, keep, makeDirectory, openTier, PAGE } from './testing/tier.ts';
import { waitFor } from './testing/wait.ts';

test('many files are removed a few at a time, and others have their turn meanwhile', async (context) => {
  const directory = await makeDirectory(context);
  const first = await openTier([directory]);
  const files = Array.from({ length: 1200 }, (_, index) => fileOf(`f${index}`, 100));
  for (const file of files) await keep(first, file, [0]);
  let [calls, running, most] = [0, 0, 0];
  intercept(context, 'unlink', (unlink) => async (path) => {
    calls++;
    most = Math.max(most, ++running);
    try {
      await unlink(path);
    } finally {
      running--;
    }
  });
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const dropped = await first.drop((path) => path.length % 2 === 0);
  assert.ok(turns >= 3, `${turns} turns`);
  await first.close();
  assert.equal(calls, dropped.files);
  assert.ok(most <= 2, `${most} at a time`);
  assert.equal(backingFiles(directory).length, 1200 - dropped.files);
  // A lower limit: most of what is left goes.
  turns = 0;
  const second = await openTier([directory], { limitBytes: 80 * PAGE });
  await waitFor('removals', () => backingFiles(directory).length <= 80);
  assert.ok(turns >= 2, `${turns} turns`);
  isOver = true;
  await second.close();
});
