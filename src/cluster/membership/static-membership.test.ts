import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { StaticMembership } from './static-membership.ts';

const common = { httpPort: 28080, s3Port: 29998, clock: new ManualClock() };

test('a static worker has the identity that Alluxio derives from its host', () => {
  const membership = new StaticMembership({ ...common, hosts: ['worker1', 'worker2:28080'] });
  assert.deepEqual(
    membership.view().workers.map(({ id, host, httpPort }) => [id, host, httpPort]),
    [
      ['worker-01925b78-92e2-3a19-8993-afdd20a7c761', 'worker2', 28080],
      ['worker-ebad6414-9cc7-37ba-a6ef-069819279fd5', 'worker1', 28080],
    ],
  );
  assert.equal(membership.status(), 'current');
});

test('several workers of one host are told apart by their port', () => {
  const hosts = ['h:1', 'h:2', 'fe80::1', '[fe80::2]:3'];
  const { workers } = new StaticMembership({ ...common, hosts }).view();
  assert.equal(new Set(workers.map((worker) => worker.id)).size, 4);
  assert.deepEqual(workers.map(({ host, httpPort }) => `${host} ${httpPort}`).sort(), [
    'fe80::1 28080',
    'fe80::2 3',
    'h 1',
    'h 2',
  ]);
});

test('a list that names no workers is refused', () => {
  for (const hosts of [[], [''], ['a b'], ['http://h'], ['h:0'], ['h:99999'], ['h', 'h']]) {
    assert.throws(() => new StaticMembership({ ...common, hosts }), RangeError, String(hosts));
  }
});
