import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byteStringOfText } from '../../base/byte-string.ts';
import { MountTable, parseMount } from './mount-table.ts';

const p = byteStringOfText;
const tableOf = (...mounts: string[]): MountTable => new MountTable(mounts.map(parseMount));

const nested = tableOf(
  '/=file:///data',
  '/s3=s3://bucket/prefix',
  '/s3/deep/er=hdfs://nn:8020/x',
  '/a/b=s3://other',
);

test('the longest prefix wins, whole names only', () => {
  const rows = {
    '/': 'file:///data',
    '/x/y': 'file:///data/x/y',
    '/s3': 's3://bucket/prefix',
    '/s3/': 's3://bucket/prefix',
    '/s3/a/é': 's3://bucket/prefix/a/é',
    '/s3x': 'file:///data/s3x',
    '/s3/deep': 's3://bucket/prefix/deep',
    '/s3/deep/er': 'hdfs://nn:8020/x',
    '/s3/deep/er/f': 'hdfs://nn:8020/x/f',
    '/s3/deep/err': 's3://bucket/prefix/deep/err',
    '/a': 'file:///data/a',
    '/a/b': 's3://other/',
    '/a/b/c': 's3://other/c',
    '/a/b/../c': 'file:///data/a/c',
  };
  for (const [path, uri] of Object.entries(rows)) {
    assert.equal(nested.resolve(p(path))?.ufsPath, p(uri), path);
  }
});

test('a URI has the path that shows it, and no other', () => {
  const rows: Readonly<Record<string, string | undefined>> = {
    'file:///data': '/',
    'file:/data/x': '/x',
    's3://bucket/prefix/a/é': '/s3/a/é',
    's3://bucket/prefix/': '/s3',
    's3://bucket/prefixed': undefined,
    's3://bucket': undefined,
    's3://other': '/a/b',
    's3://other/c//d': '/a/b/c/d',
    'hdfs://nn:8020/x/f': '/s3/deep/er/f',
    // Hidden below the mounts that lie over them.
    's3://bucket/prefix/deep/er/f': undefined,
    'file:///data/s3/a': undefined,
    '/no/uri': undefined,
  };
  for (const [uri, path] of Object.entries(rows)) {
    assert.equal(nested.pathOf(p(uri)), path === undefined ? undefined : p(path), uri);
  }
});

test('one place under two paths has the shorter one as its name', () => {
  const table = tableOf('/long/er=s3://b/x', '/s=s3://b/x', '/all=s3://b');
  assert.equal(table.pathOf(p('s3://b/x/f')), '/s/f');
  assert.equal(table.pathOf(p('s3://b/y')), '/all/y');
});

test('mount points, and what leads to them, are names of their directories', () => {
  assert.deepEqual(nested.directories.namesIn(p('/')), ['a', 's3']);
  assert.deepEqual(nested.directories.namesIn(p('/s3')), ['deep']);
  assert.deepEqual(nested.directories.namesIn(p('/s3/deep')), ['er']);
  assert.deepEqual(nested.directories.namesIn(p('/s3/deep/er')), []);
  assert.deepEqual(nested.directories.namesIn(p('/x')), []);
  for (const path of ['/', '/a', '/a/b', '/s3/deep']) {
    assert.equal(nested.isMountedDirectory(p(path)), true, path);
  }
  for (const path of ['/x', '/a/b/c', '/s3/dee']) {
    assert.equal(nested.isMountedDirectory(p(path)), false, path);
  }
});

test('without a mount of the root, paths beside the mounts are nowhere', () => {
  const table = tableOf('/s3=s3://b');
  assert.equal(table.resolve(p('/')), undefined);
  assert.equal(table.resolve(p('/other')), undefined);
  assert.deepEqual(table.directories.namesIn(p('/')), ['s3']);
});

test('what is no mount is refused with a reason', () => {
  for (const text of ['s3=s3://b', '/s3', '/s3=', '/s3=b', '/s3=s3://', '=s3://b']) {
    assert.throws(() => parseMount(text), RangeError, text);
  }
  assert.throws(() => tableOf('/a=s3://b', '/a/=s3://c'), /Two mounts at \/a/);
});

test('a single root is what it always was', () => {
  const table = MountTable.ofRoot('s3://b/pre');
  assert.equal(table.resolve(p('/d/f'))?.ufsPath, 's3://b/pre/d/f');
  assert.deepEqual(table.directories.namesIn(p('/')), []);
});

test('from any path to its URI and back', () => {
  const part = fc.constantFrom('a', 'b', 's3', 'deep', 'er', 'x y', 'é', '?');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const path = p(`/${parts.join('/')}`);
      const uri = nested.resolve(path)?.ufsPath;
      assert.ok(uri !== undefined);
      assert.equal(nested.pathOf(uri), path);
    }),
  );
});

test('a change needs a place for itself, its record and its upload', () => {
  const rootless = tableOf('/s3=s3://b', '/teams/a=s3://c');
  const rows: Readonly<Record<string, boolean>> = {
    '/s3/f': true,
    '/s3/d/f': true,
    '/s3': false,
    '/': false,
    '/f': false,
    '/teams': false,
    '/teams/a': false,
    // Its upload would come to /teams first.
    '/teams/a/f': false,
  };
  for (const [path, expected] of Object.entries(rows)) {
    assert.equal(rootless.takesChanges(p(path)), expected, path);
  }
  for (const path of ['/', '/f', '/s3', '/s3/f', '/a/b/c']) {
    assert.ok(nested.takesChanges(p(path)), path);
  }
});
