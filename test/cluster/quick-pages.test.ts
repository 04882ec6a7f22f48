/** Pages read the short way, over a server that a test scripts. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, it } from 'node:test';
import type { Socket } from 'node:net';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import type { CallContext } from '../../src/cluster/types.ts';
import { ClusterError } from '../../src/cluster/types.ts';
import type { PageNowOutcome } from '../../src/cluster/worker-client.ts';
import { waitFor } from '../support/wait.ts';
import { respond, type Script } from './scripted-server.ts';
import { startScriptedWorker } from './scripted-worker.ts';

const LENGTH = 300_000;
const content = randomBytes(LENGTH);
const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

const ufsPath = byteStringOfText('file:///r/b/k');

function within(): CallContext {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + 10_000 };
}

async function setUp(script: Script) {
  const { server, worker, client } = await startScriptedWorker(script, 1024 * 1024, closers);
  const bytes = Buffer.from(new SharedArrayBuffer(LENGTH));
  let received = 0;
  const direct = {
    memoryAt: (offset: number) => bytes.subarray(offset, offset + 128 * 1024),
    received: (_offset: number, count: number) => void (received += count),
  };
  const copy = (chunk: Uint8Array, offset: number): void => {
    bytes.set(chunk, offset);
    received += chunk.length;
  };
  const sink = Object.assign(copy, { direct });
  let cancel: (() => void) | undefined;
  const start = (timeoutMs = 10_000): Promise<PageNowOutcome> =>
    new Promise((resolve, reject) => {
      const request = { ufsPath, pageIndex: 0, lengthBytes: LENGTH, isEnd: true };
      const deadlineMs = performance.now() + timeoutMs;
      cancel = client.readPageNow?.(worker, request, sink, deadlineMs, resolve);
      if (cancel === undefined) reject(new Error('It cannot be read the short way'));
    });
  return {
    server,
    bytes,
    client,
    worker,
    start,
    read: async (timeoutMs?: number) => {
      received = 0;
      await client.personality(worker, within());
      return await start(timeoutMs);
    },
    cancel: () => cancel?.(),
    received: () => received,
    pages: () => server.requests.filter(({ target }) => target.includes('/page/')),
  };
}

function isCode(outcome: PageNowOutcome, code: string): void {
  assert.ok(outcome instanceof ClusterError, String(outcome));
  assert.equal(outcome.code, code, outcome.message);
}

it('a page is read into its place over a kept connection', async () => {
  const { bytes, read, received, pages } = await setUp((_, socket) =>
    respond(socket, '200 OK', content),
  );
  for (let i = 0; i < 3; i++) {
    bytes.fill(0);
    assert.equal(await read(), 'page');
    assert.equal(received(), LENGTH);
    assert.ok(bytes.equals(content));
  }
  assert.equal(new Set(pages().map(({ connection }) => connection)).size, 1, 'It is kept');
  // The file ends in it: a page that had more would be an old one.
  assert.match(pages()[0]?.target ?? '', /\/page\/0\?offset=0&length=1048576$/);
});

it('a head that comes byte by byte is read like any other', async () => {
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${LENGTH}\r\n\r\n`;
  const { bytes, read } = await setUp((_, socket) => {
    const next = (at: number): void => {
      if (at === head.length) socket.write(content);
      else socket.write(head.slice(at, at + 1), () => setImmediate(next, at + 1));
    };
    next(0);
  });
  assert.equal(await read(), 'page');
  assert.ok(bytes.equals(content));
});

it('nothing is asked of a worker that nobody knows yet', async () => {
  const { start, server } = await setUp((_, socket) => respond(socket, '200 OK', content));
  await assert.rejects(start());
  assert.equal(server.requests.length, 0);
});

it('a connection that was closed for its age is replaced, a close of a new one is a miss', async () => {
  const { read, pages } = await setUp(({ index }, socket) => {
    if (index === 0) respond(socket, '200 OK', content);
    else socket.end();
  });
  assert.equal(await read(), 'page');
  assert.equal(await read(), 'page');
  assert.equal(pages().length, 3);
  const missing = await setUp((_, socket) => socket.end());
  assert.equal(await missing.read(), 'miss');
  assert.equal(missing.pages().length, 1);
});

it('what is no such page is left to the long way, and its connection goes', async () => {
  const answers: Script[] = [
    (_, socket) => respond(socket, '200 OK', content.subarray(1)),
    (_, socket) => respond(socket, '404 Not Found', 'gone'),
    (_, socket) => respond(socket, '200 OK', content, { 'transfer-encoding': 'chunked' }),
    (_, socket) => socket.write('ICY 200 OK\r\n\r\nhello'),
    (_, socket) => respond(socket, '200 OK', 'hello', { 'content-length': '-5' }),
    (_, socket) => respond(socket, '200 OK', 'hello', { 'content-length': '1e3' }),
    (_, socket) => respond(socket, '200 OK', 'hello', { 'content-length': '9'.repeat(30) }),
    (_, socket) => socket.write(Buffer.alloc(20_000, 65)),
  ];
  for (const answer of answers) {
    const { server, read, received } = await setUp(answer);
    assert.equal(await read(), 'unclear');
    assert.equal(received(), 0, 'No byte of it was taken');
    // That of the personality is kept.
    await waitFor('the connection to go', () => server.openSockets <= 1);
  }
});

it('an answer that breaks off is an error, and so is one that does not end', async () => {
  const begin = (socket: Socket): void => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${LENGTH}\r\n\r\n`);
    socket.write(content.subarray(0, 100_000));
  };
  const broken = await setUp((_, socket) => {
    begin(socket);
    setImmediate(() => socket.end());
  });
  isCode(await broken.read(), 'unavailable');
  const hanging = await setUp((_, socket) => begin(socket));
  isCode(await hanging.read(300), 'timeout');
});

it('a call that is given up in the middle leaves its memory alone at once', async () => {
  let sending: Socket | undefined;
  const { bytes, read, cancel, received } = await setUp((_, socket) => {
    sending = socket;
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${LENGTH}\r\n\r\n`);
    socket.write(content.subarray(0, 100_000));
  });
  const reading = read();
  await waitFor('a part to arrive', () => received() >= 100_000);
  cancel();
  bytes.fill(7);
  sending?.write(content.subarray(100_000));
  isCode(await reading, 'cancelled');
  await waitFor('the connection to go', () => sending?.destroyed === true);
  assert.ok(bytes.every((byte) => byte === 7));
});
