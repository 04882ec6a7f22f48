/**
 * Goal: the daemon's memory stays under the limit plus a stated fixed part, and does not grow with
 * what has been read, looked up, listed or opened.
 */
import assert from 'node:assert/strict';
import { mkdir, open } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { waitFor } from '../support/wait.ts';
import { output, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const MIB = 1024 * 1024;
/**
 * What the daemon takes besides `--memory-limit`: Node itself, the program, its heaps, buffers of
 * connections. The README states it.
 */
const FIXED_PART_BYTES = 200 * MIB;
/** Collections come when they come; what keeps growing exceeds this between two rounds. */
const ROUND_GROWTH_BYTES = 48 * MIB;
const READERS = 4;
const FILES_EACH = 5;
const ROUNDS = 3;
/**
 * What one remembered name may take, with what waits to be collected: an inode takes 190 bytes, an
 * entry of a listing 35 and its name, and there are up to two listings (an old one is read while a
 * new one arrives).
 */
const NAME_BYTES = 1024;
/** Heaps and buffers that grow to a size and stay there, whatever the number of names. */
const WARM_BYTES = 64 * MIB;
/**
 * Each missing or opened name is a question to the cluster: the large numbers take many minutes, and
 * are asked for by environment. What is checked is in proportion to the names.
 */
const isManyNames = process.env['ALLUXIO_FUSE_TEST_MANY_NAMES'] === '1';
const NAMES = isManyNames ? 100_000 : 30_000;
const OPENED_NAMES = isManyNames ? NAMES : 6_000;
const MISSING_NAMES = isManyNames ? 100_000 : 3_000;
const STREAM_MS = 300_000;
/** 100,000 questions at a few hundred a second. */
const NAMES_MS = isManyNames ? 800_000 : 120_000;
const SAMPLE_MS = 100;

interface Memory {
  readonly rssBytes: number;
  readonly peakBytes: number;
}

function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  return { rssBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;

/** Runs the work and looks at the daemon's memory meanwhile. */
async function sampled(pid: number, work: Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(memoryOf(pid).rssBytes), SAMPLE_MS);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  samples.push(memoryOf(pid).rssBytes);
  return samples;
}

suite('memory of the daemon', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;

  before(async () => {
    cluster = await startTestDevcluster(cleanup, {
      pageSizeBytes: MIB,
      // The workers' memory is this machine's, too.
      cacheBytes: 64 * MIB,
    });
  });

  for (const limitMiB of [64, 128]) {
    test(`${READERS} readers stream 10 times ${limitMiB} MiB each`, async (context) => {
      const undo = lastFirst((work) => context.after(work));
      const dir = `stream-${limitMiB}`;
      const lengthBytes = (limitMiB * MIB * 10) / FILES_EACH;
      await mkdir(join(cluster.dataDir, dir));
      for (let i = 0; i < READERS * FILES_EACH; i++) {
        // Holes: a file of its own for each, so that the kernel's cache has none of it.
        const file = await open(join(cluster.dataDir, dir, `f${i}`), 'w');
        await file.truncate(lengthBytes);
        await file.close();
      }
      const mount = await mountForTest(undo, cluster.info, {
        flags: ['--memory-limit', `${limitMiB}MB`],
      });
      const pid = (await mount.status()).daemonPid ?? 0;
      const idle = memoryOf(pid);
      const streams = Array.from({ length: READERS }, async (_, reader) => {
        const files = Array.from({ length: FILES_EACH }, (_unused, i) =>
          mount.path(dir, `f${reader * FILES_EACH + i}`),
        );
        const read = await shell('cat -- "$@" | wc -c', files, { timeoutMs: STREAM_MS });
        assert.equal(Number(read), FILES_EACH * lengthBytes);
      });
      const startMs = performance.now();
      const samples = await sampled(pid, Promise.all(streams));
      const seconds = (performance.now() - startMs) / 1000;
      const { peakBytes, rssBytes } = memoryOf(pid);
      const half = Math.floor(samples.length / 2);
      const early = Math.max(...samples.slice(Math.floor(half / 2), half));
      const late = Math.max(...samples.slice(half));
      const total = READERS * FILES_EACH * lengthBytes;
      context.diagnostic(
        `limit ${limitMiB} MiB: idle ${mib(idle.rssBytes)}, at the end ${mib(rssBytes)}, peak ` +
          `${mib(peakBytes)}, above the limit ${mib(peakBytes - limitMiB * MIB)}; first half ` +
          `${mib(early)}, second half ${mib(late)}; ${mib(total / seconds)}/s`,
      );
      assert.ok(peakBytes <= limitMiB * MIB + FIXED_PART_BYTES, mib(peakBytes));
      assert.ok(late - early < ROUND_GROWTH_BYTES, `${mib(early)}, then ${mib(late)}`);
      await assertAccounted(mount);
      await mount.unmount();
    });
  }

  test(`${MISSING_NAMES} missing names, a directory of ${NAMES} entries, ${OPENED_NAMES} opens`, async (context) => {
    const undo = lastFirst((work) => context.after(work));
    const dir = join(cluster.dataDir, 'wide');
    await mkdir(dir);
    await mkdir(join(cluster.dataDir, 'few'));
    await python(
      `for i in range(${NAMES}): os.close(os.open(f"{sys.argv[1]}/e{i}", os.O_CREAT))`,
      dir,
    );
    const mount = await mountForTest(undo, cluster.info, {
      flags: ['--memory-limit', '64MB', '--entry-timeout', '2s', '--attr-timeout', '2s'],
    });
    const pid = (await mount.status()).daemonPid ?? 0;
    const idle = memoryOf(pid);
    const wide = mount.path('wide');
    const works = {
      'missing names': `
from concurrent.futures import ThreadPoolExecutor
def miss(i):
    try:
        os.stat(f"{sys.argv[1]}/../few/missing-{sys.argv[2]}-{i}")
    except FileNotFoundError:
        return
    raise Exception("found what is not there")
with ThreadPoolExecutor(8) as pool:
    list(pool.map(miss, range(${Math.ceil(MISSING_NAMES / ROUNDS)})))`,
      listings: `
for i in range(2):
    if len(os.listdir(sys.argv[1])) != ${NAMES}:
        sys.exit("entries are missing")`,
      opens: `
for i in range(int(sys.argv[2]), ${OPENED_NAMES}, ${ROUNDS}):
    os.close(os.open(f"{sys.argv[1]}/e{i}", os.O_RDONLY))`,
    };
    const figures: string[] = [];
    for (const [what, script] of Object.entries(works)) {
      const rounds: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const startMs = performance.now();
        await python(script, wide, String(round));
        rounds.push(memoryOf(pid).rssBytes);
        figures.push(`${what} ${Math.round(performance.now() - startMs)} ms`);
      }
      figures.push(`${what}: ${rounds.map(mib).join(', ')}`);
      // The first round fills caches and heaps; from then on nothing is to be kept but new names.
      const [, second = 0, third = 0] = rounds;
      const newNames = what === 'opens' ? OPENED_NAMES / ROUNDS : 0;
      const bound = ROUND_GROWTH_BYTES + newNames * NAME_BYTES;
      assert.ok(third - second < bound, figures.join('; '));
    }
    const { peakBytes } = memoryOf(pid);
    figures.push(`idle ${mib(idle.rssBytes)}, peak ${mib(peakBytes)}`);
    context.diagnostic(figures.join('; '));
    assert.ok(peakBytes <= 64 * MIB + FIXED_PART_BYTES, figures.join('; '));
    const bound = idle.rssBytes + WARM_BYTES + NAMES * NAME_BYTES;
    assert.ok(peakBytes <= bound, `${figures.join('; ')}; at most ${mib(bound)}`);
    await assertAccounted(mount);
    await mount.unmount();
  });
});

async function python(script: string, ...args: readonly string[]): Promise<void> {
  await output('python3', ['-c', `import os, sys\n${script}`, ...args], { timeoutMs: NAMES_MS });
}

/** No slot is lost: none is being filled, and those in use are not more than there are. */
async function assertAccounted(mount: TestMount): Promise<void> {
  const { cache, restarts } = await mount.status();
  assert.ok(cache.slotsUsed <= cache.slotsTotal);
  // The kernel does not wait for the answer to a RELEASE.
  const isClosed = async () => (await mount.status()).inodes.openHandles === 0;
  await waitFor('the last handle to be closed', isClosed);
  assert.equal(restarts, 0);
  assert.equal(await mount.metric('alluxio_fuse_slab_slots', { state: 'filling' }), 0);
  assert.equal(await mount.metric('alluxio_fuse_jobs_running'), 0);
}
