import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/logger.ts';
import { ignoredEvents } from './cluster-events.ts';
import type { CallContext, FileVersion } from './types.ts';
import type { UnderStore } from './under-store.ts';
import { UnderStoreFallback } from './under-store-fallback.ts';
import { DEFAULT_FALLBACK_LIMITS, UnderStoreGate } from './under-store-gate.ts';

const clock = systemClock;
const events = ignoredEvents;
const context = (): CallContext => ({
  signal: new AbortController().signal,
  deadlineMs: clock.nowMs() + 5_000,
});

/** Whether bytes of `stored` are taken for those of a file that was opened as `opened`. */
async function isTaken(stored: FileVersion, opened: FileVersion): Promise<boolean> {
  const store: UnderStore = {
    isReachable: () => Promise.resolve(true),
    stat: assert.fail,
    list: assert.fail,
    close: () => Promise.resolve(),
    read(request, sink) {
      sink(new Uint8Array(request.lengthBytes), 0);
      return Promise.resolve({ lengthBytes: request.lengthBytes, version: stored });
    },
  };
  const gate = new UnderStoreGate({ limits: DEFAULT_FALLBACK_LIMITS, clock, events });
  const parts = { store, isRootWrong: () => false, gate, clock, events, logger: silentLogger };
  const path = '/a' as ByteString;
  const job = { path, ufsPath: path, offset: 0, lengthBytes: 4, version: opened };
  try {
    await new UnderStoreFallback(parts).read(store, job, 'no-workers', () => undefined, context());
    return true;
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'version-changed');
    return false;
  }
}

test('a store that knows whole seconds gives the file that workers told to the millisecond', async () => {
  const opened = { lengthBytes: 4, mtimeMs: 5_678 };
  const coarse = { lengthBytes: 4, mtimeMs: 5_000, mtimeResolutionMs: 1000 };
  assert.equal(await isTaken(coarse, opened), true);
  assert.equal(await isTaken({ ...coarse, mtimeMs: 6_000 }, opened), false);
  assert.equal(await isTaken({ ...coarse, lengthBytes: 5 }, opened), false);
  assert.equal(await isTaken({ lengthBytes: 4, mtimeMs: 5_000 }, opened), false);
});

test('a hash settles it where both tell one', async () => {
  const version = { lengthBytes: 4, mtimeMs: 5_000, contentHash: 'a' };
  assert.equal(await isTaken(version, version), true);
  assert.equal(await isTaken(version, { ...version, contentHash: 'b' }), false);
  assert.equal(await isTaken(version, { lengthBytes: 4, mtimeMs: 5_000 }), true);
});

test('names that workers lose are added to every listing, however little may go past the workers', async () => {
  const status = { name: 'a?' as ByteString, type: 'file', lengthBytes: 1, mtimeMs: 1 } as const;
  const store: UnderStore = {
    isReachable: () => Promise.resolve(true),
    stat: () => Promise.resolve(status),
    list: assert.fail,
    async *names() {
      await Promise.resolve();
      yield [status.name];
    },
    close: () => Promise.resolve(),
    read: () => assert.fail('nothing is read'),
  };
  const limits = { bytesPerSecond: 1, operationsPerSecond: 1 };
  const gate = new UnderStoreGate({ limits, clock, events });
  const parts = { store, isRootWrong: () => false, gate, clock, events, logger: silentLogger };
  const fallback = new UnderStoreFallback(parts);
  for (let i = 0; i < 20; i++) {
    const found = await fallback.supplement(store, '/d' as ByteString, new Set(), context());
    assert.deepEqual(found, [status]);
  }
});
