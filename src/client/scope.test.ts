/** One call of the library leaves nothing in what outlives it. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { Scope } from './scope.ts';

/** What Node keeps of each signal that was derived from it without a listener, where it says so. */
function derivedFrom(signal: AbortSignal): number {
  const held = Object.getOwnPropertySymbols(signal)
    .filter(({ description }) => description === 'kDependantSignals')
    .map((symbol) => (signal as unknown as Record<symbol, ReadonlySet<unknown>>)[symbol]?.size);
  return held[0] ?? 0;
}

test('a million calls are no more to a client, and to a signal of its user, than one', () => {
  const [closing, stop] = [new AbortController(), new AbortController()];
  const traces = (): number[] =>
    [closing.signal, stop.signal].map(
      (signal) => derivedFrom(signal) + getEventListeners(signal, 'abort').length,
    );
  for (let i = 0; i < 100; i++) {
    const scope = new Scope({ signal: stop.signal, timeoutMs: 60_000 }, 1000, closing.signal);
    assert.deepEqual(traces(), [1, 1]);
    scope.end();
  }
  assert.deepEqual(traces(), [0, 0]);
});

test('a call ends with the client, with the signal of its caller, and with its time', async () => {
  const { signal: never } = new AbortController();
  const [closing, stop] = [new AbortController(), new AbortController()];
  const closed = new Scope(undefined, 1000, closing.signal);
  closing.abort(new Error('closed'));
  assert.equal((closed.signal.reason as Error).message, 'closed');
  const stopped = new Scope({ signal: stop.signal }, 1000, never);
  stop.abort(new Error('stopped'));
  assert.equal((stopped.signal.reason as Error).message, 'stopped');
  const late = new Scope({ timeoutMs: 1 }, 1000, never);
  await new Promise((resolve) => late.signal.addEventListener('abort', resolve));
  const { code } = late.endOf(new DOMException('', 'AbortError')) as { code: string };
  assert.equal(code, 'timeout');
});
