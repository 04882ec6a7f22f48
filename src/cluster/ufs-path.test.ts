import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText } from '../base/byte-string.ts';
import { normaliseAlluxioPath, parseUfsRoot, ufsPathOf } from './ufs-path.ts';

test('UFS paths are what Alluxio 313 itself makes of root and path', () => {
  // Every row was printed by PathUtils.convertAlluxioPathToUfsPath of the real jars.
  const rows: readonly (readonly [string, string, string])[] = [
    ['/data', '/', '/data'],
    ['/data', '/d', '/data/d'],
    ['file:///data', '/', 'file:///data'],
    ['file:///data', '/d/x y', 'file:///data/d/x y'],
    ['file:/data', '/d', 'file:///data/d'],
    ['file:///data/', '/d/a%20b', 'file:///data/d/a%20b'],
    ['file:///data', '/d/a:b', 'file:///data/d/a:b'],
    ['file:///data', '/data/x', 'file:///data/data/x'],
    ['file:///', '/', 'file:///'],
    ['file:///', '/d', 'file:///d'],
    ['file:///a//b/../c/./d/', '/dir/f', 'file:///a/c/d/dir/f'],
    ['s3://b', '/', 's3://b/'],
    ['s3://b', '/d', 's3://b/d'],
    ['s3://b/', '/', 's3://b/'],
    ['s3://b/', '/d', 's3://b/d'],
    ['s3://b/pre/', '/', 's3://b/pre'],
    ['s3://b/pre/', '/d/é', 's3://b/pre/d/é'],
    ['hdfs://h:9000/a//', '/dir/f', 'hdfs://h:9000/a/dir/f'],
    ['S3://B/x', '/f', 'S3://B/x/f'],
  ];
  for (const [root, path, expected] of rows) {
    assert.equal(
      ufsPathOf(parseUfsRoot(root), byteStringOfText(path)),
      byteStringOfText(expected),
      `${root} + ${path}`,
    );
  }
});

test('local roots tell their directory, others do not', () => {
  assert.equal(parseUfsRoot('file:///tmp/x/').localPath, '/tmp/x');
  assert.equal(parseUfsRoot('/tmp/x').localPath, '/tmp/x');
  assert.equal(parseUfsRoot('/tmp/x').scheme, 'file');
  assert.equal(parseUfsRoot('s3://b/x').localPath, undefined);
});

test('a root that says no place is refused', () => {
  for (const text of ['', 'data', 'file://host/x', 's3://', 's3:', 's3://b/x?y', 'file:x']) {
    assert.throws(() => parseUfsRoot(text), RangeError, text);
  }
});

test('paths are resolved as POSIX does, other bytes stay', () => {
  const cases = { '//a///b/': '/a/b', '/a/./b/../c': '/a/c', '/../x': '/x', '/': '/', '/..': '/' };
  for (const [path, expected] of Object.entries(cases)) {
    assert.equal(normaliseAlluxioPath(path as ByteString), expected);
  }
  const odd = '/a/..b/.c/d./\\x?y\xff' as ByteString;
  assert.equal(normaliseAlluxioPath(odd), odd);
  assert.throws(() => normaliseAlluxioPath('a' as ByteString), RangeError);
});
