import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfText } from '../base/byte-string.ts';
import { batchOf } from './list-batch.ts';
import { Listing } from './listing.ts';
import { AsListed, Counted, Sorted, type Numbering } from './numberings.ts';

function listingOf(...names: string[]): Listing {
  const listing = new Listing(0);
  const status = { kind: 'file', lengthBytes: 1, mtimeMs: 1, mode: undefined } as const;
  const statuses = names.map(() => ({ ...status, contentHash: undefined }));
  listing.append(batchOf(names.map(byteStringOfText), statuses), true);
  return listing;
}

/** The names behind this one in the order of the numbering; an empty one for each gap. */
function behind(listing: Listing, numbering: Numbering, name: string, count: number): string[] {
  const number = numbering.numberOf(listing.indexOf(byteStringOfText(name)) as number);
  assert.ok(number !== undefined, name);
  return Array.from({ length: count }, (_, step) => {
    const index = numbering.indexOf(number + 1 + step);
    return index === undefined ? '' : listing.name(index);
  });
}

test('files are numbered as they are listed', () => {
  const listing = listingOf('b', 'a', 'c');
  assert.deepEqual(behind(listing, new AsListed(listing), 'b', 2), ['a', 'c']);
  assert.equal(new AsListed(listing).end, 3);
});

test('files are numbered as they are sorted by their bytes', () => {
  const listing = listingOf('f10', 'f2', 'F', 'f1', 'ä', 'f');
  const sorted = new Sorted(listing);
  assert.deepEqual(behind(listing, sorted, 'F', 5), ['f', 'f1', 'f10', 'f2', 'Ã¤']);
  assert.equal(sorted.end, 6);
  for (let index = 0; index < 6; index++) {
    assert.equal(sorted.indexOf(sorted.numberOf(index) as number), index);
  }
});

test('files are numbered as they are counted, with zeros in front and without', () => {
  const plain = listingOf('x9.jpg', 'x11.jpg', 'x10.jpg', 'x010.jpg', 'y10.jpg', 'x10.png');
  const counted = Counted.like(plain, 0);
  assert.ok(counted !== undefined);
  assert.deepEqual(behind(plain, counted, 'x9.jpg', 3), ['x10.jpg', 'x11.jpg', '']);
  for (const other of [3, 4, 5]) assert.equal(counted.numberOf(other), undefined);

  const padded = listingOf('part-00009', 'part-00010', 'part-10', 'part-00011');
  const parts = Counted.like(padded, 0);
  assert.ok(parts !== undefined);
  assert.deepEqual(behind(padded, parts, 'part-00009', 2), ['part-00010', 'part-00011']);
  assert.equal(parts.numberOf(2), undefined);
});

test('a name without a number is not counted', () => {
  assert.equal(Counted.like(listingOf('README'), 0), undefined);
});
