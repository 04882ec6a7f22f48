/** What is written into a bucket, against a real server: whole under its name, or not there at all. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { byteStringOfText, type ByteString } from '../../src/base/byte-string.ts';
import type { CallContext } from '../../src/cluster/types.ts';
import { S3UnderStore } from '../../src/ufs/index.ts';
import { rejectsWith } from '../support/cluster-errors.ts';
import { lastFirst } from '../support/last-first.ts';
import type { S3Server } from '../support/s3-server.ts';
import { s3Missing, startS3Server } from '../support/s3-server.ts';
import { sampleBytes } from '../support/tree.ts';

const p = byteStringOfText;
/** More than one part, of which the last is not full. */
const LARGE = sampleBytes(35_000_000, 3);

function context(): CallContext {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + 60_000 };
}

function* piecesOf(bytes: Buffer, pieceBytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

describe('writes into an S3 under store', { skip: s3Missing() }, () => {
  const cleanup = lastFirst(after);
  let server: S3Server;
  let store: S3UnderStore;

  const onDisk = (...names: string[]): string => join(server.directory, 'bucket', 'pre', ...names);
  const put = async (path: string, bytes: Buffer, given = bytes, lengthBytes = bytes.length) => {
    // A little longer than a third of a part: pieces that lie across parts.
    const chunks = (async function* (): AsyncGenerator<Uint8Array> {
      for (const piece of piecesOf(given, 6_000_000)) yield await Promise.resolve(piece);
    })();
    const upload = { path: p(path), temporary: p('/unused'), lengthBytes, chunks, stallMs: 20_000 };
    return await store.writes.putFile(upload, context());
  };

  before(async () => {
    server = await startS3Server(cleanup);
    await mkdir(onDisk('d'), { recursive: true });
    store = new S3UnderStore({ root: p('s3://bucket/pre'), ...server.options });
    cleanup(() => store.close());
  });

  it('has the bytes of small, large and empty files, and tells of them', async () => {
    for (const bytes of [
      Buffer.from('small'),
      Buffer.alloc(0),
      LARGE,
      LARGE.subarray(0, 16 << 20),
    ]) {
      const { status, isNew } = await put('/d/f', bytes);
      assert.deepEqual([status.name, status.lengthBytes], ['f', bytes.length]);
      assert.deepEqual(status, await store.stat(p('/d/f'), context()));
      assert.equal(isNew, bytes.length === 5);
      assert.ok(bytes.equals(await readFile(onDisk('d', 'f'))), `${bytes.length} bytes`);
    }
    for (const name of ['what?', 'back\\slash', 'é ü', '100%25']) {
      await put(`/d/${name}`, Buffer.from(name));
      assert.equal(await readFile(onDisk('d', name), 'utf8'), name);
    }
  });

  it('leaves what was there where the bytes run dry, or are too many', async () => {
    await put('/d/kept', Buffer.from('before'));
    for (const [bytes, lengthBytes] of [
      [LARGE.subarray(0, 100), 101],
      [LARGE.subarray(0, 101), 100],
      [LARGE.subarray(0, 20_000_000), 30_000_000],
      [LARGE, 30_000_000],
    ] as const) {
      await rejectsWith(put('/d/kept', bytes, bytes, lengthBytes), 'protocol');
      await rejectsWith(put('/d/never', bytes, bytes, lengthBytes), 'protocol');
    }
    assert.equal(await readFile(onDisk('d', 'kept'), 'utf8'), 'before');
    await rejectsWith(store.stat(p('/d/never'), context()), 'not-found');
  });

  it('makes and removes directories', async () => {
    const { writes } = store;
    await writes.makeDirectory(p('/made'), context());
    assert.equal((await store.stat(p('/made'), context())).type, 'directory');
    await rejectsWith(writes.makeDirectory(p('/made'), context()), 'exists');
    await rejectsWith(writes.makeDirectory(p('/d/f'), context()), 'exists');
    await rejectsWith(put('/made', Buffer.from('x')), 'is-a-directory');
    await rejectsWith(writes.deleteFile(p('/made'), context()), 'is-a-directory');
    await put('/made/f', Buffer.from('x'));
    await rejectsWith(writes.removeDirectory(p('/made'), context()), 'not-empty');
    await writes.deleteFile(p('/made/f'), context());
    await writes.removeDirectory(p('/made'), context());
    await rejectsWith(store.stat(p('/made'), context()), 'not-found');
    await rejectsWith(writes.removeDirectory(p('/made'), context()), 'not-found');
    await rejectsWith(writes.removeDirectory(p('/d/f'), context()), 'not-a-directory');
  });

  it('renames over what is there, and removes', async () => {
    const { writes } = store;
    await put('/d/a?', Buffer.from('new'));
    await put('/d/b c', Buffer.from('old'));
    await writes.renameFile(p('/d/a?'), p('/d/b c'), context());
    assert.equal(await readFile(onDisk('d', 'b c'), 'utf8'), 'new');
    await rejectsWith(writes.renameFile(p('/d/a?'), p('/d/x'), context()), 'not-found');
    await rejectsWith(writes.renameFile(p('/d/b c'), p('/d'), context()), 'is-a-directory');
    await rejectsWith(writes.renameFile(p('/d'), p('/e'), context()), 'is-a-directory');
    await writes.renameFile(p('/d/b c'), p('/d/b c'), context());
    await writes.deleteFile(p('/d/b c'), context());
    await rejectsWith(writes.deleteFile(p('/d/b c'), context()), 'not-found');
  });

  it('has no place for names that are not UTF-8, nor outside of its root', async () => {
    const bytes = '/d/\xff' as ByteString;
    await rejectsWith(store.writes.makeDirectory(bytes, context()), 'inexpressible');
    await rejectsWith(store.writes.deleteFile(bytes, context()), 'not-found');
    await writeFile(join(server.directory, 'bucket', 'outside'), 'outside');
    await rejectsWith(store.writes.deleteFile(p('/../outside'), context()), 'not-found');
    await rejectsWith(put('/../outside', Buffer.from('x')), 'not-found');
    assert.equal(await readFile(join(server.directory, 'bucket', 'outside'), 'utf8'), 'outside');
  });
});
