import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { hedgedPage, Hedging } from './hedging.ts';
import type { AskForPage, StartRead } from './hedging.ts';
import type { ByteSink } from './types.ts';
import { ClusterError } from './types.ts';
import type { PageNowOutcome, PageOutcome } from './worker-client.ts';

const LENGTH = 8;

interface Started {
  readonly sink: ByteSink;
  readonly end: (outcome: PageNowOutcome) => void;
  isCancelled: boolean;
}

/** A read whose requests the test answers. */
function setUp() {
  const events: string[] = [];
  const hedging = new Hedging({ hedge: (outcome) => void events.push(outcome) });
  const memory = Buffer.alloc(LENGTH);
  const requests: Started[] = [];
  const start: StartRead = (sink, onEnd) => {
    const request = { sink, end: onEnd, isCancelled: false };
    requests.push(request);
    return () => {
      request.isCancelled = true;
      onEnd(new ClusterError('cancelled', 'Over'));
    };
  };
  const outcomes: PageNowOutcome[] = [];
  const sink: ByteSink = (chunk, offset) => memory.set(chunk, offset);
  const run = () => hedging.run(start, sink, LENGTH, (outcome) => void outcomes.push(outcome));
  return { hedging, events, memory, requests, outcomes, run };
}

function withTimers(work: () => void): () => void {
  return () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      work();
    } finally {
      mock.timers.reset();
    }
  };
}

const bytes = (value: number): Buffer => Buffer.alloc(LENGTH, value);

test(
  'a read that is as fast as ever is asked for once',
  withTimers(() => {
    const { events, requests, outcomes, run } = setUp();
    run();
    requests[0]?.sink(bytes(1), 0);
    requests[0]?.end('page');
    mock.timers.tick(60_000);
    assert.deepEqual([outcomes, requests.length, events], [['page'], 1, []]);
  }),
);

test(
  'of a straggler the second answer is taken, and the first leaves the memory alone',
  withTimers(() => {
    const { hedging, events, memory, requests, outcomes, run } = setUp();
    for (let i = 0; i < 64; i++) hedging.note(i);
    assert.equal(hedging.delayMs, 60);
    run();
    requests[0]?.sink(bytes(1).subarray(0, 3), 0);
    mock.timers.tick(59);
    assert.equal(requests.length, 1);
    mock.timers.tick(1);
    assert.equal(requests.length, 2);
    requests[1]?.sink(bytes(2), 0);
    assert.ok(memory.equals(Buffer.concat([bytes(1).subarray(0, 3), Buffer.alloc(5)])));
    requests[1]?.end('page');
    assert.equal(requests[0]?.isCancelled, true);
    assert.ok(memory.equals(bytes(2)));
    assert.deepEqual([outcomes, events], [['page'], ['sent', 'won']]);
  }),
);

test(
  'the first may still win, or fail and leave it to the second',
  withTimers(() => {
    const { requests, outcomes, memory, run } = setUp();
    run();
    mock.timers.tick(1_000);
    requests[0]?.sink(bytes(1), 0);
    requests[0]?.end('page');
    assert.equal(requests[1]?.isCancelled, true);
    assert.deepEqual(outcomes, ['page']);
    const second = setUp();
    second.run();
    mock.timers.tick(1_000);
    second.requests[0]?.end(new ClusterError('unavailable', 'broken'));
    assert.deepEqual(second.outcomes, []);
    second.requests[1]?.sink(bytes(3), 0);
    second.requests[1]?.end('page');
    assert.deepEqual(second.outcomes, ['page']);
    assert.ok(second.memory.equals(bytes(3)));
    assert.ok(memory.equals(bytes(1)));
  }),
);

test(
  'where both fail the first says why; who gives up ends both',
  withTimers(() => {
    const failing = setUp();
    failing.run();
    mock.timers.tick(1_000);
    failing.requests[1]?.end('unclear');
    assert.deepEqual(failing.outcomes, []);
    failing.requests[0]?.end('miss');
    assert.deepEqual(failing.outcomes, ['miss']);
    const given = setUp();
    const cancel = given.run();
    mock.timers.tick(1_000);
    cancel?.();
    assert.deepEqual(
      given.requests.map(({ isCancelled }) => isCancelled),
      [true, true],
    );
    assert.equal(given.outcomes.length, 1);
  }),
);

test(
  'at most a small share is asked for twice',
  withTimers(() => {
    const { hedging, events, run } = setUp();
    for (let i = 0; i < 1_000; i++) hedging.note(5);
    assert.equal(hedging.delayMs, 50, 'Not sooner than a pause of a busy machine lasts');
    for (let i = 0; i < 100; i++) run();
    mock.timers.tick(50);
    assert.equal(events.filter((event) => event === 'sent').length, 8);
    assert.equal(events.filter((event) => event === 'withheld').length, 92);
  }),
);

interface Asked {
  readonly sink: ByteSink;
  readonly signal: AbortSignal;
  readonly answer: (outcome: PageOutcome) => void;
  readonly fail: (error: Error) => void;
}

const page: PageOutcome = { kind: 'page', lengthBytes: LENGTH };
const broken = new ClusterError('unavailable', 'The connection broke');

/** Lets everything happen that waits for nothing but promises. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A page asked for by promises, whose requests the test answers; the first one is late. */
async function askLate() {
  const events: string[] = [];
  const hedging = new Hedging({ hedge: (outcome) => void events.push(outcome) });
  const memory = Buffer.alloc(LENGTH);
  const asked: Asked[] = [];
  const ask: AskForPage = (sink, { signal }) =>
    new Promise((answer, fail) => {
      asked.push({ sink, signal, answer, fail });
      signal.addEventListener('abort', () => fail(new ClusterError('cancelled', 'Over')));
    });
  const whole = new AbortController();
  const context = { signal: whole.signal, deadlineMs: 60_000 };
  const sink: ByteSink = (chunk, offset) => memory.set(chunk, offset);
  mock.timers.enable({ apis: ['setTimeout'] });
  const outcome = hedgedPage(hedging, ask, sink, LENGTH, context);
  outcome.catch(() => undefined);
  mock.timers.tick(hedging.delayMs);
  mock.timers.reset();
  await settle();
  const [first, second] = asked;
  assert.ok(first !== undefined && second !== undefined && asked.length === 2);
  return { events, memory, first, second, outcome, giveUp: () => whole.abort() };
}

test('of a page in a longer range the second answer is taken where the first is late', async () => {
  const { events, memory, first, second, outcome } = await askLate();
  first.sink(bytes(1).subarray(0, 3), 0);
  second.sink(bytes(2), 0);
  assert.ok(memory.equals(Buffer.concat([bytes(1).subarray(0, 3), Buffer.alloc(5)])));
  second.answer(page);
  assert.deepEqual(await outcome, page);
  assert.ok(first.signal.aborted);
  first.sink(bytes(3), 0);
  assert.ok(memory.equals(bytes(2)));
  assert.deepEqual(events, ['sent', 'won']);
});

test('the first answer is taken where it comes after all, and the second is stopped', async () => {
  const { events, memory, first, second, outcome } = await askLate();
  second.sink(bytes(2), 0);
  first.sink(bytes(1), 0);
  first.answer(page);
  assert.deepEqual(await outcome, page);
  assert.ok(second.signal.aborted && memory.equals(bytes(1)));
  assert.deepEqual(events, ['sent']);
});

test('where one of them fails, or has no page, the other decides', async () => {
  const one = await askLate();
  one.first.fail(broken);
  await settle();
  one.second.sink(bytes(2), 0);
  one.second.answer(page);
  assert.deepEqual(await one.outcome, page);
  assert.ok(one.memory.equals(bytes(2)));
  const other = await askLate();
  other.second.answer({ kind: 'miss' });
  await settle();
  other.first.sink(bytes(1), 0);
  other.first.answer(page);
  assert.deepEqual(await other.outcome, page);
  const neither = await askLate();
  neither.second.fail(new ClusterError('unavailable', 'No connection'));
  await settle();
  neither.first.fail(broken);
  await assert.rejects(neither.outcome, broken);
});

test('whoever gives up ends both', async () => {
  const { first, second, outcome, giveUp } = await askLate();
  giveUp();
  await assert.rejects(outcome, /Over/);
  assert.ok(first.signal.aborted && second.signal.aborted);
});
