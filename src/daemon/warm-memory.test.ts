import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { WarmMemory } from './warm-memory.ts';

const MIB = 1024 * 1024;
const LIMIT = 32 * MIB;

/** Asks for memory and keeps it until told. */
function holder(memory: WarmMemory, bytes: number) {
  const state = { held: undefined as Buffer | undefined, free: (): void => undefined };
  const ended = memory.use(bytes, async (given) => {
    state.held = given;
    await new Promise<void>((resolve) => {
      state.free = resolve;
    });
    state.held = undefined;
  });
  return Object.assign(state, { ended });
}

test('all requests together get no more than the limit, and never the same memory', async () => {
  const memory = new WarmMemory(MIB);
  await Promise.all(
    Array.from({ length: 4 }, () =>
      memory.during(async () => {
        await Promise.all(
          Array.from({ length: 64 }, async (_, order) => {
            const mark = order + 1;
            await memory.use(order % 2 === 0 ? 4 * MIB : 1000, async (given) => {
              assert.ok(memory.takenBytes <= LIMIT);
              given.fill(mark, 0, 1000);
              await nextTurn();
              assert.ok(given.subarray(0, 1000).every((byte) => byte === mark));
            });
          }),
        );
      }),
    ),
  );
  assert.equal(memory.takenBytes, 0);
});

test('64 small files fit at a time; a large one that waits is not passed by small ones', async () => {
  const memory = new WarmMemory(MIB);
  await memory.during(async () => {
    const small = Array.from({ length: 64 }, () => holder(memory, 50_000));
    await nextTurn();
    assert.ok(small.every(({ held }) => held !== undefined));
    const large = holder(memory, 4 * MIB);
    const last = holder(memory, 1);
    for (const one of small.slice(8, 15)) one.free();
    await nextTurn();
    assert.deepEqual([large.held, last.held], [undefined, undefined]);
    small[15]?.free();
    await nextTurn();
    assert.equal(large.held?.length, 4 * MIB);
    assert.equal(last.held, undefined);
    for (const one of [...small, large]) one.free();
    await nextTurn();
    last.free();
    await Promise.all([...small, large, last].map(({ ended }) => ended));
  });
});

test('a failed fetch gives its memory back; a page may be larger than the limit', async () => {
  const memory = new WarmMemory(2 * LIMIT);
  await memory.during(async () => {
    const failing = memory.use(2 * LIMIT, () => Promise.reject(new Error('no')));
    await assert.rejects(failing, /no/);
    await memory.use(2 * LIMIT, async (given) => {
      assert.equal(given.length, 2 * LIMIT);
      await nextTurn();
    });
  });
});
