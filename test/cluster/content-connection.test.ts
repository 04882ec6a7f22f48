/** File content straight from the socket into its place, over a server that a test scripts. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, it } from 'node:test';
import type { Socket } from 'node:net';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import type { ByteSink, CallContext } from '../../src/cluster/types.ts';
import { ClusterError } from '../../src/cluster/types.ts';
import { waitFor } from '../support/wait.ts';
import { respond, type Script } from './scripted-server.ts';
import { startScriptedWorker } from './scripted-worker.ts';

const PAGE = 1024 * 1024;
const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

const ufsPath = byteStringOfText('file:///r/b/k');
const page = (pageIndex: number) => ({ ufsPath, pageIndex });

async function setUp(script: Script) {
  const { server, worker, client } = await startScriptedWorker(script, PAGE, closers);
  const read = (index: number, sink: ByteSink, context = within()) =>
    client.readPage(worker, page(index), sink, context);
  return { server, read };
}

function within(signal = new AbortController().signal): CallContext {
  return { signal, deadlineMs: performance.now() + 10_000 };
}

/** Memory in pieces of `pieceBytes`, as slots are; what comes as a chunk is copied there too. */
function place(pieceBytes: number) {
  const bytes = Buffer.from(new SharedArrayBuffer(PAGE));
  const counts = { direct: 0, copied: 0 };
  const copy = (chunk: Uint8Array, offset: number): void => {
    bytes.set(chunk, offset);
    counts.copied += chunk.length;
  };
  const direct = {
    memoryAt: (offset: number) =>
      bytes.subarray(offset, offset + pieceBytes - (offset % pieceBytes)),
    received: (_offset: number, count: number) => void (counts.direct += count),
  };
  return { bytes, counts, sink: Object.assign(copy, { direct }) };
}

it('bytes are received into their place, also where it lies in pieces', async () => {
  const content = randomBytes(PAGE);
  const { server, read } = await setUp((_, socket) => respond(socket, '200 OK', content));
  for (const pieceBytes of [PAGE, 128 * 1024, 1000]) {
    const { bytes, counts, sink } = place(pieceBytes);
    assert.deepEqual(await read(0, sink), { kind: 'page', lengthBytes: PAGE });
    assert.ok(bytes.equals(content));
    assert.equal(counts.direct + counts.copied, PAGE);
    // What came with the head is copied, and no more than that.
    assert.ok(counts.copied <= 16 * 1024, `${counts.copied} bytes were copied`);
  }
  const pages = server.requests.filter(({ target }) => target.includes('/page/'));
  assert.equal(new Set(pages.map(({ connection }) => connection)).size, 1, 'It is kept');
});

it('whoever has no place for the bytes is handed all of them', async () => {
  const content = randomBytes(PAGE);
  const { read } = await setUp((_, socket) => respond(socket, '200 OK', content));
  const bytes = Buffer.alloc(PAGE);
  const sink: ByteSink = (chunk, offset) => bytes.set(chunk, offset);
  assert.deepEqual(await read(0, sink), { kind: 'page', lengthBytes: PAGE });
  assert.ok(bytes.equals(content));
  // Half of it lies in memory, the rest comes as chunks.
  const half = place(PAGE);
  const direct = {
    ...half.sink.direct,
    memoryAt: (offset: number) =>
      offset < PAGE / 2 ? half.bytes.subarray(offset, PAGE / 2) : undefined,
  };
  const copy: ByteSink = (chunk, offset) => half.bytes.set(chunk, offset);
  assert.deepEqual(await read(0, Object.assign(copy, { direct })), {
    kind: 'page',
    lengthBytes: PAGE,
  });
  assert.ok(half.bytes.equals(content));
});

it('a head that comes byte by byte is read like any other', async () => {
  const text = 'HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nContent-Length: 5\r\n\r\nhello';
  const { read } = await setUp((_, socket) => {
    const next = (at: number): void => {
      if (at === text.length) return;
      socket.write(text.slice(at, at + 1), () => setImmediate(next, at + 1));
    };
    next(0);
  });
  const { bytes, sink } = place(PAGE);
  assert.deepEqual(await read(0, sink), { kind: 'page', lengthBytes: 5 });
  assert.equal(bytes.toString('latin1', 0, 5), 'hello');
});

it('what is framed in another way is asked for again in the general way', async () => {
  const { server, read } = await setUp((_, socket) => {
    const body = '4\r\ngone\r\n0\r\n\r\n';
    socket.write(`HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n${body}`);
  });
  assert.deepEqual(await read(0, place(PAGE).sink), { kind: 'miss' });
  assert.equal(server.requests.filter(({ target }) => target.includes('/page/')).length, 2);
});

it('a head that is not HTTP is refused', async () => {
  for (const head of ['HTTP/1.1 200 OK\r\nContent-Length : 5', 'ICY 200 OK', 'HTTP/1.1 99 x']) {
    const { read } = await setUp((_, socket) => socket.end(`${head}\r\n\r\nhello`));
    await assert.rejects(read(0, place(PAGE).sink), (error) => {
      assert.ok(error instanceof ClusterError);
      assert.equal(error.code, 'protocol', error.message);
      return true;
    });
  }
});

it('a call that is given up in the middle leaves its memory alone at once', async () => {
  let sending: Socket | undefined;
  const { read } = await setUp((_, socket) => {
    sending = socket;
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${PAGE}\r\n\r\n`);
    socket.write(Buffer.alloc(300_000, 1));
  });
  const { bytes, counts, sink } = place(PAGE);
  const controller = new AbortController();
  const reading = read(0, sink, within(controller.signal));
  await waitFor('a part to arrive', () => counts.direct > 0);
  controller.abort();
  bytes.fill(7);
  sending?.write(Buffer.alloc(300_000, 2));
  await assert.rejects(reading, { code: 'cancelled' });
  await waitFor('the connection to go', () => sending?.destroyed === true);
  assert.ok(bytes.every((byte) => byte === 7));
});

it('an idle connection that is closed, or speaks unasked, is not used again', async () => {
  for (const end of ['close', 'speak'] as const) {
    const { server, read } = await setUp((_, socket) => {
      respond(socket, '200 OK', 'hello');
      setImmediate(() => (end === 'close' ? socket.end() : socket.write('unasked')));
    });
    const { bytes, sink } = place(PAGE);
    for (let i = 0; i < 3; i++) {
      bytes.fill(0);
      assert.deepEqual(await read(i, sink), { kind: 'page', lengthBytes: 5 });
      assert.equal(bytes.toString('latin1', 0, 6), 'hello\0');
      await waitFor('the connection to go', () => server.openSockets <= 1);
    }
  }
});
