import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { Counters } from './counters.ts';
import { Jobs, PendingRequests } from './pending.ts';
import type { CoreEffects, FsErrorCode, Job, JobId, RequestId } from './types.ts';

function setUp() {
  const clock = new ManualClock();
  const counters = new Counters();
  const pending = new PendingRequests(clock, 100, counters);
  const failed: [number, FsErrorCode][] = [];
  const add = (id: number): void => {
    const request = id as RequestId;
    pending.add(request, (code) => {
      assert.equal(pending.take(request), true);
      failed.push([id, code]);
    });
  };
  return { clock, counters, pending, failed, add };
}

test('a request is failed at its deadline, not before, and only once', () => {
  const { clock, counters, pending, failed, add } = setUp();
  add(1);
  clock.advance(60);
  add(2);
  clock.advance(39);
  pending.expire();
  assert.deepEqual(failed, []);
  clock.advance(1);
  pending.expire();
  pending.expire();
  assert.deepEqual(failed, [[1, 'timeout']]);
  assert.equal(counters.get('timeouts'), 1);
  assert.equal(counters.get('requestsPending'), 1);
});

test('an interrupt of a request that was answered is nothing', () => {
  const { counters, pending, failed, add } = setUp();
  add(1);
  assert.equal(pending.interrupt(1 as RequestId), true);
  assert.equal(pending.interrupt(1 as RequestId), false);
  assert.deepEqual(failed, [[1, 'interrupted']]);
  assert.equal(counters.get('interrupts'), 1);
  assert.equal(pending.take(1 as RequestId), false);
});

test('at the end all are answered; no request waits twice', () => {
  const { pending, failed, add } = setUp();
  for (const id of [1, 2, 3]) add(id);
  assert.throws(() => add(2), /waits twice/);
  pending.failAll('shutting-down');
  assert.deepEqual(
    failed.map(([id]) => id),
    [1, 2, 3],
  );
  assert.equal(pending.count, 0);
});

test('a job takes results until its last; a result after that is refused', () => {
  const jobs: Job[] = [];
  const effects: CoreEffects = {
    submit: (job) => jobs.push(job),
    invalidateInode: () => {},
    invalidateEntry: () => {},
    report: () => {},
  };
  const running = new Jobs(effects, new Counters());
  let results = 0;
  running.submit(
    (id) => ({ kind: 'cancel', id }),
    () => ++results === 2,
  );
  const failed = { kind: 'failed', id: jobs[0]?.id as JobId, code: 'io', reason: '' } as const;
  running.deliver(failed);
  assert.equal(running.count, 1);
  running.deliver(failed);
  assert.equal(running.count, 0);
  assert.throws(() => running.deliver(failed), /has ended/);
});
