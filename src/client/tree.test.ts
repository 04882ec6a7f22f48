import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { byteStringOfText as text, joinPath } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { storeError } from '../store/errors.ts';
import type { NodeStatus } from '../store/index.ts';
import type { Connection } from './connection.ts';
import { Scope } from './scope.ts';
import { treeOf } from './tree.ts';

interface Shape {
  readonly [name: string]: Shape | number;
}

/** Of directories and files; a number: so many files. */
function clusterOf(shape: Shape, failing: readonly string[] = [], missing: readonly string[] = []) {
  const lists: string[] = [];
  let running = 0;
  let runningMax = 0;
  const at = (path: ByteString): Shape | number =>
    path
      .split('/')
      .filter((part) => part !== '')
      .reduce((found: Shape | number, part) => (found as Shape)[part] as Shape | number, shape);
  const node = (name: string, kind: 'directory' | 'file'): NodeStatus =>
    ({ name: text(name), kind, lengthBytes: 0, mtimeMs: 0 }) as NodeStatus;
  const names = {
    async *list(path: ByteString) {
      lists.push(path);
      runningMax = Math.max(runningMax, ++running);
      for (let turns = 0; turns < 5; turns++) await turn();
      running--;
      const found = at(path);
      if (failing.includes(path)) throw storeError('unavailable', 'No worker answers', path);
      if (missing.includes(path)) throw storeError('not-found', 'No such directory', path);
      if (typeof found === 'number') {
        for (let file = 0; file < found; file++) yield [node(`f${file}`, 'file')];
      } else yield Object.keys(found).map((name) => node(name, 'directory'));
    },
  };
  const connection = { names: () => Promise.resolve(names) } as unknown as Connection;
  return { connection, lists, runningMax: (): number => runningMax };
}

async function pathsOf(connection: Connection, root = '/', maxDepth = Infinity): Promise<string[]> {
  const scope = new Scope(undefined, 1000, new AbortController().signal);
  const paths: string[] = [];
  for await (const { path } of treeOf(connection, text(root), scope, { maxDepth }))
    paths.push(path);
  return paths;
}

const WIDE = Object.fromEntries(
  Array.from({ length: 30 }, (_, index) => [`d${index}`, { a: 1, b: 2, c: 0 }]),
);

test('every directory is listed once, before what is in it, in the order of the listing', async () => {
  const { connection, lists, runningMax } = clusterOf(WIDE);
  const paths = await pathsOf(connection);
  assert.equal(paths.length, 30 + 30 * 3 + 30 * 3);
  assert.deepEqual(
    paths.slice(0, 30),
    Object.keys(WIDE).map((name) => `/${name}`),
  );
  const firstBelow = paths.slice(30, 36);
  assert.deepEqual(firstBelow, ['/d0/a', '/d0/b', '/d0/c', '/d0/a/f0', '/d0/b/f0', '/d0/b/f1']);
  assert.equal(new Set(lists).size, lists.length);
  assert.equal(lists.length, 1 + 30 + 90);
  assert.ok(runningMax() > 4 && runningMax() <= 64, `${runningMax()} listings at a time`);
});

test('nothing is listed below the depth that is asked for', async () => {
  const { connection, lists } = clusterOf(WIDE);
  await pathsOf(connection, '/', 1);
  assert.deepEqual(lists, ['/']);
});

test('a listing that fails ahead is asked for again at its turn, and fails there', async () => {
  const { connection, lists } = clusterOf({ a: 1, b: 1, c: 1 }, ['/b']);
  await assert.rejects(pathsOf(connection), { code: 'unavailable' });
  assert.equal(lists.filter((path) => path === '/b').length, 2);
});

test('a long listing is taken as it comes', async () => {
  const { connection, lists } = clusterOf({ a: 1, long: 5000 });
  assert.equal((await pathsOf(connection)).length, 2 + 1 + 5000);
  assert.equal(lists.filter((path) => path === joinPath(text('/'), text('long'))).length, 2);
});

test('a directory that is gone when its turn comes has nothing in it; the first one is missing', async () => {
  const shape = { a: { x: 1 }, b: { y: 1 }, c: { z: 1 } };
  const { connection } = clusterOf(shape, [], ['/b']);
  const expected = ['/a', '/b', '/c', '/a/x', '/a/x/f0', '/c/z', '/c/z/f0'];
  assert.deepEqual(await pathsOf(connection), expected);
  await assert.rejects(pathsOf(connection, '/b'), /No such directory/);
});
