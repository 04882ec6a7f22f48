/** A page that one connection is slow to bring is asked for over another, and right all the same. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { ignoredEvents } from '../../src/cluster/cluster-events.ts';
import { RoutedClient } from '../../src/cluster/index.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { skipReason } from '../support/skip.ts';
import { routedClientOf } from '../support/routed-client.ts';

const FILES = 80;
const LENGTH = 20_000;
const LONG_PAGES = 4;
/** Far above any delay after which a second request is sent, and the bound on that delay is 1 s. */
const STALL_MS = 30_000;

describe('stragglers', { skip: skipReason('etcd') }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let client: RoutedClient;
  const events: string[] = [];
  const contents: Buffer[] = [];
  const long = randomBytes(LONG_PAGES * TEST_PAGE_SIZE_BYTES + 77);

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { workers: 1, virtualNodes: 5 });
    await mkdir(join(cluster.dataDir, 'd'));
    await writeFile(join(cluster.dataDir, 'd/long'), long);
    for (let i = 0; i < FILES; i++) {
      contents.push(randomBytes(LENGTH));
      await writeFile(join(cluster.dataDir, `d/f${i}`), contents[i] as Buffer);
    }
    client = routedClientOf(cluster, {
      events: { ...ignoredEvents, hedge: (outcome) => void events.push(outcome) },
    });
    cleanup(() => client.close());
  });

  const read = (i: number): Promise<string> => readFile(`f${i}`, contents[i] as Buffer);

  async function readFile(name: string, content: Buffer): Promise<string> {
    const path = byteStringOfText(`/d/${name}`);
    const lengthBytes = content.length;
    const context = {
      signal: new AbortController().signal,
      deadlineMs: performance.now() + 60_000,
    };
    const version = await client.stat(path, context);
    const request = { path, offset: 0, lengthBytes, version };
    const bytes = Buffer.alloc(lengthBytes);
    const { source } = await client.read(
      request,
      (chunk, offset) => bytes.set(chunk, offset),
      context,
    );
    assert.ok(bytes.equals(content), `The bytes of ${name} are wrong`);
    return source;
  }

  test('do not hold up a read', async () => {
    // The first time reads them through, and the second learns how long a page takes.
    for (let i = 0; i < FILES; i++) await read(i);
    for (let i = 0; i < FILES; i++) assert.equal(await read(i), 'page');
    assert.deepEqual(events, []);
    const action = { kind: 'delay', ms: STALL_MS } as const;
    await cluster.workers[0]?.setFaults(
      [{ port: 'http', targetIncludes: '/page/', count: 1, action }],
      1,
    );
    const startMs = performance.now();
    assert.equal(await read(0), 'page');
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < STALL_MS / 2, `It took ${Math.round(tookMs)} ms`);
    assert.deepEqual(events, ['sent', 'won']);
    // The connection that was given up is no part of what follows.
    for (let i = 0; i < FILES; i++) assert.equal(await read(i), 'page');
  });

  test('do not hold up a read of several pages', async () => {
    for (let i = 0; i < 40; i++) await readFile('long', long);
    assert.equal(await readFile('long', long), 'page');
    events.length = 0;
    for (const page of [0, 2, LONG_PAGES]) {
      const action = { kind: 'delay', ms: STALL_MS } as const;
      const faults = [
        { port: 'http', targetIncludes: `/page/${page}?`, count: 1, action } as const,
      ];
      await cluster.workers[0]?.setFaults(faults, 1);
      const startMs = performance.now();
      assert.equal(await readFile('long', long), 'page');
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < STALL_MS / 2, `It took ${Math.round(tookMs)} ms`);
    }
    assert.deepEqual(events, ['sent', 'won', 'sent', 'won', 'sent', 'won']);
  });
});
