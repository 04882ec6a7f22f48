import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { silentLogger } from '../base/logger.ts';
import type { LogFields } from '../base/logger.ts';
import { LimitedLogger } from './limited-logger.ts';

function harness(bounds: { keysMax?: number; linesPerCodeMax?: number } = {}) {
  const clock = new ManualClock();
  const lines: LogFields[] = [];
  let suppressed = 0;
  const log = new LimitedLogger({
    logger: { ...silentLogger, warn: (fields) => lines.push(fields) },
    clock,
    intervalMs: 1000,
    onSuppressed: () => suppressed++,
    ...bounds,
  });
  return { clock, lines, log, suppressed: () => suppressed };
}

test('the same thing is said once in the interval, then with the number left out', () => {
  const { clock, lines, log, suppressed } = harness();
  for (let i = 0; i < 5; i++) log.warn({ code: 'timeout', path: '/a' }, {}, 'slow');
  assert.deepEqual(lines, [{ code: 'timeout', path: '/a' }]);
  assert.equal(suppressed(), 4);
  clock.advance(1000);
  log.warn({ code: 'timeout', path: '/a' }, {}, 'slow');
  assert.deepEqual(lines[1], { code: 'timeout', path: '/a', suppressed: 4 });
});

test('another path and another code are other things', () => {
  const { lines, log } = harness();
  log.warn({ code: 'timeout', path: '/a' }, {}, 'slow');
  log.warn({ code: 'timeout', path: '/b' }, {}, 'slow');
  log.warn({ code: 'protocol', path: '/a' }, {}, 'odd');
  assert.equal(lines.length, 3);
});

test('one code over ever new paths is bounded too', () => {
  const { clock, lines, log } = harness({ linesPerCodeMax: 3 });
  for (let i = 0; i < 50; i++) log.warn({ code: 'inexpressible', path: `/${i}` }, {}, 'odd name');
  assert.equal(lines.length, 3);
  clock.advance(1000);
  log.warn({ code: 'inexpressible', path: '/10' }, {}, 'odd name');
  assert.deepEqual(lines[3], { code: 'inexpressible', path: '/10', suppressed: 1 });
});

test('the oldest key is forgotten when the memory is full', () => {
  const { lines, log } = harness({ keysMax: 2 });
  for (const path of ['/a', '/b', '/c', '/a', '/c']) log.warn({ code: 'x', path }, {}, 'm');
  // '/a' was pushed out by '/c' and is said again, '/c' is still remembered.
  assert.deepEqual(
    lines.map((fields) => fields['path']),
    ['/a', '/b', '/c', '/a'],
  );
});
