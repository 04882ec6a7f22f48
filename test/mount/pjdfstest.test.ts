/**
 * Goal: the mount answers as POSIX says. Method: the pjdfstest suite, where it lies beside the
 * project, is built and run on a mount whose permissions the kernel checks. What fails must be what
 * pjdfstest-expected.txt lists (reasons: docs/posix.md), no more and no less.
 * ALLUXIO_FUSE_TEST_PJDFSTEST=all also runs the files that take longest.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { repositoryRoot } from '../support/repository.ts';
import { run, shell } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { writableFlags } from '../support/writable.ts';

const SOURCE = join(repositoryRoot(), '..', 'shared', 'pjdfstest');
const EXPECTED = join(repositoryRoot(), 'test', 'mount', 'pjdfstest-expected.txt');
const RUNS_ALL = process.env['ALLUXIO_FUSE_TEST_PJDFSTEST'] === 'all';

/** Half of the time, and two thirds of the cases: combinations of owners and modes. */
const LONG = ['chown/00.t', 'rename/09.t', 'rename/10.t'];
const TESTS_MIN = RUNS_ALL ? 8_500 : 3_000;
/** They mostly start processes and sleep for whole seconds. */
const CONCURRENCY = 6;
const BUILD_MS = 180_000;
const FILE_MS = 300_000;
const LIMIT_MS = 840_000;

const skip =
  skipReason('root', 'fuse', 'etcd') ||
  (!existsSync(SOURCE) && 'no ../shared/pjdfstest') ||
  missingPrograms('autoreconf', 'make', 'gcc', 'openssl');

interface Outcome {
  readonly planned: number;
  readonly failed: readonly number[];
  /** Lines of the failures, for the one who reads. */
  readonly details: readonly string[];
}

/** The protocol's own word, which is not for our comments. */
const TO_BE_DONE = ['TO', 'DO'].join('');
/** Reads the Test Anything Protocol; what is marked as to be done fails everywhere on Linux. */
function outcomeOf(tap: string): Outcome {
  const planned = Number(/^1\.\.(\d+)/m.exec(tap)?.[1] ?? '0');
  const seen = new Set<number>();
  const failed: number[] = [];
  const details: string[] = [];
  for (const line of tap.split('\n')) {
    const match = /^(not )?ok (\d+)(.*)$/.exec(line);
    if (match === null) continue;
    const number = Number(match[2]);
    seen.add(number);
    if (match[1] === undefined || match[3]?.includes(`# ${TO_BE_DONE}`) === true) continue;
    failed.push(number);
    details.push(line.replaceAll(/[0-9a-f]{32,}/g, '…').slice(0, 200));
  }
  for (let number = 1; number <= planned; number++) {
    if (!seen.has(number)) failed.push(number);
  }
  if (planned === 0) failed.push(0);
  return { planned, failed: failed.sort((a, b) => a - b), details };
}

/** `link/00.t: 3 5-7 20`, after a `#` a remark. */
function expectedFailures(text: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const line of text.split('\n')) {
    const plain = line.replace(/#.*/, '').trim();
    if (plain === '') continue;
    const [file = '', ranges = ''] = plain.split(':');
    const numbers = ranges
      .trim()
      .split(/\s+/)
      .flatMap((range) => {
        const [first = NaN, last = first] = range.split('-').map(Number);
        return Array.from({ length: last - first + 1 }, (_, index) => first + index);
      });
    found.set(file, [...(found.get(file) ?? []), ...numbers]);
  }
  return found;
}

suite('pjdfstest', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: TestCluster;
  let mount: TestMount;
  let built = '';
  let files: string[] = [];

  before(
    async () => {
      const work = await makeTempDir(cleanup, 'pjdfstest');
      built = join(work, 'pjdfstest');
      await cp(SOURCE, built, { recursive: true });
      await shell('cd "$1"; { autoreconf -ifs; ./configure; make pjdfstest; } >&2', [built], {
        timeoutMs: BUILD_MS,
      });
      // Other users run the program and look at the mount.
      await shell('chmod 755 "$1" "$2"', [work, built]);
      const found = await readdir(join(built, 'tests'), { recursive: true });
      files = found.filter((name) => name.endsWith('.t')).sort();
      if (!RUNS_ALL) files = files.filter((name) => !LONG.includes(name));
      const pageSizeBytes = TEST_PAGE_SIZE_BYTES;
      cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes });
      mount = await mountForTest(cleanup, cluster.info, {
        flags: [
          ...writableFlags(join(work, 'staging'), 'through'),
          '--allow-other',
          '--default-permissions',
        ],
      });
      // Temporary directories are their owner's alone, and the mount point lies in one.
      await shell('chmod 755 "${1%/*}"', [mount.mountpoint]);
    },
    { timeout: BUILD_MS + 120_000 },
  );

  test('fails where it must and nowhere else', { timeout: LIMIT_MS }, async (context) => {
    const outcomes = new Map<string, Outcome>();
    const waiting = [...files];
    const work = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        const dir = mount.path(cluster.name, file.replaceAll(/[/.]/g, '-'));
        await shell('mkdir "$1"; chmod 755 "$1"', [dir]);
        const script = join(built, 'tests', file);
        const { out } = await run('sh', [script], { cwd: dir, timeoutMs: FILE_MS });
        outcomes.set(file, outcomeOf(out));
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));

    const planned = [...outcomes.values()].reduce((sum, outcome) => sum + outcome.planned, 0);
    const expected = expectedFailures(readFileSync(EXPECTED, 'utf8'));
    const wrong: string[] = [];
    let failures = 0;
    for (const [file, { failed, details }] of outcomes) {
      failures += failed.length;
      const known = expected.get(file) ?? [];
      const unexpected = failed.filter((number) => !known.includes(number));
      const passing = known.filter((number) => !failed.includes(number));
      if (unexpected.length > 0) wrong.push(`${file} fails: ${unexpected.join(' ')}`, ...details);
      if (passing.length > 0) wrong.push(`${file} no longer fails: ${passing.join(' ')}`);
    }
    context.diagnostic(`${planned - failures} of ${planned} cases in ${files.length} files pass`);
    assert.equal(wrong.join('\n'), '');
    assert.ok(planned > TESTS_MIN, `${planned} cases`);
  });

  test('nothing else went wrong', async () => {
    assert.equal((await mount.status()).restarts, 0);
    assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
    await mount.unmount();
  });
});
