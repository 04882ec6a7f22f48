import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { BackingIds } from './backing-ids.ts';

const directory = mkdtempSync(join(tmpdir(), 'backing-ids-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'ids.json');
const fail = (error: unknown): never => {
  throw error;
};

test('what a life leaves open is among what the next one closes, and little more', () => {
  const ids = new BackingIds(file, fail);
  ids.reset();
  const open = new Set<number>();
  for (let id = 1; id <= 10_000; id++) {
    ids.opened(id);
    open.add(id);
    // One in a thousand is held for long.
    if (id > 5 && (id - 5) % 1000 !== 0) {
      ids.closed(id - 5);
      open.delete(id - 5);
    }
  }
  const left = new Set(new BackingIds(file, fail).left());
  for (const id of open) assert.ok(left.has(id), `${id} is open and not written down`);

  for (const id of open) ids.closed(id);
  for (let id = 10_001; id <= 20_000; id++) {
    ids.opened(id);
    ids.closed(id);
  }
  assert.ok([...new BackingIds(file, fail).left()].length <= 2 * 1024);
});

test('it is written once for many opens', () => {
  const ids = new BackingIds(file, fail);
  ids.reset();
  ids.opened(2048);
  const { mtimeNs } = statSync(file, { bigint: true });
  for (let id = 2049; id < 3000; id++) {
    ids.opened(id);
    ids.closed(id);
  }
  assert.equal(statSync(file, { bigint: true }).mtimeNs, mtimeNs);
});

test('another connection begins with none, and a torn list is one of none', () => {
  const errors: unknown[] = [];
  const ids = new BackingIds(file, (error) => errors.push(error));
  ids.reset();
  assert.deepEqual([...ids.left()], []);
  for (const text of ['[1, 2', '{}', '["a", -1, 0.5]']) {
    writeFileSync(file, text);
    assert.deepEqual([...ids.left()], []);
  }
  assert.equal(errors.length, 1);
});
