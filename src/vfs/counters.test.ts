import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNTERS, Counters, LATENCY_BUCKETS_MS, OPERATIONS } from './counters.ts';

test('another thread that has the buffer reads the same figures', () => {
  const writer = new Counters();
  const reader = new Counters(writer.buffer);
  COUNTERS.forEach((name, index) => writer.set(name, index));
  writer.add('inodes');
  writer.add('hitBytes', 2 ** 40);
  COUNTERS.forEach((name, index) => {
    const added = name === 'inodes' ? 1 : name === 'hitBytes' ? 2 ** 40 : 0;
    assert.equal(reader.get(name), index + added);
  });
});

test('latencies are counted by operation, outcome and bucket, and nowhere else', () => {
  const counters = new Counters();
  const values = [0, ...LATENCY_BUCKETS_MS, 1e6];
  for (const ms of values) counters.observe('Read', ms, false);
  counters.observe('Read', 5, true);
  const read = counters.operation('Read', 'success');
  assert.equal(read.count, values.length);
  assert.ok(Math.abs(read.sumMs - values.reduce((sum, ms) => sum + ms, 0)) < 1e-6);
  assert.deepEqual(read.buckets, [2, 1, 1, 1, 1, 1, 1, 1], 'a bound belongs to its bucket');
  assert.deepEqual(counters.operation('Read', 'failure').buckets, [0, 0, 1, 0, 0, 0, 0, 0]);
  for (const name of OPERATIONS) {
    const rest =
      counters.operation(name, 'success').count + counters.operation(name, 'failure').count;
    assert.equal(rest, name === 'Read' ? values.length + 1 : 0);
  }
  for (const name of COUNTERS) assert.equal(counters.get(name), 0);
});
