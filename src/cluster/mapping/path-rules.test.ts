import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfText, type ByteString } from '../../base/byte-string.ts';
import { parsePathRules, PathRules } from './path-rules.ts';

const p = byteStringOfText;

test('the first rule that matches counts, with its groups', () => {
  const rules = new PathRules([
    { src: '^/a/b/c/(.*)$', dst: '/b/c/d/{{ var1 }}' },
    { src: '^/a/(.*)$', dst: '/first/{{var1}}' },
    { src: '/y/([^/]+)/([^/]+)', dst: '/{{ var2 }}/{{ var1 }}/{{var2}}' },
    { src: '^/é/(.)$', dst: '/x/{{var1}}' },
    { src: '^/up/(.*)$', dst: '/x/../{{var1}}' },
    { src: '^/maybe(/z)?$', dst: '/m{{var1}}' },
  ]);
  const rows = {
    '/a/b/c/d/e': '/b/c/d/d/e',
    '/a/b/c': '/first/b/c',
    '/a/b//c/./f': '/b/c/d/f',
    '/y/1/2': '/2/1/2',
    // The whole path, as anchors or not.
    '/y/1/2/3': '/y/1/2/3',
    '/x/y/1/2': '/x/y/1/2',
    '/é/😀': '/x/😀',
    '/up/f': '/f',
    '/maybe': '/m',
    '/maybe/z': '/m/z',
    '/other': '/other',
    '/': '/',
  };
  for (const [path, expected] of Object.entries(rows)) {
    assert.equal(rules.apply(p(path)), p(expected), path);
  }
  const bytes = '/a/\xff' as ByteString;
  assert.equal(rules.apply(bytes), bytes);
});

test('a directory leads where what is in it leads', () => {
  const rules = new PathRules([{ src: '^/v/(.*)$', dst: '/real/{{var1}}' }], ['/v', '/w/x/']);
  assert.equal(rules.apply(p('/v')), '/real');
  assert.equal(rules.apply(p('/v/')), '/real');
  assert.equal(rules.apply(p('/vv')), '/vv');
  assert.deepEqual(rules.directories, ['/v', '/w/x']);
  assert.throws(() => new PathRules([], ['v']), /is a path: "v"/);
});

test('a pattern takes no more time than its length and that of the path allow', () => {
  const rules = new PathRules([{ src: '^/(a+)+$', dst: '/x' }]);
  const path = p(`/${'a'.repeat(4_000)}b`);
  const startMs = performance.now();
  assert.equal(rules.apply(path), path);
  // A backtracking matcher would need longer than the world has been there.
  assert.ok(performance.now() - startMs < 5_000);
});

test('a name does not climb out of where its rule leads', () => {
  const rules = new PathRules([{ src: '^/([^-]*)-(.*)$', dst: '/tenant/{{var1}}/{{var2}}' }]);
  assert.equal(rules.apply(p('/a-b')), '/tenant/a/b');
  assert.equal(rules.apply(p('/...-b')), '/tenant/.../b');
  for (const path of ['/..-secret', '/a-..', '/.-b', '/..-../x']) {
    assert.throws(() => rules.apply(p(path)), /with dots/, path);
  }
});

test('a target does not grow without bound', () => {
  const rules = new PathRules([{ src: '^/(.*)$', dst: `/${'{{var1}}'.repeat(50)}` }]);
  assert.throws(() => rules.apply(p(`/${'a'.repeat(200)}`)), /too long/);
});

test("Alluxio's rule file is read, and what is wrong in it is named", () => {
  const rules = parsePathRules('{"rules":[{"src":"^/a/(.*)$","dst":"/b/{{ var1 }}"}]}');
  assert.equal(rules.apply(p('/a/f')), '/b/f');
  const later =
    '{"mappingRules":{"rules":[{"src":"^/a$","dst":"/b"}],"virtualDirectories":["/d"]}}';
  assert.equal(parsePathRules(later).apply(p('/a')), '/b');
  assert.deepEqual(parsePathRules(later).directories, ['/d']);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['{', /are JSON/],
    ['[]', /are like/],
    ['{"rules":[{"src":"x"}]}', /rule 1 needs/],
    ['{"rules":[{"src":"(","dst":"/x"}]}', /rule 1 \(\(\): .*missing/],
    ['{"rules":[{"src":"(?=a)","dst":"/x"}]}', /unsupported/],
    ['{"rules":[{"src":"^/(a)$","dst":"/{{var2}}"}]}', /no group for var2/],
    ['{"rules":[{"src":"^/(a)$","dst":"/{{name}}"}]}', /var1, var2/],
    ['{"rules":[{"src":"^/a$","dst":"x"}]}', /begin with a slash/],
    ['{"rules":[],"virtualDirectories":[1]}', /list of paths/],
  ];
  for (const [text, pattern] of wrong) assert.throws(() => parsePathRules(text), pattern, text);
});
