import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { byteStringOfText, type ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext, type FileStatus } from '../../cluster/types.ts';
import { FileUnderStore } from './file-under-store.ts';
import { Slots } from './slots.ts';

const root = mkdtempSync(join(tmpdir(), 'file-under-store-'));
after(() => rmSync(root, { recursive: true, force: true }));

const inside = join(root, 'inside');
mkdirSync(join(inside, 'dir'), { recursive: true });
mkdirSync(join(root, 'outside'));
writeFileSync(join(root, 'outside', 'secret'), 'secret');
writeFileSync(join(inside, 'dir', 'file'), 'content');
writeFileSync(join(inside, 'dir', 'empty'), '');
symlinkSync('file', join(inside, 'dir', 'link'));
symlinkSync('../../outside/secret', join(inside, 'dir', 'escape'));
symlinkSync('../outside', join(inside, 'out'));
symlinkSync('nowhere', join(inside, 'dir', 'dangling'));
symlinkSync('loop', join(inside, 'dir', 'loop'));
execFileSync('mkfifo', [join(inside, 'dir', 'fifo')]);
utimesSync(join(inside, 'dir', 'file'), 1_700_000_000.123_9, 1_700_000_000.123_9);

const store = new FileUnderStore({ root: byteStringOfText(`file://${inside}`) });
const p = (text: string): ByteString => byteStringOfText(text);

function context(ms = 5_000): CallContext {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + ms };
}

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof ClusterError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

async function collect<T>(batches: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

function byName(entries: readonly FileStatus[]): Map<string, FileStatus> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

describe('a file under store', () => {
  it('tells files and directories, with times in whole milliseconds', async () => {
    assert.deepEqual(await store.stat(p('/dir/file'), context()), {
      name: 'file',
      type: 'file',
      lengthBytes: 7,
      mtimeMs: 1_700_000_000_123,
    });
    const directory = await store.stat(p('/dir'), context());
    assert.deepEqual(
      [directory.name, directory.type, directory.lengthBytes],
      ['dir', 'directory', 0],
    );
    assert.equal((await store.stat(p('/'), context())).name, '');
    assert.equal(await store.isReachable(context()), true);
  });

  it('follows links inside of the root and none out of it', async () => {
    const link = await store.stat(p('/dir/link'), context());
    assert.deepEqual([link.name, link.lengthBytes], ['link', 7]);
    await rejectsWith(store.stat(p('/dir/escape'), context()), 'permission');
    await rejectsWith(store.stat(p('/out/secret'), context()), 'permission');
    for (const path of ['/../outside/secret', '/dir/../../outside', '/dir/./file', 'dir']) {
      await rejectsWith(store.stat(p(path), context()), 'permission');
    }
  });

  it('says what is wrong in the words of the cluster', async () => {
    await rejectsWith(store.stat(p('/gone'), context()), 'not-found');
    await rejectsWith(store.stat(p('/dir/file/x'), context()), 'not-a-directory');
    await rejectsWith(store.stat(p('/dir/dangling'), context()), 'not-found');
    await rejectsWith(store.stat(p('/dir/loop'), context()), 'not-found');
    await rejectsWith(store.stat(p('/dir/fifo'), context()), 'not-found');
    await rejectsWith(store.stat(p(`/${'n'.repeat(256)}`), context()), 'not-found');
    await rejectsWith(collect(store.list(p('/gone'), context())), 'not-found');
    await rejectsWith(collect(store.list(p('/dir/file'), context())), 'not-a-directory');
    const read = (path: string) =>
      store.read({ path: p(path), offset: 0, lengthBytes: 5 }, () => undefined, context());
    await rejectsWith(read('/dir'), 'is-a-directory');
    await rejectsWith(read('/dir/fifo'), 'not-found');
    await rejectsWith(read('/dir/escape'), 'permission');
  });

  it('is unavailable, and not empty, where its root is missing', async () => {
    const missing = new FileUnderStore({ root: p(join(root, 'unmounted')) });
    assert.equal(await missing.isReachable(context()), false);
    await rejectsWith(missing.stat(p('/dir'), context()), 'unavailable');
    assert.throws(() => new FileUnderStore({ root: p('s3://bucket/') }), ClusterError);
  });

  it('lists what can be read, by its names in bytes', async () => {
    const entries = byName(await collect(store.list(p('/dir'), context())));
    assert.deepEqual([...entries.keys()].sort(), ['empty', 'file', 'link']);
    assert.equal(entries.get('link')?.lengthBytes, 7);
    const names = await collect(store.names(p('/dir'), context()));
    assert.deepEqual(names.sort(), ['dangling', 'empty', 'escape', 'fifo', 'file', 'link', 'loop']);

    const odd = Array.from({ length: 255 }, (_, index) => index + 1).filter(
      (byte) => byte !== 0x2f && byte !== 0x2e,
    );
    mkdirSync(join(inside, 'odd'));
    for (const byte of odd) {
      writeFileSync(Buffer.concat([Buffer.from(join(inside, 'odd/')), Buffer.from([byte])]), 'x');
    }
    const expected = odd.map((byte) => String.fromCharCode(byte)).sort();
    const listed = await collect(store.list(p('/odd'), context()));
    assert.deepEqual(listed.map((entry) => entry.name).sort(), expected);
    assert.deepEqual((await collect(store.names(p('/odd'), context()))).sort(), expected);
    for (const name of expected) {
      const path = `/odd/${name}` as ByteString;
      assert.equal((await store.stat(path, context())).lengthBytes, 1);
    }
  });

  it('lists more than a batch, in batches', async () => {
    mkdirSync(join(inside, 'many'));
    for (let index = 0; index < 2_001; index += 1) {
      writeFileSync(join(inside, 'many', `f${index}`), '');
    }
    const sizes: number[] = [];
    for await (const batch of store.list(p('/many'), context())) sizes.push(batch.length);
    assert.deepEqual(sizes, [1000, 1000, 1]);
  });

  it('reads any range, and less at the end of the file', async () => {
    const content = Buffer.from(Array.from({ length: 700_000 }, (_, index) => (index * 7) % 251));
    writeFileSync(join(inside, 'big'), content);
    for (const [offset, length] of [
      [0, 700_000],
      [0, 1],
      [262_143, 3],
      [699_999, 10],
      [700_000, 5],
      [5, 0],
    ] as const) {
      const bytes = Buffer.alloc(length);
      const result = await store.read(
        { path: p('/big'), offset, lengthBytes: length },
        (chunk, at) => bytes.set(chunk, at),
        context(),
      );
      const expected = content.subarray(offset, offset + length);
      assert.equal(result.lengthBytes, expected.length);
      assert.deepEqual(bytes.subarray(0, result.lengthBytes), expected);
      assert.equal(result.version.lengthBytes, 700_000);
    }
  });

  it('does not give bytes of two versions as one', async () => {
    writeFileSync(join(inside, 'changing'), Buffer.alloc(600_000));
    const read = store.read(
      { path: p('/changing'), offset: 0, lengthBytes: 600_000 },
      () => appendFileSync(join(inside, 'changing'), 'x'),
      context(),
    );
    await rejectsWith(read, 'version-changed');
  });

  it('passes on what the sink throws', async () => {
    const read = store.read(
      { path: p('/dir/file'), offset: 0, lengthBytes: 7 },
      () => {
        throw new RangeError('no room');
      },
      context(),
    );
    await assert.rejects(read, RangeError);
  });
});

describe('slots of file system calls', () => {
  const path = p('/x');

  it('free a caller at its deadline though the call hangs, and keep the slot', async () => {
    const slots = new Slots(1);
    let release: ((value: string) => void) | undefined;
    const late: string[] = [];
    const hung = slots.run(
      () => new Promise<string>((resolve) => (release = resolve)),
      path,
      context(30),
      (value) => late.push(value),
    );
    await rejectsWith(hung, 'timeout');
    await rejectsWith(
      slots.run(() => Promise.resolve('no'), path, context(30)),
      'timeout',
    );
    const next = slots.run(() => Promise.resolve('next'), path, context());
    release?.('late');
    assert.equal(await next, 'next');
    assert.deepEqual(late, ['late']);
  });

  it('let go of a cancelled caller, and of one too many', async () => {
    const slots = new Slots(1);
    const never = (): Promise<never> => new Promise(() => undefined);
    const abort = new AbortController();
    const bounds = { signal: abort.signal, deadlineMs: performance.now() + 5_000 };
    const running = slots.run(never, path, bounds);
    const waiting = Array.from({ length: 4096 }, () => slots.run(never, path, bounds));
    const settled = Promise.allSettled([running, ...waiting]);
    await rejectsWith(slots.run(never, path, bounds), 'unavailable');
    abort.abort();
    for (const result of await settled) {
      assert.equal(result.status, 'rejected');
      assert.equal((result.reason as ClusterError).code, 'cancelled');
    }
  });
});
