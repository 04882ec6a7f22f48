import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfText } from '../base/byte-string.ts';
import { silentLogger } from '../base/logger.ts';
import { MountTable } from './mapping/mount-table.ts';
import type { Worker } from './types.ts';
import { UfsRootCheck } from './ufs-root-check.ts';

const identity = { id: 'worker-1', identifier: '01', version: 1 };
const worker: Worker = { ...identity, host: 'w1', httpPort: 28080, s3Port: 29998 };

function judge(ufs: string, path: string, said: string): { mismatch?: string; told: number } {
  const told: string[] = [];
  const lines: string[] = [];
  const check = new UfsRootCheck({
    mounts: MountTable.ofRoot(ufs),
    logger: { ...silentLogger, error: (_fields, message) => void lines.push(message) },
    events: { ufsRootMismatch: (message) => void told.push(message) },
  });
  check.note(worker, byteStringOfText(path), said);
  check.note(worker, byteStringOfText(path), said);
  assert.equal(lines.length, told.length);
  const { mismatch } = check;
  return { ...(mismatch === undefined ? {} : { mismatch }), told: told.length };
}

test('a worker that has another root contradicts ours, once', () => {
  const cases: [string, string, string, string][] = [
    ['file:///data', '/', 'file:///other', 'file:///other'],
    ['file:///data', '/d/f', 'file:///other/d/f', 'file:///other'],
    ['file:///data/d', '/d', 'file:///data/d', 'file:///data'],
    ['file:///data', '/d', 'file:///d', 'file:///'],
    ['file:///', '/d', 'file:///data/d', 'file:///data'],
    ['s3://b/x', '/d', 's3a://b/x/d', 's3a://b/x'],
    ['s3://b', '/d', 's3://c/d', 's3://c/'],
    ['file:///data', '/ü', 'file:///öther/ü', 'file:///öther'],
  ];
  for (const [ufs, path, said, root] of cases) {
    const { mismatch = '', told } = judge(ufs, path, said);
    assert.ok(mismatch.endsWith(`set --ufs (alluxio.dora.client.ufs.root) to ${root}`), mismatch);
    assert.match(mismatch, /of worker-1 \(w1\)/);
    assert.equal(told, 1);
  }
});

test('the same root in other words, and what says nothing about the root, contradicts nobody', () => {
  const cases: [string, string, string][] = [
    ['file:///data', '/', 'file:///data'],
    ['file:///data', '/', 'file:///data/'],
    ['file:///data', '/d', 'file:/data/d'],
    ['file:///data', '/d', '/data/d'],
    ['file:///', '/d', 'file:///d'],
    ['s3://b', '/', 's3://b'],
    ['s3://b/x', '/d/ü', 's3://b/x/d/ü'],
    // A nested mount: /mnt lies somewhere else.
    ['s3://b', '/mnt/d', 's3://other/d'],
    ['s3://b', '/d', ''],
    ['s3://b', '/', ''],
    ['s3://b', '/d', 'nonsense/d'],
  ];
  for (const [ufs, path, said] of cases)
    assert.deepEqual(judge(ufs, path, said), { told: 0 }, said);
});
