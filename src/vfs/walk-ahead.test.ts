import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { Random } from '../base/random.ts';
import { batchOf } from './list-batch.ts';
import { Listing } from './listing.ts';
import type { StatusMessage } from './types.ts';
import { Stage } from './walk-ahead.ts';

/** In this order; names that begin with f are files. */
function listingOf(names: readonly string[]): Listing {
  const statuses = names.map((name): StatusMessage => {
    const kind = name.startsWith('f') ? 'file' : 'directory';
    return { kind, lengthBytes: 0, mtimeMs: 1, mode: undefined, contentHash: undefined };
  });
  const listing = new Listing(1);
  listing.append(batchOf(names as ByteString[], statuses), true);
  return listing;
}

function after(stage: Stage, listing: Listing, name?: string): string[] {
  return Array.from(stage.after(name as ByteString | undefined), (at) => listing.name(at));
}

const NAMES = ['d', 'f1', 'b', 'f2', 'c', 'f3', 'a'];

test('directories opened as they are listed are a walk from the second one on', () => {
  const listing = listingOf(NAMES);
  const stage = new Stage(listing, undefined);
  assert.equal(stage.opened('d' as ByteString), true);
  assert.equal(stage.isWalked, false);
  assert.equal(stage.opened('b' as ByteString), true);
  assert.equal(stage.isWalked, true);
  assert.deepEqual(after(stage, listing, 'b'), ['c', 'a']);
});

test('so are those opened in the order of their names', () => {
  const listing = listingOf(NAMES);
  const stage = new Stage(listing, undefined);
  for (const name of ['a', 'b', 'c']) stage.opened(name as ByteString);
  assert.equal(stage.isWalked, true);
  assert.deepEqual(after(stage, listing, 'c'), ['d']);
});

test('what is in a directory of a walk is walked in the same order', () => {
  const above = listingOf(NAMES);
  const walked = new Stage(above, undefined);
  for (const name of ['a', 'b', 'c']) walked.opened(name as ByteString);
  const listing = listingOf(['z', 'y', 'f', 'x']);
  const stage = new Stage(listing, walked);
  assert.equal(stage.isWalked, true);
  assert.deepEqual(after(stage, listing), ['x', 'y', 'z']);
});

test('what was asked of a listing before it had arrived is forgotten', () => {
  const names = ['z', 'y', 'x'];
  const whole = listingOf(names);
  const statuses = names.map((name) => whole.find(name as ByteString) as StatusMessage);
  const listing = new Listing(1);
  const sorted = new Stage(listingOf(['b', 'a']), undefined);
  sorted.opened('a' as ByteString);
  const stage = new Stage(listing, sorted);
  assert.deepEqual(after(stage, listing), []);
  assert.equal(stage.opened('x' as ByteString), false);
  listing.append(batchOf(names as ByteString[], statuses), true);
  assert.deepEqual(after(stage, listing), ['x', 'y', 'z']);
  assert.equal(stage.opened('x' as ByteString), true);
});

test('a walk that goes down at once is one, and says nothing of the directory it began in', () => {
  const root = new Stage(listingOf(NAMES), undefined);
  root.opened('d' as ByteString);
  const below = new Stage(listingOf(['x', 'y']), root);
  below.opened('x' as ByteString);
  assert.equal(below.isWalked, true);
  assert.equal(root.isWalked, false);
});

test('directories opened at random are none', () => {
  const names = Array.from({ length: 1000 }, (_, index) => `d${index}`);
  const stage = new Stage(listingOf(names), undefined);
  const random = new Random(1);
  let walked = 0;
  for (let count = 0; count < 1000; count++) {
    stage.opened(random.pick(names) as ByteString);
    if (stage.isWalked) walked++;
  }
  assert.ok(walked < 10, `${walked} times taken for a walk`);
});

test('several programs that share a walk may come out of order', () => {
  const names = Array.from({ length: 400 }, (_, index) => `d${index}`);
  const stage = new Stage(listingOf(names), undefined);
  for (const name of names.slice(0, 2)) stage.opened(name as ByteString);
  for (let at = 2; at + 4 <= 400; at += 4) {
    for (const step of [2, 0, 3, 1]) {
      assert.equal(stage.opened(names[at + step] as ByteString), true, names[at + step]);
    }
  }
  assert.equal(stage.isWalked, true);
});
