/** The table against a model: a Map, in the order of use. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cacheKeyOf, hexOfKey, keyOfHex } from './cache-key.ts';
import type { CacheKey } from './cache-key.ts';
import { FileTable } from './file-table.ts';
import type { Row } from './file-table.ts';
import type { ByteString } from '../../base/byte-string.ts';

const PAGE = 4096;

/** Keys that share their first words, so that buckets collide. */
function keyOf(id: number): CacheKey {
  return new Uint32Array([id % 5, 7, 7, id]);
}

interface Known {
  readonly nonce: number;
  readonly lengthBytes: number;
  readonly pages: Map<number, number>;
}

const ids = fc.integer({ min: 0, max: 40 });
const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('add' as const),
      id: ids,
      lengthBytes: fc.integer({ min: 1, max: 5 * PAGE }),
    }),
    fc.record({ kind: fc.constant('remove' as const), id: ids }),
    fc.record({ kind: fc.constant('touch' as const), id: ids }),
    fc.record({
      kind: fc.constant('page' as const),
      id: ids,
      index: fc.nat(6),
      sum: fc.nat(2 ** 32 - 1),
    }),
  ),
  { maxLength: 300 },
);

test('finds, counts and orders what a map does', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const table = new FileTable(PAGE);
      const model = new Map<number, Known>();
      let nonce = 0;
      for (const step of all) {
        const row = table.find(keyOf(step.id));
        const known = model.get(step.id);
        assert.equal(row !== undefined, known !== undefined);
        if (step.kind === 'add' && known === undefined) {
          const identity = { key: keyOf(step.id), nonce: ++nonce };
          table.add(identity, step.lengthBytes, nonce, { isLoaded: nonce % 2 === 0 });
          model.set(step.id, { nonce, lengthBytes: step.lengthBytes, pages: new Map() });
        }
        if (known === undefined || row === undefined) continue;
        if (step.kind === 'remove') {
          table.remove(row);
          model.delete(step.id);
        } else if (step.kind === 'touch') {
          table.touch(row);
          model.delete(step.id);
          model.set(step.id, known);
        } else if (step.kind === 'page') {
          table.addPage(row, step.index, step.sum);
          if (step.index * PAGE < known.lengthBytes) known.pages.set(step.index, step.sum);
        }
      }
      compare(table, model);
    }),
    { numRuns: 300 },
  );
});

function compare(table: FileTable, model: ReadonlyMap<number, Known>): void {
  let [bytes, pages] = [0, 0];
  const order: number[] = [];
  for (const row of table.oldestFirst()) order.push(table.nonceOf(row));
  assert.deepEqual(
    order,
    [...model.values()].map((known) => known.nonce),
  );
  for (const [id, { nonce, lengthBytes, pages: held }] of model) {
    const row = table.findExactly({ key: keyOf(id), nonce });
    assert.ok(row !== undefined);
    assert.equal(table.isUnsure(row), nonce % 2 === 0);
    assert.equal(table.findExactly({ key: keyOf(id), nonce: nonce + 1000 }), undefined);
    const expected = [...held].sort(([a], [b]) => a - b).map(([index, sum]) => ({ index, sum }));
    assert.deepEqual(table.sumsOf(row), expected);
    const count = Math.ceil(lengthBytes / PAGE);
    assert.equal(table.isComplete(row), held.size === count);
    let own = 0;
    for (const index of held.keys()) {
      const length = Math.min(PAGE, lengthBytes - index * PAGE);
      own += Math.ceil(length / 4096) * 4096;
    }
    assert.equal(table.heldBytes(row), own);
    bytes += own;
    pages += held.size;
  }
  assert.equal(table.usedBytes, bytes);
  assert.equal(table.pageCount, pages);
  assert.equal(table.fileCount, model.size);
}

test('stays right as it grows, and orders by the times of use', () => {
  const table = new FileTable(PAGE);
  const count = 5000;
  for (let id = 0; id < count; id++) {
    // Every third time twice: the order among equals does not matter.
    table.add({ key: keyOf(id), nonce: id }, PAGE, (id * 7919) % count, { isLoaded: true });
  }
  table.sortByUse();
  let last = -1;
  let seen = 0;
  for (const row of table.oldestFirst()) {
    assert.ok(table.lastUseOf(row) >= last);
    last = table.lastUseOf(row);
    seen++;
  }
  assert.equal(seen, count);
  for (let id = 0; id < count; id += 2) {
    const row = table.find(keyOf(id));
    assert.ok(row !== undefined);
    table.remove(row);
  }
  for (let id = 0; id < count; id++) {
    assert.equal(table.find(keyOf(id)) !== undefined, id % 2 === 1);
  }
});

test('what was seen of a file is known as long as its row is, however many there are', () => {
  const table = new FileTable(PAGE);
  const count = 70_000;
  const spread = (id: number): CacheKey => new Uint32Array([id, 7, 7, 7]);
  const add = (id: number): Row =>
    table.add({ key: spread(id), nonce: id }, PAGE, 0, { isLoaded: false });
  for (let id = 0; id < count; id++) {
    const row = add(id);
    assert.equal(table.seenOf(row), undefined);
    table.setSeen(row, { ino: 2n ** 64n - 1n - BigInt(id), ctimeNs: BigInt(id) + 1n });
  }
  for (let id = 0; id < count; id++) {
    const row = table.find(spread(id));
    assert.ok(row !== undefined);
    const expected = { ino: 2n ** 64n - 1n - BigInt(id), ctimeNs: BigInt(id) + 1n };
    assert.deepEqual(table.seenOf(row), expected);
  }
  const row = table.find(spread(7)) as Row;
  table.setSeen(row, undefined);
  assert.equal(table.seenOf(row), undefined, 'doubted');
  table.setSeen(row, { ino: 1n, ctimeNs: 1n });
  table.remove(row);
  assert.equal(table.seenOf(add(7)), undefined, 'another file in the same row');
});

test('of long files only what is held takes memory', () => {
  const MIB = 1024 * 1024;
  const table = new FileTable(MIB);
  // A file may have so many pages; two of each are held.
  const pages = 2 ** 22;
  const before = process.memoryUsage().arrayBuffers;
  for (let id = 0; id < 500; id++) {
    const row = table.add({ key: keyOf(id), nonce: id }, pages * MIB, 0, { isLoaded: false });
    const held = [id * 8000, pages - 1].map((index) => ({ index, sum: 0xffffffff - index }));
    for (const { index, sum } of held.toReversed()) table.addPage(row, index, sum);
    assert.deepEqual(table.sumsOf(row), held);
    assert.equal(table.hasPage(row, id * 8000 + 1), false);
    assert.equal(table.heldBytes(row), 2 * MIB);
  }
  const bytes = process.memoryUsage().arrayBuffers - before;
  assert.ok(bytes < 8 * MIB, `${bytes} bytes`);
});

test('pages at the ends of blocks are those that were added', () => {
  for (const pages of [2, 31, 32, 33, 255, 256, 257, 600]) {
    const table = new FileTable(PAGE);
    const row = table.add({ key: keyOf(1), nonce: 1 }, pages * PAGE, 0, { isLoaded: false });
    const order = Array.from({ length: pages }, (_, index) => (index * 7919) % pages);
    const isIn = new Set<number>();
    for (const index of order) {
      table.addPage(row, index, index + 1);
      isIn.add(index);
      assert.equal(table.isComplete(row), isIn.size === pages);
    }
    assert.deepEqual(
      table.sumsOf(row),
      [...isIn].sort((a, b) => a - b).map((index) => ({ index, sum: index + 1 })),
    );
  }
});

test('a key depends on place, path and version, and survives being a name', () => {
  const path = '/a' as ByteString;
  const version = { lengthBytes: 1, mtimeMs: 2, contentHash: undefined };
  const key = (...parts: Parameters<typeof cacheKeyOf>): string => hexOfKey(cacheKeyOf(...parts));
  const all = new Set([
    key('p', path, version),
    key('q', path, version),
    key('p', '/b' as ByteString, version),
    key('p', path, { ...version, lengthBytes: 2 }),
    key('p', path, { ...version, mtimeMs: 3 }),
    key('p', path, { ...version, contentHash: 'x' }),
  ]);
  assert.equal(all.size, 6);
  for (const hex of all) assert.equal(hexOfKey(keyOfHex(hex)), hex);
});
