import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { SharedRuns } from './shared-runs.ts';

interface Run {
  end(error?: Error): void;
}

function setUp() {
  const runs = new SharedRuns<string>();
  const begun: Run[] = [];
  const run = (key = 'a'): Promise<void> =>
    runs.run(
      key,
      () =>
        new Promise((resolve, reject) => {
          begun.push({ end: (error) => (error === undefined ? resolve() : reject(error)) });
        }),
    );
  return { begun, run };
}

test('all who come while one runs share the next, and wait for that one', async () => {
  const { begun, run } = setUp();
  const first = run();
  let served = 0;
  const others = Array.from({ length: 100 }, () => run().then(() => (served += 1)));
  await turn();
  assert.equal(begun.length, 1);
  begun[0]?.end();
  await first;
  await turn();
  assert.equal(begun.length, 2);
  assert.equal(served, 0);
  begun[1]?.end();
  await Promise.all(others);
  assert.equal(begun.length, 2);
});

test('a run that fails fails those who waited for it, and nobody else', async () => {
  const { begun, run } = setUp();
  const first = run();
  const second = run();
  begun[0]?.end(new Error('disk'));
  await assert.rejects(first, /disk/);
  await turn();
  begun[1]?.end();
  await second;
  const third = run();
  begun[2]?.end();
  await third;
});

test('keys do not wait for each other', async () => {
  const { begun, run } = setUp();
  void run('a');
  const other = run('b');
  assert.equal(begun.length, 2);
  begun[1]?.end();
  await other;
  begun[0]?.end();
});
