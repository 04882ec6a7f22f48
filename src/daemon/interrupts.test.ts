import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestId } from '../vfs/index.ts';
import { Interrupts } from './interrupts.ts';
import type { WaitingRequest } from './interrupts.ts';

const KILL = 9;
const INT = 2;
const ALRM = 14;
const CHLD = 17;
const STOP = 19;

const bits = (signals: readonly number[]): string =>
  signals.reduce((sum, signal) => sum | (1n << BigInt(signal - 1)), 0n).toString(16);

interface Signals {
  pending?: readonly number[];
  blocked?: readonly number[];
  ignored?: readonly number[];
  caught?: readonly number[];
}

function setUp(op: WaitingRequest['op']) {
  let nowMs = 0;
  let signals: Signals | undefined = {};
  const givenUp: number[] = [];
  const waiting = new Set([1]);
  const interrupts = new Interrupts({
    find: (request) =>
      waiting.has(request) ? { header: { pid: 7 }, op, startedMs: 0 } : undefined,
    giveUp: (request) => {
      givenUp.push(request);
      waiting.delete(request);
    },
    nowMs: () => nowMs,
    statusOf: () => {
      if (signals === undefined) throw new Error('no such process');
      const { pending = [], blocked = [], ignored = [], caught = [] } = signals;
      const fields = { SigPnd: [], ShdPnd: pending, SigBlk: blocked, SigIgn: ignored };
      const lines = Object.entries({ ...fields, SigCgt: caught });
      return lines.map(([name, set]) => `${name}:\t${bits(set).padStart(16, '0')}`).join('\n');
    },
  });
  return {
    interrupts,
    givenUp,
    waiting,
    at: (ms: number, now: Signals | undefined): void => {
      nowMs = ms;
      signals = now;
    },
  };
}

const ONE = 1 as RequestId;

test('what a killed program waits for is given up, also a change', () => {
  const { interrupts, givenUp, at } = setUp('rmdir');
  at(0, { pending: [KILL] });
  interrupts.add(ONE);
  assert.deepEqual(givenUp, [1]);
});

test('timers, children and stops are no reason, however long it takes', () => {
  for (const signal of [ALRM, CHLD, STOP]) {
    const { interrupts, givenUp, at } = setUp('read');
    at(0, { pending: [signal], caught: [ALRM] });
    interrupts.add(ONE);
    at(60_000, { pending: [signal], caught: [ALRM] });
    interrupts.tick();
    assert.deepEqual(givenUp, [], `signal ${signal}`);
  }
});

test('a program that is killed after another signal is given up as well', () => {
  const { interrupts, givenUp, at } = setUp('rename');
  at(0, { pending: [ALRM], caught: [ALRM] });
  interrupts.add(ONE);
  interrupts.tick();
  at(500, { pending: [ALRM, KILL], caught: [ALRM] });
  interrupts.tick();
  assert.deepEqual(givenUp, [1]);
});

test('who is asked to end, and catches it, gets EINTR of a question after a second', () => {
  for (const [op, expected] of [
    ['read', [1]],
    ['unlink', []],
  ] as const) {
    const { interrupts, givenUp, at } = setUp(op);
    at(0, { pending: [INT], caught: [INT] });
    interrupts.add(ONE);
    assert.deepEqual(givenUp, []);
    at(1000, { pending: [INT], caught: [INT] });
    interrupts.tick();
    assert.deepEqual(givenUp, expected, op);
  }
});

test('signals that are blocked or ignored are none', () => {
  const { interrupts, givenUp, at } = setUp('read');
  at(5000, { pending: [INT, ALRM], blocked: [INT], ignored: [ALRM] });
  interrupts.add(ONE);
  assert.deepEqual(givenUp, []);
});

test('of a process that cannot be seen, questions are given up after a second', () => {
  const { interrupts, givenUp, at } = setUp('read');
  at(0, undefined);
  interrupts.add(ONE);
  assert.deepEqual(givenUp, []);
  at(1000, undefined);
  interrupts.tick();
  assert.deepEqual(givenUp, [1]);
});

test('what was answered is not looked at again', () => {
  const { interrupts, givenUp, waiting, at } = setUp('read');
  interrupts.add(ONE);
  waiting.clear();
  at(0, { pending: [KILL] });
  interrupts.tick();
  assert.deepEqual(givenUp, []);
});
