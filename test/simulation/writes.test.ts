// Changes through the core alone against a plain model, driven by a seed:
//   SIMULATION_SEED=<seed> node --test dist/test/simulation/writes.test.js
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { WriteSimulation } from './write-simulation.ts';

const STEPS = Number(process.env['SIMULATION_EVENTS'] ?? 5_000);
const SEED = process.env['SIMULATION_SEED'];
const seeds = SEED === undefined ? Array.from({ length: 20 }, (_, n) => n + 1) : [Number(SEED)];

for (const seed of seeds) {
  test(`changes keep to the model over ${STEPS} steps of seed ${seed}`, () => {
    const simulation = new WriteSimulation();
    let at = 0;
    try {
      for (; at < STEPS; at++) simulation.step(Random.forStep(seed, at));
      simulation.finish(Random.forStep(seed, at));
    } catch (error) {
      const last = simulation.trace.slice(-40).join('\n');
      throw new Error(`seed ${seed}, step ${at}: ${(error as Error).message}\n${last}`, {
        cause: error,
      });
    }
    // A run in which little succeeds tests little.
    assert.ok(simulation.succeeded > STEPS / 4, `only ${simulation.succeeded} succeeded`);
  });
}
