import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlluxioError } from './errors.ts';
import { expandBraces, matchesName, matchesParts, mayMatchBelow } from './glob.ts';

test('names match as in a shell', () => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['*.txt', 'a.txt', true],
    ['*.txt', 'a.txt.gz', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-b-b', false],
    ['?', 'é', true],
    ['?', 'ab', false],
    ['[a-c]x', 'bx', true],
    ['[!a-c]x', 'bx', false],
    ['[]x', '[]x', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
  ];
  for (const [pattern, name, expected] of cases) {
    assert.equal(matchesName(pattern, name), expected, `${pattern} ${name}`);
  }
});

test('a pattern that would make a regular expression run for years costs nothing', () => {
  const startMs = performance.now();
  assert.equal(matchesName(`${'*a'.repeat(50)}b`, 'a'.repeat(255)), false);
  assert.ok(performance.now() - startMs < 1000);
});

test('two stars stand for any number of directories', () => {
  const matches = (pattern: string, path: string): boolean =>
    matchesParts(pattern.split('/'), path.split('/'));
  assert.ok(matches('**/c', 'c'));
  assert.ok(matches('a/**/c', 'a/b/b/c'));
  assert.ok(!matches('a/**/c', 'b/c'));
  assert.ok(matches('**', 'a/b'));
  assert.ok(!matches('*', 'a/b'));
});

test('directories are left out where nothing below can match', () => {
  const below = (pattern: string, path: string): boolean =>
    mayMatchBelow(pattern.split('/'), path.split('/'));
  assert.ok(below('a/*/c', 'a/x'));
  assert.ok(!below('a/*/c', 'b'));
  assert.ok(!below('a/*', 'a/x'));
  assert.ok(below('a/**/c', 'a/x/y/z'));
  assert.ok(!below('a/**', 'b/x'));
});

test('braces are alternatives, in their order, and bounded', () => {
  assert.deepEqual(expandBraces('/{a,b}/{1,2}'), ['/a/1', '/a/2', '/b/1', '/b/2']);
  assert.deepEqual(expandBraces('{a,{b,c}}'), ['a', 'b', 'c']);
  assert.deepEqual(expandBraces('{a}'), ['{a}']);
  assert.throws(() => expandBraces('{1,2}'.repeat(20)), AlluxioError);
});
