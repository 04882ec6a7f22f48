import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import type { JobId } from '../vfs/index.ts';
import { packFetch, packPage, unpackFetch, unpackPage } from './packed-messages.ts';

test('messages come out as they went in', () => {
  for (const contentHash of [undefined, 'abc']) {
    for (const pages of [
      [{ lengthBytes: 110_000, slots: [7] }],
      [
        { lengthBytes: 1024, slots: [3, 4, 5] },
        { lengthBytes: 1024, slots: [9, 8, 1] },
        { lengthBytes: 1, slots: [2] },
      ],
    ]) {
      const job = {
        kind: 'fetch',
        id: 5 as JobId,
        path: '/a/\xff b' as ByteString,
        version: { lengthBytes: 2 ** 40, mtimeMs: 1.5, contentHash },
        firstPage: 2 ** 20,
        pages,
        isAhead: false,
        mustAsk: true,
      } as const;
      assert.deepEqual(unpackFetch(structuredClone(packFetch(job))), job);
    }
  }
  const result = { kind: 'page', id: (2 ** 33) as JobId, pageIndex: 12 } as const;
  assert.deepEqual(unpackPage(structuredClone(packPage(result))), result);
});
