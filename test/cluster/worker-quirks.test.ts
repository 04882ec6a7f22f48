/**
 * Each way in which real workers stray from what one would expect, replayed byte for byte. The
 * observations are of open source 313; the same client is held against a real one by the contract
 * suite.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { byteStringOfText, type ByteString } from '../../src/base/byte-string.ts';
import { ClusterError, type CallContext, type Worker } from '../../src/cluster/types.ts';
import { createWorkerClient } from '../../src/cluster/worker/index.ts';
import { respond, ScriptedServer, type Script } from './scripted-server.ts';

const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

function context(ms = 5_000): CallContext {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + ms };
}

const path = (text: string): ByteString => byteStringOfText(text);
const ufs = (text: string): ByteString => byteStringOfText(`file:///r${text}`);
const closed: Script = (_, socket) => socket.end();

async function setUp(http: Script, s3: Script = closed, connectionsPerWorker = 4) {
  const httpServer = new ScriptedServer((request, socket) => {
    // Open source: no such endpoint, and a health one.
    if (request.target === '/v1/ufsInfo') socket.end();
    else if (request.target === '/v1/health') respond(socket, '200 OK', 'worker is active');
    else http(request, socket);
  });
  const s3Server = new ScriptedServer(s3);
  const dropped: string[] = [];
  const told: string[] = [];
  const worker: Worker = {
    id: 'worker-1',
    identifier: '01',
    version: 1,
    host: '127.0.0.1',
    httpPort: await httpServer.listen(),
    s3Port: await s3Server.listen(),
  };
  const client = createWorkerClient({
    pageSizeBytes: 1024,
    connectionsPerWorker,
    events: { inexpressible: (reason) => dropped.push(reason) },
    onUfsPath: (of, at, ufsPath) => told.push(`${of.id} ${at} ${ufsPath}`),
  });
  closers.push(
    () => client.close(),
    () => httpServer.close(),
    () => s3Server.close(),
  );
  return { client, worker, http: httpServer, s3: s3Server, dropped, told };
}

function collector(size: number) {
  const bytes = Buffer.alloc(size);
  return { bytes, sink: (chunk: Uint8Array, offset: number) => bytes.set(chunk, offset) };
}

const noSink = (): void => assert.fail('no byte of this answer may reach the sink');

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof ClusterError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

function entry(at: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    mType: 'file',
    mName: at.slice(at.lastIndexOf('/') + 1),
    mPath: at,
    mUfsPath: `file:///r${at}`,
    mLastModificationTimeMs: 5,
    mLength: 7,
    mHumanReadableFileSize: '7B',
    ...more,
  };
}

const tag = { etag: '(len:100, modtime:1234)' };
const version = { lengthBytes: 100, mtimeMs: 1234 };
const range = (offset: number, lengthBytes: number, at = '/b/k') => ({
  path: path(at),
  ufsPath: ufs(at),
  offset,
  lengthBytes,
  version,
});

async function listed(batches: AsyncIterable<{ name: ByteString }[]>): Promise<string[]> {
  const names: string[] = [];
  for await (const batch of batches) names.push(...batch.map((status) => status.name));
  return names;
}

describe('the HTTP port of an open-source worker', () => {
  it('is told apart by the closed connection, without the secrets of ufsInfo being read', async () => {
    const oss = await setUp(closed);
    assert.equal(await oss.client.personality(oss.worker, context()), 'oss');
    assert.equal(await oss.client.personality(oss.worker, context()), 'oss');
    assert.equal(oss.http.requests.length, 2, 'the answer is remembered');
    await oss.client.health(oss.worker, context());
  });

  it('tells where an entry lies in the under store, which is passed on once an answer', async () => {
    const { client, worker, told } = await setUp((request, socket) => {
      const isList = request.target.startsWith('/v1/files');
      const entries = isList ? [entry('/b/k'), entry('/b/l')] : [entry('/b')];
      respond(socket, '200 OK', JSON.stringify(entries));
    });
    await client.stat(worker, path('/b'), context());
    assert.deepEqual(told, ['worker-1 /b file:///r/b']);
    assert.deepEqual(await listed(client.list(worker, path('/b'), context())), ['k', 'l']);
    assert.deepEqual(told.slice(1), ['worker-1 /b/k file:///r/b/k']);
  });

  it('says that it does not hold a page by closing the connection', async () => {
    const { client, worker } = await setUp(closed);
    const request = { ufsPath: ufs('/b/k'), pageIndex: 3 };
    assert.deepEqual(await client.readPage(worker, request, noSink, context()), { kind: 'miss' });
  });

  it('gives pages under the SHA-256 of the UFS path, on one kept connection', async () => {
    const body = Buffer.alloc(1024, 'p');
    const { client, worker, http } = await setUp((_, socket) => respond(socket, '200 OK', body));
    for (let pageIndex = 0; pageIndex < 3; pageIndex += 1) {
      const { bytes, sink } = collector(1024);
      const request = { ufsPath: ufs('/b/k'), pageIndex };
      const outcome = await client.readPage(worker, request, sink, context());
      assert.deepEqual(outcome, { kind: 'page', lengthBytes: 1024 });
      assert.deepEqual(bytes, body);
    }
    const id = createHash('sha256').update('file:///r/b/k').digest('hex');
    const pages = http.requests.slice(2);
    assert.deepEqual(
      pages.map((request) => request.target),
      [0, 1, 2].map((page) => `/v1/file/${id}/page/${page}`),
    );
    assert.deepEqual(new Set(pages.map((request) => request.connection)).size, 1);
  });

  it('may close a kept connection just as it is used again: not believed as a miss', async () => {
    let answered = 0;
    const { client, worker } = await setUp((request, socket) => {
      // Every connection dies at its second page.
      if (request.index > 0 && answered > 0) socket.destroy();
      else respond(socket, '200 OK', 'x'.repeat(10));
      answered += 1;
    });
    for (let page = 0; page < 4; page += 1) {
      const request = { ufsPath: ufs('/b/k'), pageIndex: page };
      const outcome = await client.readPage(worker, request, collector(1024).sink, context());
      assert.deepEqual(outcome, { kind: 'page', lengthBytes: 10 }, `page ${page}`);
    }
  });

  it('shows a wrong page size by pages that are too long', async () => {
    const { client, worker } = await setUp((_, socket) =>
      respond(socket, '200 OK', Buffer.alloc(4096)),
    );
    const request = { ufsPath: ufs('/b/k'), pageIndex: 0 };
    await rejectsWith(client.readPage(worker, request, noSink, context()), 'protocol');
  });

  it('shows an old page of a file that was longer, and nothing of it is read', async () => {
    const { client, worker, http } = await setUp((_, socket) =>
      respond(socket, '200 OK', Buffer.alloc(1000, 'o')),
    );
    const { bytes, sink } = collector(1024);
    const end = { ufsPath: ufs('/b/k'), pageIndex: 0, offsetInPage: 0, isEnd: true };
    const longer = await client.readPage(worker, { ...end, lengthBytes: 500 }, sink, context());
    assert.deepEqual(longer, { kind: 'page', lengthBytes: 1000 });
    assert.ok(!bytes.includes('o'));
    const right = await client.readPage(worker, { ...end, lengthBytes: 1000 }, sink, context());
    assert.deepEqual(right, { kind: 'page', lengthBytes: 1000 });
    const targets = http.requests.map(({ target }) => target).filter((of) => of.includes('/page/'));
    assert.equal(targets.length, 2);
    assert.ok(targets.every((of) => of.endsWith('?offset=0&length=1024')));
  });

  it('cut off within a page, it is an error and not a short page', async () => {
    const { client, worker } = await setUp((_, socket) => {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this');
    });
    const request = { ufsPath: ufs('/b/k'), pageIndex: 0 };
    await rejectsWith(
      client.readPage(worker, request, collector(100).sink, context()),
      'unavailable',
    );
  });

  it('sends bytes beyond a response: they are no part of the next one', async () => {
    const extra = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL';
    const { client, worker } = await setUp((_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood${extra}`);
    });
    for (let page = 0; page < 3; page += 1) {
      const { bytes, sink } = collector(4);
      const request = { ufsPath: ufs('/b/k'), pageIndex: page };
      await client.readPage(worker, request, sink, context());
      assert.equal(bytes.toString(), 'good');
    }
  });

  it('decodes three escapes only: names are written raw, or asked for at the other port', async () => {
    const { client, worker, http, s3 } = await setUp(
      (request, socket) => {
        const at = request.target.slice('/v1/info?path='.length);
        respond(socket, '200 OK', JSON.stringify([entry(at)]));
      },
      (_, socket) => respond(socket, '200 OK', '', { ...tag, 'content-length': '100' }),
    );
    for (const name of ['a+b', 'a%b', 'a#b', "a'b", 'a"b', 'a;b', 'a:b', '%41', '{x}', '100%']) {
      assert.equal((await client.stat(worker, path(`/b/${name}`), context())).lengthBytes, 7, name);
      assert.equal(http.requests.at(-1)?.target, `/v1/info?path=/b/${name}`);
    }
    assert.equal(s3.requests.length, 0);
    const asked: [string, string][] = [
      ['a b', 'a%2520b'],
      ['a&b', 'a%2526b'],
      ['a=b', 'a%253Db'],
      ['a%2Fb', 'a%25252Fb'],
      ['a%3fb', 'a%25253fb'],
      ['é', '%25C3%25A9'],
      ['a\nb', 'a%250Ab'],
      ['a\x01b', 'a%2501b'],
    ];
    for (const [name, target] of asked) {
      const status = await client.stat(worker, path(`/b/${name}`), context());
      assert.deepEqual(status, { name: path(name), type: 'file', ...version });
      assert.equal(s3.requests.at(-1)?.target, `/b/${target}/`, name);
    }
  });

  it('takes "?" and "\\" for something else, and bytes that are not UTF-8: never sent', async () => {
    const { client, worker, http, s3 } = await setUp(closed);
    await client.personality(worker, context());
    const before = http.requests.length;
    for (const name of ['a?b', '?', 'a\\b', '\xff' as ByteString]) {
      const at = (name === '\xff' ? `/b/${name}` : path(`/b/${name}`)) as ByteString;
      await rejectsWith(client.stat(worker, at, context()), 'inexpressible');
      await rejectsWith(listed(client.list(worker, at, context())), 'inexpressible');
      const request = { ...range(0, 10), path: at };
      await rejectsWith(client.readS3(worker, request, noSink, context()), 'inexpressible');
    }
    assert.deepEqual([http.requests.length - before, s3.requests.length], [0, 0]);
  });

  it('answers for another path: that is not the answer', async () => {
    const { client, worker } = await setUp(
      (_, socket) => respond(socket, '200 OK', JSON.stringify([entry('/b/other')])),
      (_, socket) => respond(socket, '404 Not Found'),
    );
    await rejectsWith(client.stat(worker, path('/b/k'), context()), 'not-found');
  });

  it('asks only the S3 port, once, after a missing name beside it, and both for what is there', async () => {
    const there = '/b/there';
    const { client, worker, http, s3 } = await setUp(
      (request, socket) => {
        if (request.target.endsWith(there)) {
          respond(socket, '200 OK', JSON.stringify([entry(there)]));
        } else closed(request, socket);
      },
      (request, socket) => {
        respond(socket, request.target === `${there}/` ? '200 OK' : '404 Not Found');
      },
    );
    await rejectsWith(client.stat(worker, path('/b/k'), context()), 'not-found');
    const before = http.requests.length;
    await rejectsWith(client.stat(worker, path('/b/l'), context()), 'not-found');
    assert.equal(http.requests.length, before);
    assert.deepEqual(
      s3.requests.map((request) => request.target),
      ['/b/k/', '/b/l/'],
    );
    assert.equal((await client.stat(worker, path(there), context())).name, 'there');
    assert.equal(http.requests.at(-1)?.target, `/v1/info?path=${there}`);
    const asked = s3.requests.length;
    await client.stat(worker, path(there), context());
    assert.equal(s3.requests.length, asked);
  });

  it('closes for "not found" and for "failed" alike: the S3 port decides', async () => {
    const missing = await setUp(closed, (_, socket) => respond(socket, '404 Not Found'));
    await rejectsWith(missing.client.stat(missing.worker, path('/b/k'), context()), 'not-found');
    assert.deepEqual(
      missing.s3.requests.map((request) => request.target),
      ['/b/k/'],
    );
    const failed = await setUp(closed, (_, socket) =>
      respond(socket, '200 OK', '', { 'last-modified': 'Sun, 22 Nov 2026 20:55:50 GMT' }),
    );
    const status = await failed.client.stat(failed.worker, path('/b/k'), context());
    assert.deepEqual(status, {
      name: 'k',
      type: 'directory',
      lengthBytes: 0,
      mtimeMs: Date.UTC(2026, 10, 22, 20, 55, 50),
    });
  });

  it('has no S3 port by default: then the listing of the parent decides', async () => {
    const { client, worker } = await setUp((request, socket) => {
      if (request.target === '/v1/files?path=/b') {
        respond(socket, '200 OK', JSON.stringify([entry('/b/k')]));
      } else socket.end();
    });
    assert.equal((await client.stat(worker, path('/b/k'), context())).lengthBytes, 7);
    await rejectsWith(client.stat(worker, path('/b/gone'), context()), 'not-found');
  });

  it('has files directly under the root in its listing only', async () => {
    const { client, worker, s3 } = await setUp(
      (request, socket) => {
        if (request.target !== '/v1/files?path=/') socket.end();
        else respond(socket, '200 OK', JSON.stringify([entry('/a b')]));
      },
      (request, socket) => {
        if (request.target === '/dir/') respond(socket, '200 OK');
        else respond(socket, '404 Not Found', '', { 'content-length': '145' });
      },
    );
    assert.equal((await client.stat(worker, path('/a b'), context())).type, 'file');
    await rejectsWith(client.stat(worker, path('/gone'), context()), 'not-found');
    assert.equal((await client.stat(worker, path('/dir'), context())).type, 'directory');
    const before = s3.requests.length;
    const request = { ...range(0, 10), path: path('/root.txt') };
    await rejectsWith(client.readS3(worker, request, noSink, context()), 'inexpressible');
    assert.equal(s3.requests.length, before, 'a GET there would list a bucket');
  });
});

describe('listings of an open-source worker', () => {
  const emptyList =
    '<ListBucketResult><EncodingType>url</EncodingType><KeyCount>0</KeyCount>' +
    '<IsTruncated>false</IsTruncated></ListBucketResult>';

  it('are the same for an empty directory and a missing one: a status decides', async () => {
    const { client, worker } = await setUp(
      (request, socket) => {
        if (request.target.startsWith('/v1/files')) respond(socket, '200 OK', '[]');
        else if (request.target === '/v1/info?path=/b/empty') {
          respond(
            socket,
            '200 OK',
            JSON.stringify([entry('/b/empty', { mType: 'directory', mLength: 0 })]),
          );
        } else socket.end();
      },
      (_, socket) => respond(socket, '404 Not Found'),
    );
    assert.deepEqual(await listed(client.list(worker, path('/b/empty'), context())), []);
    await rejectsWith(listed(client.list(worker, path('/b/gone'), context())), 'not-found');
  });

  it('of a file are the file itself', async () => {
    const { client, worker } = await setUp((_, socket) =>
      respond(socket, '200 OK', JSON.stringify([entry('/b/k')])),
    );
    await rejectsWith(listed(client.list(worker, path('/b/k'), context())), 'not-a-directory');
  });

  it('give `a\\b` as `b`: left out and reported, never shown as another file', async () => {
    const mangled = entry('/m/a/b', { mUfsPath: 'file:///r/m/a\\b' });
    const { client, worker, dropped } = await setUp((_, socket) =>
      respond(socket, '200 OK', JSON.stringify([entry('/m/ok'), mangled, entry('/x/elsewhere')])),
    );
    assert.deepEqual(await listed(client.list(worker, path('/m'), context())), ['ok']);
    assert.deepEqual(dropped, ['backslash', 'other']);
  });

  it('of 10^5 entries come in batches, the first before the last byte', async () => {
    const count = 100_000;
    let release: (() => void) | undefined;
    const { client, worker } = await setUp((_, socket) => {
      const entries = Array.from({ length: count }, (__, index) => entry(`/b/f${index}`));
      const body = Buffer.from(JSON.stringify(entries));
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
      socket.write(body.subarray(0, 100_001));
      release = () => socket.write(body.subarray(100_001));
    });
    let seen = 0;
    for await (const batch of client.list(worker, path('/b'), context(20_000))) {
      assert.ok(batch.length <= 1000);
      seen += batch.length;
      release?.();
      release = undefined;
    }
    assert.equal(seen, count);
  });

  it('left half-way give up the connection', async () => {
    const { client, worker, http } = await setUp((_, socket) => {
      const body = JSON.stringify([entry('/b/k')]);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${body.slice(0, -1)}`);
    });
    for await (const batch of client.list(worker, path('/b'), context())) {
      assert.equal(batch.length, 1);
      break;
    }
    while (http.openSockets > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('fail where a name inside is not UTF-8: not an empty directory, but inexpressible', async () => {
    const body =
      '<Error><Resource>b</Resource><Message>/r/b/\ufffd\ufffd</Message><RequestId></RequestId>' +
      '<Code>InternalError</Code></Error>';
    const { client, worker } = await setUp(closed, (_, socket) =>
      respond(socket, '500 Internal Server Error', body),
    );
    await rejectsWith(listed(client.list(worker, path('/b/d'), context())), 'inexpressible');
  });

  it('over S3 are form-encoded, paged, and asked for with a prefix that is encoded once', async () => {
    const pages = [
      '<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>' +
        '<NextContinuationToken>t+1</NextContinuationToken>' +
        '<CommonPrefixes><Prefix>d+d%2F%0A%2F</Prefix></CommonPrefixes>' +
        '<Contents><Key>d+d%2F007</Key><Size>3</Size>' +
        '<LastModified>2026-11-22T20:55:50.654Z</LastModified></Contents></ListBucketResult>',
      '<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>' +
        '<Contents><Key>d+d%2F%C3%A9</Key><Size>0</Size>' +
        '<LastModified>2026-11-22T20:55:50.654Z</LastModified></Contents></ListBucketResult>',
    ];
    const { client, worker, s3 } = await setUp(closed, (request, socket) => {
      respond(socket, '200 OK', pages[request.target.includes('token') ? 1 : 0]);
      socket.end();
    });
    const names = await listed(client.list(worker, path('/b c/d d'), context()));
    assert.deepEqual(names, ['\n', '007', path('é')]);
    const query = '?list-type=2&encoding-type=url&delimiter=/&prefix=d%20d%2F';
    assert.deepEqual(
      s3.requests.map((request) => request.target),
      [`/b%2520c${query}`, `/b%2520c${query}&continuation-token=t%2B1`],
    );
  });

  it('over S3 take a bucket `a:b` for the directory /a/b: never asked', async () => {
    const { client, worker, s3 } = await setUp(closed, (_, socket) =>
      respond(socket, '200 OK', emptyList),
    );
    const listing = listed(client.list(worker, path('/a:b/c d'), context()));
    await rejectsWith(listing, 'inexpressible');
    assert.equal(s3.requests.length, 0);
  });
});

describe('the S3 port of an open-source worker', () => {
  const part = (socket: Parameters<Script>[1], offset: number, length: number): void =>
    respond(socket, '206 Partial Content', Buffer.alloc(length, 's'), {
      'content-range': `bytes ${offset}-${offset + length - 1}/100`,
      'content-encoding': 'application/octet-stream',
      ...tag,
    });

  it('answers a second request on a connection with bare bytes: one connection each', async () => {
    const { client, worker, s3 } = await setUp(closed, (request, socket) => {
      if (request.index > 0) socket.write('s'.repeat(10));
      else part(socket, 0, 10);
    });
    for (let count = 0; count < 5; count += 1) {
      const { bytes, sink } = collector(10);
      const outcome = await client.readS3(worker, range(0, 10), sink, context());
      const data = { kind: 'data', lengthBytes: 10, fileLengthBytes: 100, mtimeMs: 1234 };
      assert.deepEqual(outcome, data);
      assert.equal(bytes.toString(), 's'.repeat(10));
    }
    assert.deepEqual(
      s3.requests.map(({ connection, index }) => [connection, index]),
      [0, 1, 2, 3, 4].map((connection) => [connection, 0]),
    );
  });

  it('sends on to the end of the file in MAPPED mode: nothing behind the range is taken', async () => {
    const { client, worker } = await setUp(closed, (_, socket) => {
      part(socket, 0, 10);
      // A file may hold what looks like the next answer.
      socket.write(
        'HTTP/1.1 206 Partial Content\r\ncontent-length: 10\r\ncontent-range: bytes 10-19/100\r\n' +
          'etag: (len:100, modtime:1234)\r\n\r\nEVILEVILEV',
      );
    });
    for (let count = 0; count < 10; count += 1) {
      const { bytes, sink } = collector(10);
      await client.readS3(worker, range(0, 10), sink, context());
      assert.equal(bytes.toString(), 's'.repeat(10));
    }
  });

  it('decodes keys twice', async () => {
    const { client, worker, s3 } = await setUp(closed, (_, socket) => part(socket, 0, 10));
    const keys: [string, string][] = [
      ['a+b', 'a%252Bb'],
      ['100%', '100%2525'],
      ['a\nb', 'a%250Ab'],
      ['é', '%25C3%25A9'],
      ['plain-_.~', 'plain-_.~'],
    ];
    for (const [key, encoded] of keys) {
      const request = range(0, 10, `/b/${key}`);
      await client.readS3(worker, request, collector(10).sink, context());
      assert.equal(s3.requests.at(-1)?.target, `/b/${encoded}`);
      assert.match(s3.requests.at(-1)?.head ?? '', /\r\nrange: bytes=0-9$/);
    }
  });

  it('redirects to the owner with a key that is encoded wrongly: the address alone is taken', async () => {
    const { client, worker, s3 } = await setUp(closed, (_, socket) => {
      // No Content-Length; the worker closes in its own time.
      socket.write(
        'HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.9:29998/b/a%2Bb\r\n\r\n',
      );
    });
    const outcome = await client.readS3(worker, range(0, 10), noSink, context());
    assert.deepEqual(outcome, { kind: 'redirect', host: '127.0.0.9', port: 29_998 });
    assert.equal(s3.requests.length, 1);
  });

  for (const location of [
    '',
    '/b/k',
    'http://',
    'http://h:0/',
    'http://h:65536/',
    'http://h:123456/',
    'http://u@h:1/',
    'http://h h:1/',
    'ftp://h:1/',
    'https://h:1/',
    'http://h:1x/',
  ]) {
    it(`redirects to ${JSON.stringify(location)}: not followed anywhere`, async () => {
      const { client, worker } = await setUp(closed, (_, socket) =>
        respond(socket, '307 Temporary Redirect', '', { location }),
      );
      await rejectsWith(client.readS3(worker, range(0, 10), noSink, context()), 'protocol');
    });
  }

  it('is never asked for ranges that it answers oddly', async () => {
    const { client, worker, s3 } = await setUp(closed);
    for (const [offset, length] of [
      [100, 1],
      [0, 0],
      [5, -3],
      [-1, 5],
      [99, 2],
      [0.5, 1],
    ] as const) {
      await rejectsWith(
        client.readS3(worker, range(offset, length), noSink, context()),
        'protocol',
      );
    }
    assert.equal(s3.requests.length, 0);
  });

  const odd: [string, string, Record<string, string>, string][] = [
    ['200 OK', 'the whole file for a part', { 'content-length': '100', ...tag }, 'protocol'],
    [
      '206 Partial Content',
      'a range at the end',
      { 'content-length': '0', 'content-range': 'bytes 0-0/100', ...tag },
      'protocol',
    ],
    ['206 Partial Content', 'no Content-Range', { 'content-length': '10', ...tag }, 'protocol'],
    [
      '206 Partial Content',
      'another range',
      { 'content-length': '10', 'content-range': 'bytes 10-19/100', ...tag },
      'protocol',
    ],
    [
      '206 Partial Content',
      'a range and a length that disagree',
      { 'content-length': '9', 'content-range': 'bytes 5-14/100', ...tag },
      'protocol',
    ],
    [
      '206 Partial Content',
      'an ETag and a length that disagree',
      { 'content-length': '10', 'content-range': 'bytes 5-14/101', ...tag },
      'protocol',
    ],
    [
      '206 Partial Content',
      'another length',
      {
        'content-length': '10',
        'content-range': 'bytes 5-14/101',
        etag: '(len:101, modtime:1234)',
      },
      'version-changed',
    ],
    [
      '206 Partial Content',
      'another time',
      {
        'content-length': '10',
        'content-range': 'bytes 5-14/100',
        etag: '(len:100, modtime:1235)',
      },
      'version-changed',
    ],
    [
      '206 Partial Content',
      'a directory',
      { 'content-length': '0', 'content-range': 'bytes 0-0/0' },
      'is-a-directory',
    ],
    ['403 Forbidden', 'no permission', {}, 'permission'],
    ['500 Internal Server Error', 'a failure', {}, 'unavailable'],
    ['503 Service Unavailable', 'an overload', {}, 'unavailable'],
  ];
  for (const [status, what, headers, code] of odd) {
    it(`answers ${status} with ${what}: ${code}`, async () => {
      const { client, worker } = await setUp(closed, (_, socket) => {
        const length = Number(headers['content-length'] ?? 0);
        respond(socket, status, Buffer.alloc(length), headers);
      });
      await rejectsWith(client.readS3(worker, range(5, 10), noSink, context()), code);
    });
  }

  it('knows that a file is missing', async () => {
    const { client, worker } = await setUp(closed, (_, socket) =>
      respond(socket, '404 Not Found', '<Error><Code>NoSuchKey</Code></Error>'),
    );
    const outcome = await client.readS3(worker, range(0, 10), noSink, context());
    assert.deepEqual(outcome, { kind: 'not-found' });
  });

  it('gives the whole file with 200 where all of it is asked for', async () => {
    const { client, worker } = await setUp(closed, (_, socket) =>
      respond(socket, '200 OK', Buffer.alloc(100, 'w'), tag),
    );
    const outcome = await client.readS3(worker, range(0, 100), collector(100).sink, context());
    assert.equal(outcome.kind, 'data');
  });
});

describe('an Enterprise worker', () => {
  async function enterprise(script: Script) {
    const parts = await setUp(closed);
    const server = new ScriptedServer((request, socket) => {
      if (request.target === '/v1/ufsInfo') respond(socket, '200 OK', '{"s3://b":{"secret":1}}');
      else script(request, socket);
    });
    const worker = { ...parts.worker, httpPort: await server.listen() };
    closers.push(() => server.close());
    return { ...parts, worker, http: server };
  }

  it('is told apart by having an answer, and is given full UFS paths', async () => {
    const { client, worker, http } = await enterprise((_, socket) =>
      respond(socket, '200 OK', Buffer.alloc(10)),
    );
    assert.equal(await client.personality(worker, context()), 'enterprise');
    const page = { ufsPath: ufs('/b/a b'), pageIndex: 1, offsetInPage: 5, lengthBytes: 10 };
    await client.readPage(worker, page, collector(10).sink, context());
    const id = createHash('sha256').update('file:///r/b/a b').digest('hex');
    const full = 'ufsFullPath=file%3A%2F%2F%2Fr%2Fb%2Fa%20b';
    assert.equal(http.requests.at(-1)?.target, `/v1/file/${id}/page/1?offset=5&length=10&${full}`);
    const request = { path: path('/b/a b'), ufsPath: ufs('/b/a b'), offset: 3, lengthBytes: 10 };
    assert.equal(await client.readRange(worker, request, collector(10).sink, context()), 10);
    assert.equal(http.requests.at(-1)?.target, `/v1/range/${id}?${full}&offset=3&length=10`);
  });

  const answers: [string, string, string][] = [
    ['404 Not Found', '{"message":"nothing here"}', 'not-found'],
    ['500 Internal Server Error', '{"message":"Path /b/k does not exist"}', 'not-found'],
    ['500 Internal Server Error', 'broken', 'unavailable'],
    ['403 Forbidden', '', 'permission'],
    ['503 Service Unavailable', '', 'unavailable'],
    ['400 Bad Request', 'what?', 'protocol'],
  ];
  for (const [status, body, code] of answers) {
    it(`answers an info with ${status} ${body}: ${code}`, async () => {
      const { client, worker } = await enterprise((_, socket) => respond(socket, status, body));
      await client.personality(worker, context());
      await rejectsWith(client.stat(worker, path('/b/k'), context()), code);
      await rejectsWith(listed(client.list(worker, path('/b/k'), context())), code);
    });
  }
});

describe('calls to a worker', () => {
  it('end at their deadline, wherever they are', async () => {
    const silent: Script = () => undefined;
    const { client, worker } = await setUp(silent, silent, 1);
    await client.personality(worker, context());
    const page = { ufsPath: ufs('/b/k'), pageIndex: 0 };
    // The second waits for the only connection of the first.
    await Promise.all([
      rejectsWith(client.readPage(worker, page, noSink, context(80)), 'timeout'),
      rejectsWith(client.readPage(worker, page, noSink, context(40)), 'timeout'),
      rejectsWith(client.stat(worker, path('/b/k'), context(60)), 'timeout'),
      rejectsWith(client.readS3(worker, range(0, 10), noSink, context(60)), 'timeout'),
      rejectsWith(listed(client.list(worker, path('/b'), context(60))), 'timeout'),
    ]);
  });

  it('end when they are cancelled', async () => {
    const { client, worker } = await setUp((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf');
    });
    const abort = new AbortController();
    const bounds = { signal: abort.signal, deadlineMs: performance.now() + 5_000 };
    const page = { ufsPath: ufs('/b/k'), pageIndex: 0 };
    const read = client.readPage(worker, page, () => abort.abort(), bounds);
    await rejectsWith(read, 'cancelled');
  });

  it('to a worker that is gone are "unavailable", at once', async () => {
    const { client, worker, http, s3 } = await setUp(closed);
    await http.close();
    await s3.close();
    await rejectsWith(client.personality(worker, context()), 'unavailable');
    await rejectsWith(client.health(worker, context()), 'unavailable');
    await rejectsWith(client.stat(worker, path('/b/k'), context()), 'unavailable');
    await rejectsWith(client.readS3(worker, range(0, 10), noSink, context()), 'unavailable');
  });

  it('to a wrong S3 port name the option that says the port', async () => {
    const { client, worker, s3 } = await setUp(closed);
    const read = (): Promise<unknown> => client.readS3(worker, range(0, 10), noSink, context());
    await assert.rejects(read(), /The S3 port \d+ closed the connection; is --worker-s3-port/);
    await s3.close();
    await assert.rejects(read(), /ECONNREFUSED.*; is --worker-s3-port/);
    const atHttpPort = { ...worker, s3Port: worker.httpPort };
    await assert.rejects(
      client.readS3(atHttpPort, range(0, 10), noSink, context()),
      /closed the connection; is --worker-s3-port/,
    );
  });

  it('fail on what is not HTTP, is too long, or is not JSON', async () => {
    const page = { ufsPath: ufs('/b/k'), pageIndex: 0 };
    const noise = await setUp((_, socket) => socket.end('what is this?\r\n\r\n'));
    await rejectsWith(noise.client.readPage(noise.worker, page, noSink, context()), 'protocol');
    const long = await setUp((_, socket) =>
      socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`),
    );
    await rejectsWith(long.client.readPage(long.worker, page, noSink, context()), 'protocol');
    for (const body of ['{}', '[', '[{]', '[{}]', '[] x', '[{"mType":"file"}]', '[1]']) {
      const bad = await setUp((_, socket) => respond(socket, '200 OK', body));
      await rejectsWith(listed(bad.client.list(bad.worker, path('/b'), context())), 'protocol');
    }
    const huge = await setUp((_, socket) =>
      respond(socket, '200 OK', '', { 'content-length': '99999999' }),
    );
    await rejectsWith(huge.client.stat(huge.worker, path('/b/k'), context()), 'protocol');
  });
});
