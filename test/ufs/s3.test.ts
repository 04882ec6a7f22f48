/** The S3 under store against a real server. */
import assert from 'node:assert/strict';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { byteStringOfText, type ByteString } from '../../src/base/byte-string.ts';
import type { CallContext, FileStatus } from '../../src/cluster/types.ts';
import type { UnderStore } from '../../src/cluster/under-store.ts';
import { S3UnderStore, type S3Options } from '../../src/ufs/index.ts';
import { rejectsWith } from '../support/cluster-errors.ts';
import { lastFirst } from '../support/last-first.ts';
import type { S3Server } from '../support/s3-server.ts';
import { s3Missing, startS3Server } from '../support/s3-server.ts';
import type { Cleanup } from '../support/temp-dir.ts';

const p = byteStringOfText;
const MTIME_S = 1_700_000_000;

function context(ms = 20_000, signal = new AbortController().signal): CallContext {
  return { signal, deadlineMs: performance.now() + ms };
}

async function collect<T>(batches: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

async function namesIn(store: UnderStore, path: ByteString): Promise<string[]> {
  return (await collect(store.list(path, context()))).map(({ name }) => name);
}

async function bytesOf(
  store: UnderStore,
  path: ByteString,
  offset: number,
  lengthBytes: number,
): Promise<Buffer> {
  const bytes = Buffer.alloc(lengthBytes);
  const { lengthBytes: got } = await store.read(
    { path, offset, lengthBytes },
    (chunk, at) => bytes.set(chunk, at),
    context(),
  );
  return bytes.subarray(0, got);
}

/** The server behind a proxy that breaks every other GET, the first one first, after so many bytes. */
async function cutting(
  cleanup: Cleanup,
  upstream: string,
  afterBytes: number,
  onCut: () => Promise<void>,
): Promise<string> {
  let answers = 0;
  const proxy = createServer((asked, answer) => {
    const { method = 'GET', url = '/', headers } = asked;
    const passOn = async (): Promise<void> => {
      const got = await new Promise<IncomingMessage>((resolve, reject) => {
        request(`${upstream}${url}`, { method, headers }, resolve).once('error', reject).end();
      });
      const body = Buffer.concat(await got.toArray());
      answer.writeHead(got.statusCode ?? 500, got.headers);
      answers += method === 'GET' ? 1 : 0;
      const isCut = method === 'GET' && answers % 2 === 1;
      if (!isCut) return void answer.end(body);
      await new Promise((resolve) => answer.write(body.subarray(0, afterBytes), resolve));
      await onCut();
      answer.destroy();
    };
    passOn().catch(() => answer.destroy());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  cleanup(async () => {
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

const ODD_NAMES = [
  'a b',
  ' leading and trailing ',
  'a+b',
  'a%20b',
  'a&b=c',
  'question?',
  'hash#',
  'semi;colon',
  'quote"\'',
  '<xml>&amp;',
  'back\\slash',
  '~tilde.(parens)*!',
  'é',
  '数据',
  '😀',
  'e\u0301 and \u00e9',
  'new\nline',
  'n'.repeat(255),
];

const CONTENT = Buffer.from(Array.from({ length: 700_000 }, (_, index) => (index * 7) % 251));

for (const hasEtags of [true, false]) {
  const kind = hasEtags ? 'with ETags' : 'without ETags';
  describe(`an S3 under store, ${kind}`, { skip: s3Missing() }, () => {
    const cleanup = lastFirst(after);
    let server: S3Server;
    let store: S3UnderStore;

    const open = (root: string, more: S3Options = {}): S3UnderStore => {
      const made = new S3UnderStore({ root: p(root), ...server.options, ...more });
      cleanup(() => made.close());
      return made;
    };

    before(async () => {
      server = await startS3Server(cleanup, { hasEtags });
      const top = join(server.directory, 'bucket', 'pre');
      await mkdir(join(top, 'dir', 'sub'), { recursive: true });
      await mkdir(join(top, 'many'));
      await mkdir(join(top, 'odd'));
      await mkdir(join(top, 'empty'));
      await writeFile(join(top, 'dir', 'file'), CONTENT);
      await utimes(join(top, 'dir', 'file'), MTIME_S, MTIME_S + 0.5);
      await writeFile(join(top, 'dir', 'zero'), '');
      await writeFile(join(top, 'dir', 'sub', 'deep'), 'deep');
      await writeFile(join(top, 'dir', 'sub-ling'), 'sorts before sub/');
      for (const name of ODD_NAMES) await writeFile(join(top, 'odd', name), name);
      const many = Array.from({ length: 2_150 }, (_, index) => `f${index}`);
      await Promise.all(many.map((name) => writeFile(join(top, 'many', name), '')));
      await writeFile(join(server.directory, 'bucket', 'outside'), 'not below pre');
      store = open('s3://bucket/pre');
    });

    it('tells files and directories, with times in whole seconds', async () => {
      const file = await store.stat(p('/dir/file'), context());
      assert.deepEqual(
        { ...file, contentHash: undefined },
        {
          name: 'file',
          type: 'file',
          lengthBytes: CONTENT.length,
          mtimeMs: MTIME_S * 1000,
          contentHash: undefined,
        },
      );
      const directory = { name: 'sub', type: 'directory', lengthBytes: 0, mtimeMs: 0 };
      assert.deepEqual(await store.stat(p('/dir/sub'), context()), directory);
      const empty = { ...directory, name: 'empty' };
      assert.deepEqual(await store.stat(p('/empty'), context()), empty);
      assert.deepEqual(await store.stat(p('/'), context()), { ...directory, name: '' });
      assert.equal(await store.isReachable(context()), true);
    });

    it('lists as it tells', async () => {
      const entries = await collect(store.list(p('/dir'), context()));
      const names = entries.map(({ name }) => name).sort();
      assert.deepEqual(names, ['file', 'sub', 'sub-ling', 'zero']);
      for (const entry of entries) {
        const path = `/dir/${entry.name}` as ByteString;
        assert.deepEqual(entry, await store.stat(path, context()));
      }
      const top = await namesIn(store, p('/'));
      assert.deepEqual(top.sort(), ['dir', 'empty', 'many', 'odd']);
      assert.deepEqual(await collect(store.list(p('/empty'), context())), []);
      const bucket = await namesIn(open('s3://bucket'), p('/'));
      assert.deepEqual(bucket.sort(), ['outside', 'pre']);
    });

    it('lists more than a page, each name once', async () => {
      const sizes: number[] = [];
      const names = new Set<string>();
      for await (const batch of store.list(p('/many'), context())) {
        sizes.push(batch.length);
        for (const { name } of batch) names.add(name);
      }
      assert.deepEqual(sizes, [1000, 1000, 150]);
      assert.equal(names.size, 2_150);
    });

    it('carries odd names', async () => {
      const entries = await collect(store.list(p('/odd'), context()));
      assert.deepEqual(
        entries.map(({ name }) => name).sort(),
        ODD_NAMES.map((name) => p(name)).sort(),
      );
      for (const name of ODD_NAMES) {
        const path = p(`/odd/${name}`);
        const lengthBytes = Buffer.byteLength(name);
        assert.equal((await store.stat(path, context())).lengthBytes, lengthBytes, name);
        assert.equal((await bytesOf(store, path, 0, 1_000)).toString(), name);
      }
    });

    it('reads any range, and less at the end of the object', async () => {
      for (const [offset, length] of [
        [0, CONTENT.length],
        [0, 1],
        [262_143, 3],
        [CONTENT.length - 1, 10],
        [CONTENT.length, 5],
        [CONTENT.length + 1_000, 5],
        [5, 0],
      ] as const) {
        const bytes = await bytesOf(store, p('/dir/file'), offset, length);
        assert.deepEqual(bytes, CONTENT.subarray(offset, offset + length), `${offset}+${length}`);
      }
      const end = { path: p('/dir/file'), offset: CONTENT.length, lengthBytes: 5 };
      const { version } = await store.read(end, assert.fail, context());
      const status: FileStatus = await store.stat(p('/dir/file'), context());
      assert.equal(version.lengthBytes, status.lengthBytes);
      assert.equal(version.mtimeMs, status.mtimeMs);
      assert.equal(version.contentHash, status.contentHash);
      assert.equal((await bytesOf(store, p('/dir/zero'), 0, 5)).length, 0);
    });

    it('says what is wrong in the words of the cluster', async () => {
      const read = (path: string): Promise<Buffer> => bytesOf(store, p(path), 0, 5);
      await rejectsWith(store.stat(p('/gone'), context()), 'not-found');
      await rejectsWith(store.stat(p('/fil'), context()), 'not-found');
      await rejectsWith(store.stat('/inv\xff' as ByteString, context()), 'not-found');
      await rejectsWith(collect(store.list(p('/gone'), context())), 'not-found');
      await rejectsWith(collect(store.list(p('/dir/file'), context())), 'not-a-directory');
      await rejectsWith(read('/gone'), 'not-found');
      await rejectsWith(read('/dir/sub'), 'is-a-directory');
      await rejectsWith(read('/'), 'is-a-directory');
      for (const path of [
        '/../outside',
        '/dir/../../outside',
        '/dir//file',
        '/dir/./file',
        'dir',
      ]) {
        await rejectsWith(store.stat(p(path), context()), 'not-found');
      }
    });

    it('is unavailable, and not empty, where the bucket is missing', async () => {
      const missing = open('s3://nobucket/pre');
      assert.equal(await missing.isReachable(context()), false);
      assert.match(String(missing.problem), /NoSuchBucket nobucket/);
      await rejectsWith(missing.stat(p('/'), context()), 'unavailable', /NoSuchBucket nobucket/);
      await rejectsWith(missing.stat(p('/a'), context()), 'unavailable', /NoSuchBucket nobucket/);
      await rejectsWith(collect(missing.list(p('/'), context())), 'unavailable', /NoSuchBucket/);
      await rejectsWith(bytesOf(missing, p('/a'), 0, 1), 'unavailable', /NoSuchBucket/);
    });

    it('says which of its keys is wrong, and keeps the signed text to itself', async () => {
      const credentials = { accessKeyId: 'test-access', secretAccessKey: 'wrong-secret' };
      const wrong = open('s3://bucket/pre', { credentials });
      assert.equal(await wrong.isReachable(context()), false);
      await rejectsWith(wrong.stat(p('/'), context()), 'permission', /check the secret key/);
      await rejectsWith(wrong.stat(p('/dir/file'), context()), 'permission');
      await assert.rejects(bytesOf(wrong, p('/dir/file'), 0, 1), (error) => {
        const { cause } = error as Error;
        assert.deepEqual(Object.keys(cause as Error), []);
        return true;
      });
      const unknown = { accessKeyId: 'nobody', secretAccessKey: 'x' };
      const other = open('s3://bucket/pre', { credentials: unknown });
      await rejectsWith(other.stat(p('/'), context()), 'permission', /check the access key/);
      const anonymous = open('s3://bucket/pre', { anonymous: true, credentials: undefined });
      await rejectsWith(anonymous.stat(p('/'), context()), 'permission');
    });

    it('ends at its deadline, and when it is cancelled', async () => {
      const silent = createServer(() => undefined).listen(0, '127.0.0.1');
      await new Promise((resolve) => silent.once('listening', resolve));
      cleanup(async () => {
        silent.closeAllConnections();
        await new Promise((resolve) => silent.close(resolve));
      });
      const { port } = silent.address() as AddressInfo;
      const slow = open('s3://bucket', { endpoint: `http://127.0.0.1:${port}` });
      await rejectsWith(slow.stat(p('/a'), context(100)), 'timeout');
      const abort = new AbortController();
      const pending = slow.stat(p('/a'), context(20_000, abort.signal));
      abort.abort();
      await rejectsWith(pending, 'cancelled');
    });

    it('passes on what the sink throws', async () => {
      const range = { path: p('/dir/file'), offset: 0, lengthBytes: 7 };
      const refuse = (): void => {
        throw new RangeError('no room');
      };
      await assert.rejects(store.read(range, refuse, context()), RangeError);
    });

    it('goes on with the same object where a connection breaks, and with no other', async () => {
      const file = join(server.directory, 'bucket', 'pre', 'cut');
      let onCut = (): Promise<void> => Promise.resolve();
      const endpoint = await cutting(cleanup, server.endpoint, 300_000, () => onCut());
      const cut = open('s3://bucket/pre', { endpoint });
      await writeFile(file, CONTENT);
      assert.deepEqual(await bytesOf(cut, p('/cut'), 10, CONTENT.length), CONTENT.subarray(10));
      onCut = () => writeFile(file, Buffer.concat([CONTENT, Buffer.from('longer')]));
      const changed = bytesOf(cut, p('/cut'), 0, CONTENT.length);
      await rejectsWith(changed, 'version-changed');
    });

    it('is away while the server is, and back with it', async () => {
      await server.stop();
      assert.equal(await store.isReachable(context()), false);
      await rejectsWith(store.stat(p('/dir/file'), context()), 'unavailable', /ECONNREFUSED/);
      await server.start();
      assert.equal(await store.isReachable(context()), true);
      assert.equal((await store.stat(p('/dir/file'), context())).lengthBytes, CONTENT.length);
    });
  });
}
