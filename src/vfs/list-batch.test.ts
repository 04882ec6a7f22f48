import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { batchOf, entriesOf } from './list-batch.ts';
import type { StatusMessage } from './types.ts';

const plain: StatusMessage = {
  kind: 'file',
  lengthBytes: 2 ** 40,
  mtimeMs: 1_700_000_000_123.5,
  mode: undefined,
  contentHash: undefined,
};

test('what arrives at the other thread is what was sent', () => {
  const entries: [string, StatusMessage][] = [
    ['plain', plain],
    ['with a mode', { ...plain, mode: 0o7777 }],
    ['no rights', { ...plain, mode: 0 }],
    ['\xff\x00 \n', { ...plain, kind: 'directory', lengthBytes: 0, mtimeMs: -1 }],
    ['hash', { ...plain, contentHash: 'x' }],
    ['link', { ...plain, kind: 'symlink', posix: { target: 'a/b' as ByteString } }],
    ['owner', { ...plain, posix: { uid: 7, xattrs: new Map() } }],
    ['last', plain],
  ];
  const names = entries.map(([name]) => name as ByteString);
  const batch = batchOf(
    names,
    entries.map(([, status]) => status),
  );
  assert.deepEqual([...entriesOf(structuredClone(batch))], entries);
  assert.deepEqual([...entriesOf(batchOf([], []))], []);
});
