import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { byteStringOfText, parentOf, type ByteString } from '../../base/byte-string.ts';
import { silentLogger, type Logger } from '../../base/logger.ts';
import { Ring } from '../ring.ts';
import { workersOf } from '../testing/workers.ts';
import type { Worker } from '../types.ts';
import { ListingRenewals } from './listing-renewals.ts';

const path = byteStringOfText;
const ufsPathOf = (at: ByteString): ByteString => `file:///r${at === '/' ? '' : at}` as ByteString;

const workers = workersOf(3);

interface Look {
  readonly directory: ByteString;
  readonly path: ByteString;
  readonly worker: Worker;
  end(error?: Error): void;
}

/** Looks that end when the test says so. */
function setUp(rings = [new Ring(workers, { virtualNodes: 5 })]) {
  const looks: Look[] = [];
  const warnings: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (fields: object) => warnings.push(JSON.stringify(fields)),
  };
  const renewals = new ListingRenewals({
    rings: () => rings,
    ufsPathOf,
    lookUp: (worker, at, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('cancelled')));
        const end = (error?: Error): void => {
          if (error === undefined) resolve(undefined);
          else reject(error);
        };
        looks.push({ directory: parentOf(at.path), path: at.path, worker, end });
      }),
    logger,
  });
  const look = async (index: number): Promise<Look> => {
    const deadlineMs = performance.now() + 5_000;
    while (looks[index] === undefined && performance.now() < deadlineMs) await turn();
    return looks[index] ?? assert.fail(`No look ${index}`);
  };
  return { renewals, looks, look, warnings };
}

test('looks at a hidden name that has the same owner as its directory, at the owner', async () => {
  const ring = new Ring(workers, { virtualNodes: 5 });
  const { renewals, look } = setUp([ring]);
  const directories = ['/', '/b', '/b/c', '/b/c/d', '/x/y'].map(path);
  for (const [i, directory] of directories.entries()) {
    renewals.changed(directory);
    const found = await look(i);
    const { worker, path: looked, directory: inside } = found;
    assert.equal(inside, directory);
    assert.match(looked, /\/\.alluxio-fuse-look-/);
    assert.equal(ring.ownerOf(ufsPathOf(directory))?.id, worker.id);
    assert.equal(ring.ownerOf(ufsPathOf(looked))?.id, worker.id);
    found.end();
  }
  await renewals.close();
});

test('while two rings may be the right one, looks at a name that fits each', async () => {
  const rings = [5, 2000].map((virtualNodes) => new Ring(workers, { virtualNodes }));
  for (let i = 0; i < 10; i += 1) {
    const { renewals, looks, look } = setUp(rings);
    const directory = path(`/b/${i}`);
    renewals.changed(directory);
    (await look(0)).end();
    // One name may fit both: then there is no second look.
    const closed = renewals.close().then(() => true);
    while (!(await Promise.race([closed, turn(false)]))) looks[1]?.end();
    for (const ring of rings) {
      const owner = ring.ownerOf(ufsPathOf(directory));
      assert.ok(looks.some((done) => ring.ownerOf(ufsPathOf(done.path)) === owner));
    }
  }
});

test('many changes while one look is under way cost one more, however many they are', async () => {
  const { renewals, looks, look } = setUp();
  for (let i = 0; i < 5_000; i += 1) renewals.changed(path('/b'));
  (await look(0)).end();
  for (let i = 0; i < 5_000; i += 1) renewals.changed(path('/b'));
  const closed = renewals.close();
  (await look(1)).end();
  await closed;
  assert.equal(looks.length, 2);
});

test('a look that fails is repeated, and in the end it is said', async () => {
  const { renewals, looks, look, warnings } = setUp();
  renewals.changed(path('/b'));
  (await look(0)).end(new Error('busy'));
  (await look(1)).end();
  await renewals.close();
  assert.equal(looks.length, 2);
  assert.deepEqual(warnings, []);
});

test('says since when workers have not heard of a change, until a look that began after it', async () => {
  const { renewals, look } = setUp();
  const sinceMs = (): number | undefined => renewals.oldSinceMs(path('/b'));
  assert.equal(sinceMs(), undefined);
  renewals.changed(path('/b'));
  const firstMs = sinceMs() ?? assert.fail('is known to all');
  const first = await look(0);
  await delay(5);
  renewals.changed(path('/b'));
  assert.equal(sinceMs(), firstMs);
  first.end();
  await turn();
  const secondMs = sinceMs() ?? assert.fail('the second change is known to all');
  assert.ok(secondMs > firstMs);
  const second = await look(1);
  assert.equal(sinceMs(), secondMs);
  second.end();
  await turn();
  assert.equal(sinceMs(), undefined);
  await renewals.close();
});

test('a later change of a directory does not make one younger that no worker could be told of', async () => {
  const { renewals, look } = setUp();
  renewals.changed(path('/b'));
  const sinceMs = renewals.oldSinceMs(path('/b'));
  let tries = 0;
  for (; tries < 7; tries += 1) (await look(tries)).end(new Error('busy'));
  await turn();
  assert.equal(renewals.oldSinceMs(path('/b')), sinceMs);
  renewals.changed(path('/b'));
  assert.equal(renewals.oldSinceMs(path('/b')), sinceMs);
  (await look(tries)).end();
  await turn();
  assert.equal(renewals.oldSinceMs(path('/b')), undefined);
  await renewals.close();
});

test('changes while no worker answers do not make the oldest one younger, nor stay when all is told', async () => {
  const { renewals, look } = setUp();
  const directory = path('/b');
  renewals.changed(directory);
  const sinceMs = renewals.oldSinceMs(directory);
  let done = 0;
  const fail = async (): Promise<void> => (await look(done++)).end(new Error('busy'));
  for (let i = 0; i < 6; i += 1) await fail();
  await look(6);
  renewals.changed(directory);
  await fail();
  // The second round.
  await look(done);
  assert.equal(renewals.oldSinceMs(directory), sinceMs);
  renewals.changed(directory);
  await fail();
  await look(done);
  assert.equal(renewals.oldSinceMs(directory), sinceMs);
  (await look(done)).end();
  await turn();
  assert.equal(renewals.oldSinceMs(directory), undefined);
  await renewals.close();
});

test('closing ends though no worker answers, and says so; nothing is looked at afterwards', async () => {
  const { renewals, looks, warnings } = setUp();
  for (let i = 0; i < 20; i += 1) renewals.changed(path(`/b/${i}`));
  await renewals.close();
  assert.deepEqual(warnings, ['{"directories":20}']);
  const count = looks.length;
  assert.ok(count <= 8);
  renewals.changed(path('/c'));
  await turn();
  assert.equal(looks.length, count);
});

test('directories that no worker can be told of are left alone', async () => {
  const { renewals, looks } = setUp();
  renewals.changed(path('/b/what?'));
  await renewals.close();
  assert.equal(looks.length, 0);
});
