/** The shapes of the sources: `-o` texts, Java property files, YAML. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { expandReferences, parseJavaProperties } from './java-properties.ts';
import { formatMountOptions, mountFlags, parseMountOptions } from './mount-flags.ts';
import { editDistance, nearest } from './suggest.ts';
import { readYaml } from './yaml-source.ts';

test('mount options read back whatever is in names and values', () => {
  const name = fc.stringMatching(/^[a-z_.]+$/);
  const value = fc.option(fc.string(), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.record({ name, value }, { noNullPrototype: true })), (words) => {
      assert.deepEqual(parseMountOptions(formatMountOptions(words)), words);
    }),
  );
});

test('mount options part at commas that are not escaped', () => {
  assert.deepEqual(parseMountOptions(String.raw`ro,a=b\,c,,x=,d=e=f\\`), [
    { name: 'ro', value: undefined },
    { name: 'a', value: 'b,c' },
    { name: 'x', value: '' },
    { name: 'd', value: 'e=f\\' },
  ]);
});

test('kernel flags begin safe, and the last word of a group wins', () => {
  assert.deepEqual(mountFlags([]), ['nosuid', 'nodev']);
  assert.deepEqual(mountFlags(['dev', 'noexec', 'noatime', 'exec']), [
    'nosuid',
    'dev',
    'noatime',
    'exec',
  ]);
});

test('java properties are read as Java reads them', () => {
  const text = [
    '# comment',
    '! comment',
    'a=1',
    'b : 2',
    'c 3',
    '  d\\=x = 4\\',
    '     5  ',
    'e = caf\\u00e9\\ttab',
    'a=last',
    'f',
    'g=\\\\',
  ].join('\r\n');
  const entries = parseJavaProperties(text);
  const values = Object.fromEntries([...entries].map(([key, { value }]) => [key, value]));
  assert.deepEqual(values, {
    a: 'last',
    b: '2',
    c: '3',
    'd=x': '45',
    e: 'café\ttab',
    f: '',
    g: '\\',
  });
  assert.equal(entries.get('a')?.line, 9);
  assert.equal(entries.get('e')?.line, 8);
});

test('references are expanded, and those that cannot be are told', () => {
  const known: Record<string, string> = { home: '/opt', dir: '${home}/x', loop: '${loop}' };
  const expand = (text: string) => expandReferences(text, (name) => known[name]);
  assert.equal(expand('file://${dir}/${home}'), 'file:///opt/x//opt');
  assert.equal(expand('${loop}'), undefined);
  assert.equal(expand('${nobody}'), undefined);
  assert.equal(expand('$plain {x}'), '$plain {x}');
});

test('yaml values are taken as written', () => {
  const { entries, errors } = readYaml(
    [
      'file-mode: 0644',
      'page-size: "4MB" # comment',
      'etcd-hosts: [a, b:1]',
      'worker-hosts:',
      '  - w1',
      '  - w2',
      'log-file:',
      'allow-other: yes',
      'uid: &id 12',
      'gid: *id',
    ].join('\n'),
  );
  assert.deepEqual(errors, []);
  assert.deepEqual(entries, [
    { key: 'file-mode', line: 1, text: '0644' },
    { key: 'page-size', line: 2, text: '4MB' },
    { key: 'etcd-hosts', line: 3, text: 'a,b:1' },
    { key: 'worker-hosts', line: 4, text: 'w1,w2' },
    { key: 'log-file', line: 7, text: undefined },
    { key: 'allow-other', line: 8, text: 'yes' },
    { key: 'uid', line: 9, text: '12' },
    { key: 'gid', line: 10, text: '12' },
  ]);
});

test('yaml that is not a flat mapping is told with its line', () => {
  const linesOf = (text: string) => readYaml(text).errors.map(({ line }) => line);
  assert.deepEqual(linesOf(''), []);
  assert.deepEqual(linesOf('# only a comment\n'), []);
  assert.deepEqual(linesOf('uid: 1\nuid: 2'), [2]);
  assert.deepEqual(linesOf('uid: 1\ncluster:\n  name: x'), [2]);
  assert.deepEqual(linesOf('- a'), [1]);
  assert.deepEqual(linesOf('a: [b'), [1]);
  assert.deepEqual(linesOf('a: [[b]]'), [1]);
});

test('no text makes a file parser throw', () => {
  const piece = fc.constantFrom('a', ':', ' ', '\n', '[', ']', '{', '}', '&', '*', '\\', '=', '"');
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: piece })), (text) => {
      readYaml(text);
      parseJavaProperties(text);
      parseMountOptions(text);
    }),
  );
});

test('suggestions are near, or not made', () => {
  assert.equal(nearest('page-sze', ['page-size', 'log-file']), 'page-size');
  assert.equal(nearest('pageSize', ['page-size', 'log-file']), 'page-size');
  assert.equal(nearest('xyz', ['page-size', 'log-file']), undefined);
  fc.assert(
    fc.property(fc.string(), fc.string(), (left, right) => {
      const distance = editDistance(left, right);
      assert.equal(distance, editDistance(right, left));
      assert.equal(distance === 0, left === right);
      assert.ok(distance <= Math.max(left.length, right.length));
    }),
  );
});
