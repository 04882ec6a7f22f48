import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText } from '../base/byte-string.ts';
import { murmur3 } from './murmur3.ts';
import { Ring } from './ring.ts';
import type { Worker } from './types.ts';
import { identifierOfHost, workerIdText } from './worker-identity.ts';

function workerOf(identifier: string, version = 1): Worker {
  const id = workerIdText(version, identifier);
  return { id, identifier, version, host: id, httpPort: 28080, s3Port: 29998 };
}

const hosts = ['worker1', 'worker2', 'worker3'] as const;
const three = hosts.map((host) => ({ ...workerOf(identifierOfHost(host)), host }));

function hostsFor(ring: Ring, key: string, count = 3): string[] {
  return ring.workersFor(byteStringOfText(key), count).map((worker) => worker.host);
}

test('murmur3 gives the published values', () => {
  assert.equal(murmur3('' as ByteString), 0);
  assert.equal(murmur3('a' as ByteString), 1009084850);
  assert.equal(murmur3('hello' as ByteString), 613153351);
});

test('host names become the identities of the static membership', () => {
  assert.deepEqual(
    three.map((worker) => worker.id),
    [
      'worker-ebad6414-9cc7-37ba-a6ef-069819279fd5',
      'worker-01925b78-92e2-3a19-8993-afdd20a7c761',
      'worker-b504f5a7-46de-3fd3-a78b-9c85c20ca653',
    ],
  );
});

test('points of three workers at 5 virtual nodes are those of Alluxio', () => {
  const expected = {
    worker1: [1582892386, 138868292, 741530990, -680699647, 657120561],
    worker2: [-36601180, -1025292451, 1946073326, 327488655, 739076151],
    worker3: [1407540905, -1273487460, 1842680983, 1371558004, -668249240],
  };
  const points = new Ring(three, { virtualNodes: 5 }).points();
  for (const host of hosts) {
    const own = points.filter((point) => point.worker.host === host).map((point) => point.hash);
    assert.deepEqual(
      own,
      [...expected[host]].sort((a, b) => a - b),
    );
  }
});

test('a V0 identity hashes its 8 bytes and its version', () => {
  const worker = workerOf('000000000000002a', 0);
  assert.equal(worker.id, 'worker-42');
  assert.equal(workerIdText(0, 'ffffffffffffffff'), 'worker--1');
  assert.deepEqual(
    new Ring([worker], { virtualNodes: 3 }).points().map((point) => point.hash),
    [-1492202350, -99490761, 752591040],
  );
});

test('keys find the workers that Alluxio finds, in order', () => {
  const names = (order: readonly number[]): string[] => order.map((n) => `worker${n}`);
  const vectors = [
    { key: 'file:///data/a', v5: [3, 2, 1], v2000: [1, 2, 3] },
    { key: 's3://bucket/dir/file.bin', v5: [1, 3, 2], v2000: [1, 3, 2] },
    { key: 's3://bucket/dir', v5: [3, 2, 1], v2000: [2, 1, 3] },
    { key: 's3://bucket/数据.txt', v5: [3, 2, 1], v2000: [1, 2, 3] },
  ];
  const five = new Ring(three, { virtualNodes: 5 });
  const many = new Ring(three, { virtualNodes: 2000 });
  for (const { key, v5, v2000 } of vectors) {
    assert.deepEqual(hostsFor(five, key), names(v5), key);
    assert.deepEqual(hostsFor(many, key), names(v2000), key);
    assert.equal(five.ownerOf(byteStringOfText(key))?.host, `worker${v5[0]}`);
  }
});

test('a key past the last signed point wraps to the first', () => {
  assert.deepEqual(hostsFor(new Ring(three, { virtualNodes: 5 }), 's3://b/f47', 1), ['worker3']);
  assert.deepEqual(hostsFor(new Ring(three, { virtualNodes: 2000 }), 's3://b/f2045', 1), [
    'worker3',
  ]);
});

test('a key past the last unsigned point wraps as well', () => {
  // The points are kept unsigned: the seam of our array is at -1/0, not at Java's.
  const ring = new Ring(three, { virtualNodes: 5 });
  const last = -36601180;
  let checked = 0;
  for (let i = 0; checked < 3; i += 1) {
    const key = byteStringOfText(`s3://b/seam${i}`);
    const hash = murmur3((key + '\u0001\0\0\0') as ByteString);
    if (hash >= 0 || hash <= last) continue;
    assert.equal(ring.ownerOf(key)?.host, 'worker1', 'the point 138868292 follows');
    checked += 1;
  }
});

test('a count beyond the workers is clamped, and an empty ring has no owner', () => {
  assert.equal(hostsFor(new Ring(three, { virtualNodes: 5 }), 'k', 99).length, 3);
  assert.deepEqual(hostsFor(new Ring(three, { virtualNodes: 5 }), 'k', 0), []);
  const empty = new Ring([], { virtualNodes: 5 });
  assert.deepEqual(empty.workersFor('k' as ByteString, 3), []);
  assert.equal(empty.ownerOf('k' as ByteString), undefined);
  assert.throws(() => new Ring(three, { virtualNodes: 0 }), RangeError);
});

test('colliding points go to the worker inserted last', () => {
  const twin = { ...three[0], id: 'twin' } as Worker;
  const ring = new Ring([three[0] as Worker, twin], { virtualNodes: 5 });
  assert.deepEqual([...new Set(ring.points().map((point) => point.worker.id))], ['twin']);
  assert.equal(ring.points().length, 5);
});

test('lookup equals a plain search over the sorted points', () => {
  // Goal: the bucket index never skips the point that a linear search finds.
  const workers = Array.from({ length: 37 }, (_, i) => workerOf(identifierOfHost(`host-${i}`)));
  for (const virtualNodes of [1, 2, 5, 100, 2000]) {
    const ring = new Ring(workers, { virtualNodes });
    const points = ring.points();
    for (let i = 0; i < 500; i += 1) {
      const key = byteStringOfText(`file:///data/${virtualNodes}/${i}`);
      const hash = murmur3((key + '\u0001\0\0\0') as ByteString);
      const expected = points.find((point) => point.hash >= hash) ?? points[0];
      assert.equal(ring.ownerOf(key), expected?.worker);
    }
  }
});

const golden = fileURLToPath(new URL('../../../../shared/golden/', import.meta.url));
const skip = existsSync(golden) ? false : 'the golden ring data (../shared/golden) is not here';

test('golden data: identities, points and placements', { skip }, () => {
  type Identity = { version: number; identifier: string };
  const load = (name: string): unknown => JSON.parse(readFileSync(`${golden}${name}`, 'utf8'));
  const names = load('workerHostnames.json') as string[];
  const identities = load('workerList.json') as Identity[];
  const points = load('activeNodesMap.json') as Record<string, Identity>;
  const placements = load('fileUrlWorkers.json') as Record<string, Identity[]>;

  assert.deepEqual(
    new Set(names.map(identifierOfHost)),
    new Set(identities.map((identity) => identity.identifier)),
  );
  const workers = identities.map(({ identifier, version }) => workerOf(identifier, version));
  const ring = new Ring(workers, { virtualNodes: 5 });
  const ours = ring.points();
  assert.equal(ours.length, 250);
  assert.equal(Object.keys(points).length, 250);
  for (const { hash, worker } of ours) {
    assert.equal(points[String(hash)]?.identifier, worker.identifier);
  }
  assert.equal(Object.keys(placements).length, 21);
  for (const [key, expected] of Object.entries(placements)) {
    const found = ring.workersFor(byteStringOfText(key), expected.length);
    assert.deepEqual(
      found.map((worker) => worker.identifier),
      expected.map((identity) => identity.identifier),
      key,
    );
  }
});
