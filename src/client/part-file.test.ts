import assert from 'node:assert/strict';
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { PART_PREFIX, PartFile } from './part-file.ts';

const MIB = 1024 * 1024;
const LENGTH = 40 * MIB;
const FINISH = { replaced: undefined, mode: 0o644, mtime: '1600000000' };

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'part-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const partPath = (): string => join(directory, `${PART_PREFIX}id`);
const target = (): string => join(directory, 'target');
const openPart = (lengthBytes = LENGTH, mode = 0o600): Promise<PartFile> =>
  PartFile.open(Buffer.from(directory), 'id', lengthBytes, mode);

async function fill(part: PartFile, until: number): Promise<void> {
  for (let at = part.startBytes; at < until; at += MIB) {
    await part.write(Buffer.alloc(Math.min(MIB, until - at), at / MIB + 1), at);
  }
}

test('a part is believed only as far as it is on the disk for certain', async () => {
  const first = await openPart();
  assert.equal(first.startBytes, 0);
  await fill(first, 36 * MIB);
  await first.close();
  // What a power failure leaves of bytes that never reached the disk: their length, and zeros.
  const bytes = readFileSync(partPath());
  writeFileSync(partPath(), Buffer.concat([bytes.subarray(0, 20 * MIB), Buffer.alloc(16 * MIB)]));
  const second = await openPart();
  assert.equal(second.startBytes, 20 * MIB);
  await fill(second, LENGTH);
  await second.publish(Buffer.from(target()), LENGTH, FINISH);
  await second.close();
  const whole = readFileSync(target());
  for (let at = 0; at < LENGTH; at += MIB) assert.equal(whole[at], at / MIB + 1);
  assert.deepEqual(readdirSync(directory), ['target']);
});

test('what is too short or too long is not published, nor taken for a beginning', async () => {
  const part = await openPart();
  await fill(part, 30 * MIB);
  const to = Buffer.from(target());
  await assert.rejects(part.publish(to, LENGTH, FINISH), { code: 'local' });
  await part.close();
  truncateSync(partPath(), LENGTH + 1);
  const again = await openPart();
  assert.equal(again.startBytes, 0);
  await again.close();
  assert.equal(statSync(partPath()).size, 0);
});

test('what lies in wait under the name of the part is neither written nor published', async () => {
  const victim = join(directory, 'victim');
  for (const lay of [() => symlinkSync(victim, partPath()), () => linkSync(victim, partPath())]) {
    writeFileSync(victim, 'precious');
    lay();
    const part = await openPart(3, 0o644);
    await part.write(Buffer.from('abc'), 0);
    await part.publish(Buffer.from(target()), 3, FINISH);
    await part.close();
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.equal(readFileSync(target(), 'utf8'), 'abc');
    assert.equal(statSync(target()).nlink, 1);
    rmSync(partPath());
    assert.deepEqual(readdirSync(directory).sort(), ['target', 'victim']);
  }
});

test('a part that was exchanged is not published', async () => {
  const part = await openPart(3);
  await part.write(Buffer.from('abc'), 0);
  rmSync(partPath());
  writeFileSync(partPath(), 'xyz');
  const publish = part.publish(Buffer.from(target()), 3, FINISH);
  await assert.rejects(publish, /removed or replaced/);
  await part.close();
  assert.deepEqual(readdirSync(directory), [`${PART_PREFIX}id`]);
});

test('of two that fill one part, both find the target right', async () => {
  const [one, other] = [await openPart(3), await openPart(3)];
  for (const part of [one, other]) await part.write(Buffer.from('abc'), 0);
  for (const part of [one, other]) await part.publish(Buffer.from(target()), 3, FINISH);
  for (const part of [one, other]) await part.close();
  assert.equal(readFileSync(target(), 'utf8'), 'abc');
  assert.equal(statSync(target()).mtimeMs, 1_600_000_000_000);
});

test('the mode of what is replaced stays, and a new file has no more than was said', async () => {
  writeFileSync(target(), 'old', { mode: 0o604 });
  const replaced = statSync(target());
  const part = await openPart(3);
  await part.write(Buffer.from('abc'), 0);
  await part.publish(Buffer.from(target()), 3, { ...FINISH, replaced });
  await part.close();
  assert.equal(statSync(target()).mode & 0o777, 0o604);
  const readOnly = await openPart(0, 0o444);
  assert.equal(statSync(partPath()).mode & 0o777, 0o644);
  await readOnly.publish(Buffer.from(join(directory, 'read')), 0, { ...FINISH, mode: 0o444 });
  await readOnly.close();
  assert.equal(statSync(join(directory, 'read')).mode & 0o777, 0o444);
  const made = await openPart(0, 0o666);
  await made.publish(Buffer.from(join(directory, 'made')), 0, { ...FINISH, mode: 0o640 });
  await made.close();
  assert.equal(statSync(join(directory, 'made')).mode & 0o777, 0o640);
});
