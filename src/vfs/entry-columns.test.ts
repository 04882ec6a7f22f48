import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byteStringOfBytes } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { EntryColumns } from './entry-columns.ts';
import type { StatusMessage } from './types.ts';

/** Few and short bytes, so that names repeat, share beginnings and are empty. */
const nameBytes = fc.oneof(
  fc.uint8Array({ maxLength: 3, max: 2 }),
  fc.uint8Array({ maxLength: 255 }),
);
const statuses = fc.record(
  {
    kind: fc.constantFrom('file', 'directory'),
    lengthBytes: fc.maxSafeNat(),
    mtimeMs: fc.maxSafeNat(),
    mode: fc.option(fc.integer({ min: 0, max: 0o7777 }), { nil: undefined }),
    contentHash: fc.option(fc.string(), { nil: undefined }),
  },
  { noNullPrototype: true },
) satisfies fc.Arbitrary<StatusMessage>;

test('holds what a Map of the first of each name holds, in the order they came', () => {
  const entries = fc.array(fc.tuple(nameBytes.map(byteStringOfBytes), statuses), {
    maxLength: 300,
    size: 'max',
  });
  fc.assert(
    fc.property(entries, fc.boolean(), (given, isTrimmed) => {
      const columns = new EntryColumns();
      const model = new Map<ByteString, StatusMessage>();
      for (const [name, status] of given) {
        columns.add(name, status);
        if (!model.has(name)) model.set(name, status);
      }
      if (isTrimmed) columns.trim();
      assert.equal(columns.count, model.size);
      for (const [index, [name, status]] of [...model].entries()) {
        assert.equal(columns.name(index), name);
        assert.deepEqual(columns.status(index), status);
        assert.equal(columns.indexOf(name), index);
        const other = `${name}\u0001\u0001\u0001` as ByteString;
        assert.equal(columns.indexOf(other) !== undefined, model.has(other));
      }
    }),
  );
});

test('grows again after it was trimmed', () => {
  const columns = new EntryColumns();
  const status = {
    kind: 'file',
    lengthBytes: 1,
    mtimeMs: 2,
    mode: 0,
    contentHash: undefined,
  } as const;
  for (let i = 0; i < 1000; i++) {
    columns.add(`n${i}` as ByteString, status);
    if (i % 7 === 0) columns.trim();
  }
  assert.equal(columns.count, 1000);
  assert.equal(columns.indexOf('n999' as ByteString), 999);
  assert.equal(columns.name(500), 'n500');
});
