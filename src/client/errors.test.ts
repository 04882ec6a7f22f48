import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfBytes, byteStringOfText } from '../base/byte-string.ts';
import { ClusterError } from '../cluster/index.ts';
import { MountTable } from '../cluster/index.ts';
import { AlluxioError, asAlluxioError, hasCode } from './errors.ts';
import { alluxioPathOf } from './paths.ts';

test('an error says what was asked of which path, who said no, and why', () => {
  const below = new ClusterError('not-found', 'No such file', { worker: 'worker-1' });
  const error = asAlluxioError(below, 'ls', byteStringOfText('/ü'));
  assert.deepEqual(
    [error.code, error.operation, error.path, error.worker, error.reason, error.message],
    ['not-found', 'ls', '/ü', 'worker-1', 'No such file', 'ls /ü: No such file'],
  );
  assert.equal(asAlluxioError(error, 'other'), error);
  assert.ok(hasCode(error, 'not-found') && !hasCode(error, 'exists'));
  const late = asAlluxioError(new AlluxioError('invalid', 'x'), 'open', byteStringOfText('/a'));
  assert.equal(late.message, 'open /a: x');
});

test('failures of this machine, aborts and mistakes of callers have codes of their own', () => {
  const local = Object.assign(new Error('ENOENT: x'), { code: 'ENOENT', syscall: 'open' });
  assert.equal(asAlluxioError(local, 'upload').code, 'local');
  assert.equal(asAlluxioError(AbortSignal.abort().reason, 'ls').code, 'cancelled');
  assert.equal(asAlluxioError(new RangeError('x'), 'read').code, 'invalid');
});

test('paths are Alluxio paths, or URIs below the root', () => {
  const root = MountTable.ofRoot('s3://bucket/data');
  assert.equal(alluxioPathOf('/a//b/../c', root), '/a/c');
  assert.equal(alluxioPathOf('s3://bucket/data/x/y', root), '/x/y');
  assert.equal(alluxioPathOf('s3://bucket/data', root), '/');
  assert.equal(
    alluxioPathOf(Buffer.from([0x2f, 0xff]), root),
    byteStringOfBytes(Buffer.from([0x2f, 0xff])),
  );
  for (const wrong of ['a', '', 's3://bucket/database', 's3://other/x', '/a\0b']) {
    assert.throws(() => alluxioPathOf(wrong, root), AlluxioError);
  }
  const file = MountTable.ofRoot('file:///d');
  assert.equal(alluxioPathOf('file:/d/x', file), '/x');
});
