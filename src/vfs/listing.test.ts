import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { Listing } from './listing.ts';
import { batchOf, type ListBatch } from './list-batch.ts';
import type { StatusMessage } from './types.ts';

function batch(...names: string[]): ListBatch {
  const statuses = names.map((_, index): StatusMessage => {
    return {
      kind: 'file',
      lengthBytes: index,
      mtimeMs: 1,
      mode: undefined,
      contentHash: undefined,
    };
  });
  return batchOf(names as ByteString[], statuses);
}

test('parts add up in order, a name told twice counts once', () => {
  const listing = new Listing(5);
  listing.append(batch('b', 'a'), false);
  assert.equal(listing.isArriving, true);
  listing.append(batch('x', 'b', 'c'), true);
  assert.equal(listing.isComplete, true);
  assert.deepEqual(
    Array.from({ length: listing.count }, (_, index) => listing.name(index)),
    ['b', 'a', 'x', 'c'],
  );
  assert.equal(listing.find('b' as ByteString)?.lengthBytes, 0, 'as it came first');
  assert.equal(listing.find('nobody' as ByteString), undefined);
  assert.equal(listing.status(3)?.lengthBytes, 2);
});

test('who waits is called once for the next news, and not after taking the wish back', () => {
  const listing = new Listing(0);
  const calls: string[] = [];
  listing.whenMore(() => calls.push('first'));
  const stop = listing.whenMore(() => calls.push('taken back'));
  stop();
  listing.append(batch(), false);
  assert.deepEqual(calls, ['first']);
  listing.whenMore(() => calls.push('failure'));
  listing.fail('io');
  assert.deepEqual(calls, ['first', 'failure']);
  assert.equal(listing.error, 'io');
  assert.equal(listing.isArriving || listing.isComplete, false);
});
