import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfText } from '../../base/byte-string.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/logger.ts';
import { Breakers } from '../breaker.ts';
import { ignoredEvents } from '../cluster-events.ts';
import { PathChoice } from '../path-choice.ts';
import { Placement } from '../placement.ts';
import { ReadsUnderWay } from '../reads-under-way.ts';
import type { Worker } from '../types.ts';
import { ClusterError } from '../types.ts';
import { workersOf } from '../testing/workers.ts';
import { VirtualNodes } from '../virtual-nodes.ts';
import { WorkerCalls } from '../worker-calls.ts';
import type { WorkerClient } from '../worker-client.ts';
import { WriteAttempts } from './write-attempts.ts';

const workers = workersOf(3);
const path = byteStringOfText('/d/f');
const at = { path, ufsPath: byteStringOfText('file:///r/d/f') };

/** Workers that refuse a removal as long as they are in `failing`; `asked`: who was, in this order. */
function setUp() {
  const clock = systemClock;
  const events = ignoredEvents;
  const failing = new Set<string>();
  const asked: string[] = [];
  const breakers = new Breakers({ clock, events, random: () => 1, probe: async () => false });
  const virtualNodes = new VirtualNodes({ virtualNodes: 5, clock, logger: silentLogger, events });
  const placement = new Placement({ virtualNodes, breakers, choice: new PathChoice() });
  placement.setView({ workers, generation: 1 });
  const remove = async ({ id }: Worker): Promise<void> => {
    asked.push(id);
    if (!failing.has(id)) return;
    throw new ClusterError('unavailable', 'Refused', { worker: id, retryable: true });
  };
  const attempts = new WriteAttempts({
    client: { writes: { remove } } as unknown as WorkerClient,
    calls: new WorkerCalls({ clock, events, breakers }),
    placement,
    clock,
    events,
    reads: new ReadsUnderWay(),
  });
  const leaveAlone = (worker: Worker): void => {
    for (let i = 0; i < 3; i++) breakers.noteFailure(worker, 'timeout', 'It hangs');
  };
  const run = (): Promise<void> => attempts.remove(at, new AbortController().signal);
  return { failing, asked, leaveAlone, run };
}

test('a worker with an open breaker is asked where all others fail', async () => {
  const { failing, asked, leaveAlone, run } = setUp();
  const [first, second, third] = workers as [Worker, Worker, Worker];
  leaveAlone(third);
  failing.add(first.id).add(second.id);
  await run();
  assert.equal(asked.at(-1), third.id);
  assert.equal(asked.filter((id) => id === third.id).length, 1);
});

test('where only one worker is not left alone, it is asked again before the others', async () => {
  const { failing, asked, leaveAlone, run } = setUp();
  const [first, second, third] = workers as [Worker, Worker, Worker];
  leaveAlone(second);
  leaveAlone(third);
  for (const { id } of workers) failing.add(id);
  await assert.rejects(run(), { code: 'unavailable' });
  assert.deepEqual(asked.slice(0, 3), [first.id, first.id, first.id]);
  assert.deepEqual(new Set(asked.slice(3)), new Set([second.id, third.id]));
});
