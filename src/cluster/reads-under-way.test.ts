import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { byteStringOfText } from '../base/byte-string.ts';
import { ReadsUnderWay } from './reads-under-way.ts';

const path = byteStringOfText('/f');
const never = new AbortController().signal;

test('who waits, waits for the reads that run, and for no later ones', async () => {
  const reads = new ReadsUnderWay();
  let answer: (text: string) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const first = reads.during(path, () => new Promise<string>((resolve) => (answer = resolve)));
  const second = reads.during(path, () => new Promise((_resolve, reject) => (fail = reject)));
  const failed = assert.rejects(second, /broke/);
  let isOver = false;
  const over = reads.ended(path, never).then((some) => (isOver = some));
  void reads.during(path, () => new Promise(() => undefined));
  answer('a');
  assert.equal(await first, 'a');
  await setImmediate();
  assert.equal(isOver, false);
  fail(new Error('broke'));
  await failed;
  assert.equal(await over, true);
});

test('nobody waits without reads, nor longer than the signal', async () => {
  const reads = new ReadsUnderWay();
  assert.equal(await reads.ended(path, never), false);
  void reads.during(path, () => new Promise(() => undefined));
  assert.equal(await reads.ended(byteStringOfText('/other'), never), false);
  assert.equal(await reads.ended(path, AbortSignal.abort()), true);
  const late = new AbortController();
  const over = reads.ended(path, late.signal);
  late.abort();
  assert.equal(await over, true);
});

test('a change waits for the reads that run, and the reads that come wait for the change', async () => {
  const reads = new ReadsUnderWay();
  const seen: string[] = [];
  let answer: (text: string) => void = () => undefined;
  const first = reads.during(path, () => new Promise<string>((resolve) => (answer = resolve)));
  const holding = reads.hold(path, never).then((letGo) => {
    seen.push('changes');
    return letGo;
  });
  const second = reads.during(path, () => {
    seen.push('reads again');
    return Promise.resolve('b');
  });
  assert.equal(await reads.during(byteStringOfText('/other'), () => Promise.resolve('c')), 'c');
  assert.deepEqual(seen, []);
  answer('a');
  assert.equal(await first, 'a');
  const letGo = await holding;
  await setImmediate();
  assert.deepEqual(seen, ['changes']);
  letGo();
  assert.equal(await second, 'b');
  assert.deepEqual(seen, ['changes', 'reads again']);
});
