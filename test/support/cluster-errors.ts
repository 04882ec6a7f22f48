import assert from 'node:assert/strict';
import { ClusterError } from '../../src/cluster/types.ts';

export async function rejectsWith(
  work: Promise<unknown>,
  code: string,
  pattern = /./,
): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof ClusterError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  });
}
