import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDirectory, makePrivateDirectory } from './private-directory.ts';

const root = mkdtempSync(join(tmpdir(), 'alluxio-fuse-private-'));
after(() => rmSync(root, { recursive: true, force: true }));
const notRoot = process.getuid?.() === 0 ? false : 'not root';

test('makes what is missing on the way, for us alone', () => {
  const path = join(root, 'a', 'b', 'c');
  makePrivateDirectory(path);
  makePrivateDirectory(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});

test('where others may write in a directory of ours, they may not any more', () => {
  const path = join(root, 'open');
  mkdirSync(path);
  chmodSync(path, 0o2777);
  makePrivateDirectory(path);
  assert.equal(statSync(path).mode & 0o7777, 0o2755);
});

test('where they may write in one of somebody else, it is refused', { skip: notRoot }, () => {
  const path = join(root, 'theirs');
  mkdirSync(path);
  chownSync(path, 12_345, 12_345);
  chmodSync(path, 0o777);
  assert.throws(() => makePrivateDirectory(path), /others may write in .*theirs \(mode 777\)/);
});

test('so is one of somebody else in a place for all', { skip: notRoot }, () => {
  const shared = join(root, 'for-all');
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  const path = join(shared, 'theirs');
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, 12_345, 12_345);
  assert.throws(() => makePrivateDirectory(path), /belongs to user 12345/);
});

test('and one below it, where anybody could have made the upper one', { skip: notRoot }, () => {
  const shared = join(root, 'shared');
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  const theirs = join(shared, 'first');
  mkdirSync(theirs);
  chownSync(theirs, 12_345, 12_345);
  assert.throws(() => makePrivateDirectory(join(theirs, 'ours')), /first belongs to user 12345/);
});

test('a name that is taken by a file is an error', () => {
  assert.throws(() => makeDirectory('/dev/null/x', 0o700), { code: 'ENOTDIR' });
});
