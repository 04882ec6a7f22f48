import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { ByteString } from '../base/byte-string.ts';
import { silentLogger } from '../base/logger.ts';
import { decodeAttributeFile, encodeAttributeFile } from './attribute-json.ts';
import { FileJournalDisk } from './journal-disk.ts';
import { lockJournal } from './journal-lock.ts';
import { Journal } from './journal.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'alluxio-fuse-journal-'));
});
after(() => rm(directory, { recursive: true, force: true }));

const open = (name: string): Promise<Journal> =>
  Journal.open(new FileJournalDisk(join(directory, name)), silentLogger);

const kept = (id: string, stagingName: string) => ({
  kind: 'kept' as const,
  id,
  value: { stagingName },
});

test('entries survive a restart, ended ones do not', async () => {
  const journal = await open('plain');
  await Promise.all([
    journal.apply([kept('a', '1'), kept('b', '2')]),
    journal.apply([{ kind: 'kept', id: 'a' }], true),
    journal.apply([kept('\xe4\xff', '3')]),
  ]);
  await journal.close();
  const again = await open('plain');
  assert.deepEqual(
    [...again.entries('kept')],
    [
      ['b', { stagingName: '2' }],
      ['\xe4\xff', { stagingName: '3' }],
    ],
  );
  await again.close();
});

test('a line that was torn at any byte is left out as a whole, those before it are not', async () => {
  const path = join(directory, 'torn');
  const journal = await open('torn');
  await journal.apply([kept('a', '1')]);
  const whole = await readFile(path);
  await journal.apply([kept('b', '2'), { kind: 'kept', id: 'a' }]);
  await journal.close();
  const longer = await readFile(path);
  for (let length = whole.length; length < longer.length; length++) {
    await writeFile(path, longer.subarray(0, length));
    const again = await open('torn');
    assert.deepEqual([...again.entries('kept').keys()], ['a'], `${length} bytes`);
    await again.close();
  }
});

test('a damaged line in the middle costs only itself', async () => {
  const path = join(directory, 'damaged');
  const journal = await open('damaged');
  await journal.apply([kept('a', '1')]);
  await appendFile(path, '00000000 [{"kind":"kept","id":"x","value":{}}]\n');
  await journal.apply([kept('b', '2')]);
  await journal.close();
  const again = await open('damaged');
  assert.deepEqual([...again.entries('kept').keys()], ['a', 'b']);
  await again.close();
});

test('the file stays bounded however long it is in use', async () => {
  const journal = await open('bounded');
  for (let round = 0; round < 100; round++) {
    const id = `${round % 3}`;
    await journal.apply([kept(id, 'x'.repeat(50_000))]);
  }
  const { size } = await stat(join(directory, 'bounded'));
  assert.ok(size < 1_400_000, `${size}`);
  assert.equal(journal.entries('kept').size, 3);
  await journal.close();
  const again = await open('bounded');
  assert.equal(again.entries('kept').size, 3);
  await again.close();
});

test('what a full disk refused is refused, and not there after a restart', async () => {
  const disk = new FileJournalDisk(join(directory, 'full'));
  let isFull = false;
  const append = disk.append.bind(disk);
  disk.append = async (bytes) => {
    if (!isFull) return append(bytes);
    await append(bytes.subarray(0, 20));
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  const journal = await Journal.open(disk, silentLogger);
  await journal.apply([kept('a', '1')]);
  isFull = true;
  await assert.rejects(journal.apply([kept('b', '2')]), { code: 'no-space' });
  isFull = false;
  await journal.apply([kept('c', '3')]);
  await journal.close();
  const again = await open('full');
  assert.deepEqual([...again.entries('kept').keys()], ['a', 'c']);
  await again.close();
});

test('a disk that is full but for what was set aside takes what uploads need, and no promises', async () => {
  const path = join(directory, 'short');
  const disk = new FileJournalDisk(path);
  const full = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
  let isShort = false;
  Object.defineProperty(disk, 'isShort', { get: () => isShort });
  const replace = disk.replace.bind(disk);
  disk.replace = (bytes) => (isShort ? full() : replace(bytes));
  const journal = await Journal.open(disk, silentLogger);
  await journal.apply([kept('a', '1')], true);
  isShort = true;
  await assert.rejects(journal.promise([kept('b', '2')]), { code: 'no-space' });
  // More than is rewritten otherwise: that must wait, and hold nothing up.
  for (let round = 0; round < 30; round++) await journal.apply([kept('c', 'x'.repeat(50_000))]);
  await journal.apply([{ kind: 'kept', id: 'a' }]);
  await journal.close();
  await appendFile(path, 'torn');
  const again = await Journal.open(disk, silentLogger);
  assert.deepEqual([...again.entries('kept').keys()], ['c']);
  await again.apply([kept('d', '3')]);
  isShort = false;
  await again.apply([kept('e', '4')], true);
  await again.close();
  const last = await open('short');
  assert.deepEqual([...last.entries('kept').keys()], ['c', 'd', 'e']);
  await last.close();
});

test('a journal of another version is not touched', async () => {
  const path = join(directory, 'other');
  const journal = await open('other');
  await journal.close();
  const json = '{"format":"alluxio-fuse journal","version":2}';
  const { crc32 } = await import('node:zlib');
  const line = `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
  await writeFile(path, line);
  await assert.rejects(open('other'), { code: 'invalid' });
  assert.equal(await readFile(path, 'utf8'), line);
});

test('the lock of a live process holds, that of a dead one does not', async () => {
  const path = join(directory, 'lock');
  // The process that started this one lives as long as this test.
  const parent = await readFile(`/proc/${process.ppid}/stat`, 'utf8');
  const startTicks = parent.slice(parent.lastIndexOf(')') + 2).split(' ')[19];
  await writeFile(path, `${process.ppid} ${startTicks}`);
  await assert.rejects(lockJournal(path), { code: 'unavailable' });
  await writeFile(path, `${process.ppid} 1`);
  const unlock = await lockJournal(path);
  await unlock();
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('the lock of a process that nobody has waited for does not hold', async () => {
  // Becomes a program that does not know of its child, which ends when its input does.
  const parent = spawn('sh', ['-c', 'cat <&3 >/dev/null & echo $!; exec sleep 30'], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
  });
  try {
    const pid = Number(await once(parent.stdout as Readable, 'data'));
    const fields = async (): Promise<string[]> => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8');
      return text.slice(text.lastIndexOf(')') + 2).split(' ');
    };
    const path = join(directory, 'zombie-lock');
    await writeFile(path, `${pid} ${(await fields())[19]}`);
    await assert.rejects(lockJournal(path), { code: 'unavailable' });
    (parent.stdio[3] as Writable).end();
    while ((await fields())[0] !== 'Z') await setImmediate();
    const unlock = await lockJournal(path);
    await unlock();
  } finally {
    parent.kill();
  }
});

test('an attribute file says all that records hold, and tells when a part of it is missing', () => {
  const name = (text: string): ByteString => text as ByteString;
  const records = new Map([
    [
      name('plain'),
      { mode: 0o4755, uid: 1, gid: 2, timesOf: { lengthBytes: 3, mtimeMs: 4.5 }, mtimeMs: -5 },
    ],
    [name('\xff\xfe'), { kind: 'symlink' as const, target: name('\xe4/..\n') }],
    [name('x'), { xattrs: new Map([[name('user.\xff'), Buffer.from([0, 255])]]) }],
  ]);
  const file = encodeAttributeFile(records);
  const { records: found, damage } = decodeAttributeFile(file);
  assert.equal(damage, undefined);
  assert.deepEqual(found, records);
  for (let length = 0; length < file.length; length++) {
    assert.notEqual(decodeAttributeFile(file.subarray(0, length)).damage, undefined, `${length}`);
  }
});
