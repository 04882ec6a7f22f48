/** Goal: a table that is asked for again is told of once for each change, and never lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../base/logger.ts';
import type { ConfiguredMount } from '../config/index.ts';
import { isAddition, MountFollower, type MountsChange } from './told-mounts.ts';

const tableOf = (mounts: Readonly<Record<string, string>>): ConfiguredMount[] =>
  Object.entries(mounts).map(([path, ufs]) => ({ path, ufs }));

test('a change only adds where no path that was below a mount lies elsewhere', () => {
  const before = tableOf({ '/a': 's3://a', '/b/c': 's3://c' });
  const rows: readonly (readonly [Readonly<Record<string, string>>, boolean])[] = [
    [{ '/a': 's3://a', '/b/c': 's3://c' }, true],
    [{ '/b/c': 's3://c', '/a': 's3://a', '/d': 's3://d' }, true],
    // What is above a mount was below none.
    [{ '/a': 's3://a', '/b/c': 's3://c', '/b': 's3://b' }, true],
    [{ '/a': 's3://a', '/b/c': 's3://c', '/ab': 's3://b' }, true],
    [{ '/a': 's3://a', '/b/c': 's3://c', '/a/in': 's3://b' }, false],
    [{ '/a': 's3://other', '/b/c': 's3://c' }, false],
    [{ '/a': 's3://a' }, false],
  ];
  for (const [now, expected] of rows) {
    assert.equal(isAddition(before, tableOf(now)), expected, JSON.stringify(now));
  }
});

test('a follower tells of each change once, and keeps the table while nobody tells one', async () => {
  const first = tableOf({ '/a': 's3://a' });
  const second = tableOf({ '/a': 's3://a', '/b': 's3://b' });
  const answers: (readonly ConfiguredMount[] | Error)[] = [
    first,
    new Error('away'),
    [],
    second,
    second.toReversed(),
    first,
  ];
  const changes: MountsChange[] = [];
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  // Its timers hold no process.
  const awake = setInterval(() => undefined, 1000);
  const follower = new MountFollower({
    mounts: first,
    refreshMs: 1,
    ask: () => {
      const answer = answers.shift();
      if (answer === undefined) finish();
      if (answer instanceof Error) return Promise.reject(answer);
      return Promise.resolve(answer ?? first);
    },
    onChange: (change) => changes.push(change),
    logger: silentLogger,
  });
  await finished;
  await follower.close();
  clearInterval(awake);
  assert.deepEqual(changes, [
    { mounts: second, isAdditionOnly: true },
    { mounts: first, isAdditionOnly: false },
  ]);
});
