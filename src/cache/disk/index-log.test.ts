/** What a log tells after it was cut or changed anywhere, and after it was written anew. */
import assert from 'node:assert/strict';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ByteString } from '../../base/byte-string.ts';
import { hexOfKey } from './cache-key.ts';
import { IndexLog, pageSizeOfLog } from './index-log.ts';
import type { RecordHandler } from './records.ts';
import { makeDirectory, PAGE } from './testing/tier.ts';

function collect(): { readonly told: string[]; readonly handler: Omit<RecordHandler, 'head'> } {
  const told: string[] = [];
  return {
    told,
    handler: {
      file: ({ key, nonce, path, lengthBytes, mtimeMs, lastUseS }) =>
        told.push(`file ${hexOfKey(key)} ${nonce} ${path} ${lengthBytes} ${mtimeMs} ${lastUseS}`),
      page: ({ key, nonce }, index, sum) =>
        told.push(`page ${hexOfKey(key)} ${nonce} ${index} ${sum}`),
      use: ({ key, nonce }, lastUseS) => told.push(`use ${hexOfKey(key)} ${nonce} ${lastUseS}`),
      drop: ({ key, nonce }) => told.push(`drop ${hexOfKey(key)} ${nonce}`),
    },
  };
}

async function read(path: string, pageSizeBytes = PAGE): Promise<string[]> {
  const { told, handler } = collect();
  const log = await IndexLog.open(path, pageSizeBytes, handler, assert.ifError);
  await log.close();
  return told;
}

const file = (id: number) => ({ key: new Uint32Array([id, 1, 2, 0xffffffff]), nonce: 1000 + id });

/** A few frames; the length of the file, and what it tells, after each. */
async function fill(path: string): Promise<{ bytes: number; told: number }[]> {
  const { handler } = collect();
  const log = await IndexLog.open(path, PAGE, handler, assert.ifError);
  await log.settled();
  const ends = [{ bytes: log.sizeBytes, told: 0 }];
  for (let id = 0; id < 4; id++) {
    log.append((builder) => {
      const name = `/${'name'.repeat(id)}\xff` as ByteString;
      builder.file({
        ...file(id),
        path: name,
        lengthBytes: 2 ** 40 + id,
        mtimeMs: 1.5,
        lastUseS: id,
      });
      builder.pages(file(id), [
        { index: 0, sum: 0xffffffff },
        { index: 2 ** 20, sum: id },
      ]);
      builder.use(file(id), 77);
      builder.drop(file(id));
    });
    await log.settled();
    ends.push({ bytes: log.sizeBytes, told: 5 * (id + 1) });
  }
  await log.close();
  return ends;
}

test('cut at any byte, it tells every record before the cut, and can be written to again', async (context) => {
  const path = join(await makeDirectory(context), 'index');
  const ends = await fill(path);
  const whole = await readFile(path);
  const all = await read(path);
  assert.equal(all.length, 20);
  for (let bytes = 0; bytes <= whole.length; bytes++) {
    await writeFile(path, whole.subarray(0, bytes));
    const expected = ends.findLast((end) => end.bytes <= bytes)?.told ?? 0;
    assert.deepEqual(await read(path), all.slice(0, expected), `cut at ${bytes}`);
  }
  await writeFile(path, whole.subarray(0, whole.length - 1));
  const again = await IndexLog.open(path, PAGE, collect().handler, assert.ifError);
  again.append((builder) => builder.use(file(9), 5));
  await again.close();
  const told = await read(path);
  assert.equal(told.length, 16);
  assert.match(told.at(-1) ?? '', /^use 09000000.* 5$/);
});

test('with any byte changed, it tells nothing that was not written', async (context) => {
  const path = join(await makeDirectory(context), 'index');
  await fill(path);
  const whole = await readFile(path);
  const all = await read(path);
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ (1 << (at % 8));
    await writeFile(path, changed);
    const told = await read(path);
    assert.deepEqual(told, all.slice(0, told.length), `changed at ${at}`);
    assert.ok(told.length < all.length);
  }
});

test('a log of other pages, or of something else, is begun anew', async (context) => {
  const path = join(await makeDirectory(context), 'index');
  await fill(path);
  assert.equal(await pageSizeOfLog(path), PAGE);
  assert.deepEqual(await read(path, 2 * PAGE), []);
  assert.equal(await pageSizeOfLog(path), 2 * PAGE);
  await writeFile(path, 'something else that is long enough to look at');
  assert.equal(await pageSizeOfLog(path), undefined);
  assert.deepEqual(await read(path), []);
  assert.equal(await pageSizeOfLog(path), PAGE);
  assert.equal(await pageSizeOfLog(`${path}.none`), undefined);
});

test('written anew, it has what was selected and the news, and is shorter', async (context) => {
  const path = join(await makeDirectory(context), 'index');
  const { handler } = collect();
  const log = await IndexLog.open(path, PAGE, handler, assert.ifError);
  for (let id = 0; id < 20_000; id++) {
    const record = { ...file(id), lengthBytes: id, mtimeMs: 1, lastUseS: 1 };
    log.append((builder) => builder.file({ ...record, path: `/${id}` as ByteString }));
  }
  await log.settled();
  const before = log.sizeBytes;
  assert.equal(log.needsCompaction(before, 0), false);
  assert.equal(log.needsCompaction(1000, 0), true);
  let hasNews = false;
  await log.compact((builder) => ({
    file: (record) => {
      if (record.lengthBytes % 100 === 0) builder.file(record);
      // Between two slices.
      if (record.lengthBytes === 10_000) {
        setImmediate(() => {
          log.append((news) => news.use(file(10_000), 42));
          log.flush();
          hasNews = true;
        });
      }
    },
    page: () => undefined,
    use: () => undefined,
    drop: () => undefined,
  }));
  log.append((builder) => builder.use(file(0), 43));
  await log.close();
  assert.ok(hasNews);
  assert.ok((await stat(path)).size < before / 10);
  const told = await read(path);
  assert.equal(told.filter((line) => line.startsWith('file')).length, 200);
  assert.equal(told.filter((line) => line.startsWith('use')).length, 2);
  await truncate(path, 0);
});

test('written anew again and again, it is what is read at the next start', async (context) => {
  const path = join(await makeDirectory(context), 'index');
  const log = await IndexLog.open(path, PAGE, collect().handler, assert.ifError);
  for (let id = 0; id < 3; id++) {
    log.append((builder) => builder.use(file(id), id));
    await log.compact((builder) => ({
      ...collect().handler,
      use: (used, lastUseS) => builder.use(used, lastUseS),
    }));
  }
  log.append((builder) => builder.use(file(3), 3));
  await log.close();
  const told = await read(path);
  assert.deepEqual(
    told.map((line) => line.slice(-2)),
    [' 0', ' 1', ' 2', ' 3'],
  );
});

test('whoever is told and takes its time keeps nobody from writing anew, and is told all', async (context) => {
  const path = join(await makeDirectory(context), 'index');
  const nothing = collect().handler;
  const log = await IndexLog.open(path, PAGE, nothing, assert.ifError);
  const count = 20_000;
  for (let id = 0; id < count; id++) {
    const record = { ...file(id), lengthBytes: id, mtimeMs: 1, lastUseS: 1 };
    log.append((builder) => builder.file({ ...record, path: `/${id}` as ByteString }));
  }
  await log.settled();
  const slow = collect();
  let go: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (go = resolve));
  const telling = log.tell(slow.handler, async () => await gone);
  await log.compact(() => nothing);
  const later = collect();
  await log.tell(later.handler);
  assert.equal(later.told.length, 0);
  await log.close();
  go();
  await telling;
  assert.equal(slow.told.length, count);
});
