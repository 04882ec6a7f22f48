/** The WebHDFS under store against servers that answer as Hadoop's documentation says. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { byteStringOfText, type ByteString } from '../../src/base/byte-string.ts';
import { ClusterError, type CallContext } from '../../src/cluster/types.ts';
import { WebHdfsUnderStore } from '../../src/ufs/index.ts';
import { rejectsWith } from '../support/cluster-errors.ts';
import { lastFirst } from '../support/last-first.ts';
import type { WebHdfsServer } from '../support/webhdfs-server.ts';
import { startWebHdfs } from '../support/webhdfs-server.ts';

const p = byteStringOfText;
const MTIME_MS = 1_700_000_000_123;
const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251));
const ODD_NAMES = ['a b', 'a+b', 'a%20b', 'a&b=c', 'q?x', 'h#x', 'é', '数据', 'back\\slash'];

const context = (ms = 10_000): CallContext => ({
  signal: new AbortController().signal,
  deadlineMs: performance.now() + ms,
});

describe('a WebHDFS under store, against a server of our own', () => {
  const cleanup = lastFirst(after);
  let server: WebHdfsServer;
  let store: WebHdfsUnderStore;

  const namesIn = async (path: string): Promise<string[]> => {
    const names: string[] = [];
    for await (const batch of store.list(p(path), context())) {
      names.push(...batch.map(({ name }) => name));
    }
    return names;
  };

  const bytesOf = async (path: ByteString, offset: number, length: number): Promise<Buffer> => {
    const bytes = Buffer.alloc(length);
    const request = { path, offset, lengthBytes: length };
    const { lengthBytes } = await store.read(
      request,
      (chunk, at) => bytes.set(chunk, at),
      context(),
    );
    return bytes.subarray(0, lengthBytes);
  };

  before(async () => {
    server = await startWebHdfs(cleanup);
    const put = (path: string, bytes: Buffer): void =>
      void server.files.set(`/data/${path}`, { bytes, mtimeMs: MTIME_MS });
    put('d/file', CONTENT);
    put('d/zero', Buffer.alloc(0));
    put('d/sub/deep', Buffer.from('deep'));
    put('d/secret', Buffer.from('no'));
    for (const name of ODD_NAMES) put(`odd/${name}`, Buffer.from(name));
    for (let index = 0; index < 250; index += 1) put(`many/f${index}`, Buffer.alloc(0));
    store = new WebHdfsUnderStore({ root: p(`webhdfs://${server.authority}/data`), user: 'me' });
    cleanup(() => store.close());
  });

  it('tells files and directories, and who asks', async () => {
    assert.deepEqual(await store.stat(p('/d/file'), context()), {
      name: 'file',
      type: 'file',
      lengthBytes: CONTENT.length,
      mtimeMs: MTIME_MS,
      mode: 0o644,
      owner: 'hdfs',
      group: 'supergroup',
    });
    assert.equal((await store.stat(p('/d'), context())).type, 'directory');
    assert.equal(await store.isReachable(context()), true);
    assert.ok(server.asked.every((line) => line === 'GETFILESTATUS me'));
  });

  it('lists in batches, and names of any kind', async () => {
    const expected = Array.from({ length: 250 }, (_, index) => `f${index}`);
    assert.deepEqual((await namesIn('/many')).sort(), expected.sort());
    assert.deepEqual((await namesIn('/odd')).sort(), ODD_NAMES.map((name) => p(name)).sort());
    for (const name of ODD_NAMES) {
      const path = p(`/odd/${name}`);
      assert.equal((await bytesOf(path, 0, 100)).toString(), name);
    }
    assert.deepEqual((await namesIn('/')).sort(), ['d', 'many', 'odd']);
  });

  it('reads any range through the redirect, and less at the end', async () => {
    for (const [offset, length] of [
      [0, CONTENT.length],
      [1, 5],
      [CONTENT.length - 1, 10],
      [CONTENT.length, 5],
      [CONTENT.length + 1000, 5],
      [5, 0],
    ] as const) {
      const expected = CONTENT.subarray(offset, offset + length);
      assert.deepEqual(await bytesOf(p('/d/file'), offset, length), expected);
    }
    assert.equal((await bytesOf(p('/d/zero'), 0, 5)).length, 0);
  });

  it('says what is wrong in the words of the cluster', async () => {
    await rejectsWith(store.stat(p('/gone'), context()), 'not-found', /does not exist: [^\n]*$/);
    await rejectsWith(namesIn('/gone'), 'not-found');
    await rejectsWith(namesIn('/d/file'), 'not-a-directory');
    await rejectsWith(bytesOf(p('/d/sub'), 0, 1), 'is-a-directory');
    await rejectsWith(store.stat(p('/d/secret'), context()), 'permission', /Permission denied/);
    await rejectsWith(store.stat(p('/../etc'), context()), 'not-found');
    await rejectsWith(store.stat('/inv\xff' as ByteString, context()), 'not-found');
  });

  it('does not give bytes of two versions as one', async () => {
    const file = { bytes: Buffer.alloc(1000, 1), mtimeMs: MTIME_MS };
    server.files.set('/data/d/changing', file);
    server.onOpen = () => void (file.mtimeMs += 1);
    await rejectsWith(bytesOf(p('/d/changing'), 0, 1000), 'version-changed');
    server.onOpen = () => undefined;
  });

  it('fails where fewer bytes come than were told, and passes on what the sink throws', async () => {
    const file = { bytes: Buffer.alloc(1000, 1), mtimeMs: MTIME_MS };
    server.files.set('/data/d/short', file);
    server.onOpen = () => void (file.bytes = file.bytes.subarray(0, 500));
    await rejectsWith(bytesOf(p('/d/short'), 0, 1000), 'protocol', /500 of 1000/);
    server.onOpen = () => undefined;
    const request = { path: p('/d/file'), offset: 0, lengthBytes: 7 };
    const refuse = (): void => {
      throw new RangeError('no room');
    };
    await assert.rejects(store.read(request, refuse, context()), RangeError);
  });

  it('is away, and says why, where nobody listens', async () => {
    const away = new WebHdfsUnderStore({ root: p('webhdfs://127.0.0.1:9/data') });
    cleanup(() => away.close());
    assert.equal(await away.isReachable(context()), false);
    assert.match(String(away.problem), /127\.0\.0\.1:9 cannot be reached/);
    await rejectsWith(away.stat(p('/a'), context()), 'unavailable');
    assert.throws(() => new WebHdfsUnderStore({ root: p('hdfs://') }), ClusterError);
  });
});
