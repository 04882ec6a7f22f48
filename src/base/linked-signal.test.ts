/** A signal made of others is aborted with them, and leaves nothing in them. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { LinkedSignal } from './linked-signal.ts';

const ears = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

test('it is aborted with the first of its parents, with the reason of that one', () => {
  const [a, b] = [new AbortController(), new AbortController()];
  const linked = new LinkedSignal([a.signal, b.signal]);
  assert.equal(linked.signal.aborted, false);
  b.abort('b');
  a.abort('a');
  assert.equal(linked.signal.reason, 'b');
  assert.deepEqual([ears(a.signal), ears(b.signal)], [0, 0]);
  const late = new LinkedSignal([a.signal]);
  assert.equal(late.signal.reason, 'a');
  assert.equal(ears(a.signal), 0);
});

test('once it has ended, its parents know nothing of it, and it nothing of them', () => {
  const parent = new AbortController();
  const linked = Array.from({ length: 50 }, () => new LinkedSignal([parent.signal]));
  assert.equal(ears(parent.signal), 50);
  for (const one of linked) one.end();
  assert.equal(ears(parent.signal), 0);
  parent.abort();
  assert.equal(linked[0]?.signal.aborted, false);
});

test('its time ends it, unless its work has ended before', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const parent = new AbortController();
  const [late, done] = [new LinkedSignal([parent.signal]), new LinkedSignal([parent.signal])];
  for (const one of [late, done]) one.abortAfter(100, () => new Error('late'));
  done.end();
  context.mock.timers.tick(101);
  assert.equal((late.signal.reason as Error).message, 'late');
  assert.equal(done.signal.aborted, false);
  assert.equal(ears(parent.signal), 0);
});
