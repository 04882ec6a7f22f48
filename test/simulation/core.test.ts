// The core alone against a plain model, driven by a seed: kernel requests, job results in any order,
// failures, cancellations, changes of the cluster, time. After every event the model judges what was
// answered and the core's own invariants are walked. A failure prints its seed and the shortest run
// that was found to show it:
//   SIMULATION_SEED=<seed> SIMULATION_EVENTS=<events> node --test dist/test/simulation/core.test.js
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortest } from './shortest.ts';
import { Simulation } from './simulation.ts';

const EVENTS = Number(process.env['SIMULATION_EVENTS'] ?? 5_000);
const RUNS = Number(process.env['SIMULATION_RUNS'] ?? 20);
const SEED = process.env['SIMULATION_SEED'];
const seeds =
  SEED === undefined ? Array.from({ length: RUNS }, (_, index) => index + 1) : [Number(SEED)];

interface Outcome {
  readonly error: unknown;
  readonly trace: string;
  /** The event that failed, or how many there were. */
  readonly at: number;
  readonly answers: number;
  readonly dataBytes: number;
}

function run(seed: number, events: readonly number[]): Outcome {
  const simulation = new Simulation(seed);
  let at = 0;
  let error: unknown;
  try {
    for (; at < events.length; at++) simulation.step(events[at] as number);
    simulation.finish();
  } catch (caught) {
    error = caught;
  }
  const { trace, answers, dataBytes } = simulation;
  return { error, trace, at, answers, dataBytes };
}

const inOrder = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

for (const seed of seeds) {
  test(`the core keeps to the model over ${EVENTS} events of seed ${seed}`, () => {
    const outcome = run(seed, inOrder(EVENTS));
    if (outcome.error !== undefined) {
      const cause = outcome.error as Error;
      const failing = inOrder(Math.min(EVENTS, outcome.at + 1));
      const events = shortest(failing, (some) => {
        return (run(seed, some).error as Error | undefined)?.message === cause.message;
      });
      const short = run(seed, events);
      const message = `seed ${seed}, event ${outcome.at}: ${cause.message}`;
      const shown = `The ${events.length} events that show it, and what they cause:\n${short.trace}`;
      throw new Error(`${message}\n${shown}`, { cause: short.error ?? cause });
    }
    // A run in which little happens tests little.
    assert.ok(outcome.answers > EVENTS / 10, `only ${outcome.answers} answers`);
    assert.ok(outcome.dataBytes > EVENTS, `only ${outcome.dataBytes} bytes`);
  });
}

test('the same seed gives the same run', () => {
  const first = run(4711, inOrder(2_000));
  assert.deepEqual(run(4711, inOrder(2_000)), first);
  assert.notEqual(run(4712, inOrder(2_000)).trace, first.trace);
});
