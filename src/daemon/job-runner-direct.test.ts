/** Bytes that are received straight into the pages of a fetch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { Slab } from '../cache/index.ts';
import type { ByteSink, ClusterClient } from '../cluster/index.ts';
import type { JobId, JobResult } from '../vfs/index.ts';
import { JobRunner } from './job-runner.ts';
import type { JobRunnerParts } from './job-runner.ts';

const PAGE = 64;
const LENGTH = 2 * PAGE;
const SLOTS = [
  [4, 5, 6, 7],
  [0, 1, 9, 8],
];
const content = Buffer.from(Array.from({ length: LENGTH }, (_, index) => index + 1));

async function fetchWith(read: (sink: ByteSink, results: JobResult[]) => void) {
  const slab = new Slab({ slotBytes: 16, slotCount: 10 });
  const results: JobResult[] = [];
  await new Promise<void>((resolve) => {
    const client: Pick<ClusterClient, 'read'> = {
      read: async (_, sink) => {
        read(sink, results);
        return await Promise.resolve({ source: 'page', worker: 'w' });
      },
    };
    const runner = new JobRunner({
      client: client as ClusterClient,
      files: client as JobRunnerParts['files'],
      writes: undefined,
      disk: undefined,
      slab,
      pageSizeBytes: PAGE,
      requestTimeoutMs: 1000,
      pathBytesMax: Infinity,
      deliver: (result) => {
        results.push(result);
        if (result.kind === 'failed' || results.length === 2) resolve();
      },
    });
    runner.run({
      kind: 'fetch',
      id: 1 as JobId,
      path: '/f' as ByteString,
      version: { lengthBytes: LENGTH, mtimeMs: 1, contentHash: undefined },
      firstPage: 0,
      pages: SLOTS.map((slots) => ({ lengthBytes: PAGE, slots })),
      isAhead: false,
      mustAsk: false,
    });
  });
  return { results, stored: Buffer.concat(SLOTS.flat().map((slot) => slab.slot(slot))) };
}

/** As a connection does it: asks for memory, receives some bytes there, says so. */
function receive(sink: ByteSink, from: number, to: number, atMost: number): void {
  assert.ok(sink.direct !== undefined);
  for (let at = from; at < to;) {
    const memory = sink.direct.memoryAt(at);
    assert.ok(memory !== undefined);
    const count = Math.min(atMost, memory.length, to - at);
    memory.set(content.subarray(at, at + count));
    sink.direct.received(at, count);
    at += count;
  }
}

test('pages that arrive in their place are handed over as they complete', async () => {
  for (const atMost of [1, 10, 16, PAGE]) {
    const { results, stored } = await fetchWith((sink, seen) => {
      receive(sink, 0, PAGE - 1, atMost);
      assert.equal(seen.length, 0);
      // What came with a head comes as a chunk.
      sink(content.subarray(PAGE - 1, PAGE), PAGE - 1);
      assert.equal(seen.length, 1);
      receive(sink, PAGE, LENGTH, atMost);
    });
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['page', 'page'],
    );
    assert.deepEqual(stored, content);
  }
});

test('a page that was handed over is not given out again', async () => {
  const { stored } = await fetchWith((sink) => {
    receive(sink, 0, PAGE + 5, PAGE);
    // Another attempt begins from the start of the range.
    assert.equal(sink.direct?.memoryAt(0), undefined);
    assert.equal(sink.direct?.memoryAt(PAGE - 1), undefined);
    sink(Buffer.alloc(PAGE), 0);
    receive(sink, PAGE, LENGTH, PAGE);
    assert.equal(sink.direct?.memoryAt(LENGTH), undefined);
  });
  assert.deepEqual(stored, content);
});

test('a read that ends without all of its bytes fails', async () => {
  const { results } = await fetchWith((sink) => receive(sink, 0, PAGE + 63, PAGE));
  assert.deepEqual(
    results.map(({ kind }) => kind),
    ['page', 'failed'],
  );
});
