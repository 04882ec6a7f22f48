/**
 * Goal: whatever the workers do while a file is saved, a success means the right bytes. Method: faults
 * drawn from a seed, of every kind, at every request of an upload, alone and together, in both write modes
 * and on both ways into the under store. After a success of fsync, or of close in the mode through, the
 * under store has the bytes while the faults go on; after one of close in the mode back it has them once
 * they are over; after an error it has the old bytes or the new ones.
 * ALLUXIO_FUSE_TEST_FAULT_ROUNDS: files saved in each of the four mounts.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import type { Devcluster, FaultAction, FaultRule } from '../../src/devcluster/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { amount, hasDiskCache, writableFlags, WRITE_MODES } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd');

const ROUNDS = amount('ALLUXIO_FUSE_TEST_FAULT_ROUNDS', 8);
const SEED = amount('ALLUXIO_FUSE_TEST_SEED', 1);
/** What hangs is given up after this, so that a round takes seconds. */
const REQUEST_TIMEOUT_S = 4;
const HEAL_MS = 60_000;
/** In the mode back fsync(2) waits for the cluster as long as it takes: faults do not. */
const FAULTS_MS = 10_000;
const LIMIT_MS = 60_000 + ROUNDS * 60_000;
const FILE_BYTES_MAX = 400_000;
/** Linux errno ESTALE. */
const STALE_ERRNO = 116;
const COPY = 'x-amz-copy-source';

/** Each request of an upload at least, and whatever else a worker is asked meanwhile. */
const REQUESTS: readonly Omit<FaultRule, 'action'>[] = [
  { port: 's3', method: 'PUT', withoutHeader: COPY },
  { port: 's3', method: 'PUT', header: COPY },
  { port: 's3', method: 'HEAD' },
  { port: 's3', method: 'DELETE' },
  { port: 's3', method: 'GET' },
  { port: 'http' },
  { port: 's3' },
  {},
];

function drawAction(random: Random): FaultAction {
  const afterBytes = random.below(FILE_BYTES_MAX);
  return random.pick<FaultAction>([
    { kind: 'refuse', status: random.pick([500, 503]) },
    { kind: 'status', status: 500 },
    { kind: 'cut', afterBytes: random.pick([0, random.below(400)]) },
    { kind: 'cut-request', afterBytes },
    { kind: 'cut-copy', afterBytes },
    { kind: 'delay', ms: random.below(3000) },
    { kind: 'etag', value: '0123456789abcdef0123456789abcdef' },
    { kind: 'hang' },
  ]);
}

function drawRules(random: Random): FaultRule[] {
  return Array.from({ length: random.between(1, 3) }, () => {
    const count = random.pick([1, 1, 2, 5, undefined]);
    const rule = { ...random.pick(REQUESTS), probability: random.pick([1, 1, 0.5, 0.2]) };
    return { ...rule, ...(count === undefined ? {} : { count }), action: drawAction(random) };
  });
}

function drawBytes(random: Random, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  for (let at = 0; at + 4 <= lengthBytes; at += 4) bytes.writeUInt32LE(random.below(2 ** 32), at);
  return bytes;
}

/** What a program does to the old bytes. */
interface Change {
  readonly what: 'whole' | 'part' | 'append' | 'cut';
  readonly isSynced: boolean;
  readonly content: Buffer;
  readonly offset: number;
  readonly data: Buffer;
}

function drawChange(random: Random, old: Buffer): Change {
  const what = random.pick(['whole', 'whole', 'part', 'append', 'cut'] as const);
  const isSynced = random.chance(0.5);
  const data = drawBytes(random, 1 + random.below(FILE_BYTES_MAX));
  if (what === 'whole') return { what, isSynced, content: data, offset: 0, data };
  const offset = what === 'append' ? old.length : random.below(old.length);
  if (what === 'cut') return { what, isSynced, content: old.subarray(0, offset), offset, data };
  const end = old.subarray(Math.min(old.length, offset + data.length));
  const content = Buffer.concat([old.subarray(0, offset), data, end]);
  return { what, isSynced, content, offset, data };
}

/** Resolves with 'saved', or with the errno. */
async function save(path: string, change: Change): Promise<string> {
  try {
    const file = await open(path, change.what === 'whole' ? 'w' : 'r+');
    let failure: unknown;
    try {
      if (change.what === 'cut') await file.truncate(change.offset);
      else {
        for (let at = 0; at < change.data.length;) {
          const left = change.data.length - at;
          at += (await file.write(change.data, at, left, change.offset + at)).bytesWritten;
        }
      }
      if (change.isSynced) await file.sync();
    } catch (error) {
      failure = error;
    }
    await file.close();
    if (failure !== undefined) throw failure;
    return 'saved';
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    // Node has no name for it.
    return errno === -STALE_ERRNO ? 'ESTALE' : (code ?? String(error));
  }
}

function sumOf(content: Buffer): string {
  return `${content.length} ${createHash('sha256').update(content).digest('hex').slice(0, 12)}`;
}

const whole = (content: Buffer): Change => ({
  what: 'whole',
  isSynced: true,
  content,
  offset: 0,
  data: content,
});

suite('seeded faults of uploads', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;

  const faults = async (rules: readonly FaultRule[], seed: number): Promise<void> => {
    for (const worker of cluster.workers) await worker.setFaults(rules, seed);
  };

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { personality: 'oss' });
  });

  for (const mode of WRITE_MODES) {
    for (const fallback of ['off', 'auto'] as const) {
      const way = fallback === 'off' ? 'through the workers' : 'beside them';
      test(`${ROUNDS} saves, write mode ${mode}, ${way}`, { timeout: LIMIT_MS }, async () => {
        const directory = `${mode}-${fallback}`;
        const stored = join(cluster.dataDir, directory);
        await mkdir(stored);
        const mount = await mountForTest(cleanup, cluster.info, {
          pageSizeBytes: TEST_PAGE_SIZE_BYTES,
          hasDiskCache: hasDiskCache(mode),
          flags: [
            ...writableFlags(await makeTempDir(cleanup, 'faults'), mode),
            `--under-store-fallback=${fallback}`,
            `--request-timeout=${REQUEST_TIMEOUT_S}s`,
          ],
        });
        const last = new Map<string, string>();
        let failures = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const name = `file-${round}`;
          const random = Random.forStep(SEED, round * 4 + (fallback === 'off' ? 1 : 2));
          const outcome = await saveUnderFaults(mount, { directory, name, random, mode });
          last.set(name, outcome.content);
          if (outcome.hasFailed) failures++;
        }
        // What failed on the way must not come back over what was saved since.
        await waitFor('the hidden files to be gone', () => hiddenIn(stored).length === 0, HEAL_MS);
        await mount.unmount();
        for (const [name, sum] of last) {
          assert.equal(sumOf(await readFile(join(stored, name))), sum, `seed ${SEED}: ${name}`);
        }
        console.log(`${directory}: ${failures} of ${ROUNDS} saves were refused`);
      });
    }
  }

  async function saveUnderFaults(
    mount: TestMount,
    { directory, name, random, mode }: Place,
  ): Promise<{ readonly content: string; readonly hasFailed: boolean }> {
    const path = mount.path(directory, name);
    const stored = join(cluster.dataDir, directory, name);
    const held = async (): Promise<string> =>
      sumOf(await readFile(stored).catch(() => Buffer.from('missing')));
    const old = drawBytes(random, 1 + random.below(FILE_BYTES_MAX));
    assert.equal(await save(path, whole(old)), 'saved');
    const change = drawChange(random, old);
    const rules = drawRules(random);
    const how = `${change.what}${change.isSynced ? ', fsync' : ''}`;
    const label = `seed ${SEED}, ${directory}/${name}: ${how}, ${JSON.stringify(rules)}`;
    await faults(rules, SEED + random.below(1000));
    const timer = setTimeout(() => void faults([], 1), FAULTS_MS);
    const outcome = await save(path, change).finally(() => clearTimeout(timer));
    const isAcknowledged = outcome === 'saved';
    if (isAcknowledged && (mode === 'through' || change.isSynced)) {
      assert.equal(await held(), sumOf(change.content), label);
    }
    // ESTALE: it went through, could not say so, and was tried again from the version that it replaced.
    if (!isAcknowledged) assert.match(outcome, /^(?:EIO|ETIMEDOUT|ESTALE)$/, label);
    await faults([], 1);
    const allowed = isAcknowledged ? [change.content] : [old, change.content];
    const sums = allowed.map(sumOf);
    await waitFor(label, async () => sums.includes(await held()), HEAL_MS).catch(async () =>
      assert.fail(`${label}: ${outcome}, it holds ${await held()} instead of ${sums.join(' or ')}`),
    );
    if (isAcknowledged) {
      assert.equal(sumOf(await readFile(path)), sums[0], label);
      if (random.chance(0.5)) return { content: sumOf(change.content), hasFailed: false };
    }
    const again = drawBytes(random, 1 + random.below(FILE_BYTES_MAX));
    assert.equal(await save(path, whole(again)), 'saved', `${label}, again`);
    assert.equal(await held(), sumOf(again), `${label}, again`);
    assert.equal(sumOf(await readFile(path)), sumOf(again), `${label}, again`);
    return { content: sumOf(again), hasFailed: !isAcknowledged };
  }
});

interface Place {
  readonly directory: string;
  readonly name: string;
  readonly random: Random;
  readonly mode: 'through' | 'back';
}

function hiddenIn(stored: string): string[] {
  const uploads = join(stored, '.alluxio-fuse-uploads');
  return existsSync(uploads) ? readdirSync(uploads) : [];
}
