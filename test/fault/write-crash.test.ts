/**
 * Goal: what close or fsync acknowledged outlives the processes: at random points of a write workload
 * the daemon, the supervisor, a worker or all of them are killed. Afterwards every acknowledged file
 * is there, complete; no name holds half of anything; nothing hidden is left.
 * ALLUXIO_FUSE_TEST_CRASH_POINTS: how many points in all (the full figure is 200).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { isAlive, isMounted, missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { repositoryRoot } from '../support/repository.ts';
import { output, run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { amount, hasDiskCache, storedAs, writableFlags, WRITE_MODES } from '../support/writable.ts';
import type { WriteMode } from '../support/writable.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const POINTS = amount('ALLUXIO_FUSE_TEST_CRASH_POINTS', 10);
const SEED = amount('ALLUXIO_FUSE_TEST_SEED', 1);
const SCRIPTS = join(repositoryRoot(), 'test', 'fault', 'scripts');
/** Between the start of the writer and the kill, so that every step of an upload is met. */
const STEPS_MAX = 60;
const SETTLE_MS = 90_000;
const LIMIT_MS = 120_000 + POINTS * 60_000;

type Victim = 'daemon' | 'supervisor' | 'daemon and supervisor' | 'worker' | 'all';
const VICTIMS: readonly Victim[] = [
  'daemon',
  'daemon and supervisor',
  'worker',
  'all',
  'supervisor',
];

type Content = readonly [seed: number, length: number] | null;

/** What each name may hold: the last acknowledged content and all that was begun since. */
class Ledger {
  readonly #allowed = new Map<string, Content[]>();
  #begun = 0;
  #begunAtKill = 0;
  acknowledged = 0;
  /** What the last writer said around the kill, for whoever reads of a failure. */
  #trail: string[] = [];

  begins(): void {
    this.#trail = [];
  }

  get trail(): string {
    return this.#trail.join('\n');
  }

  /** The daemon dies in the step that was begun last, or in the next: its line may be on the way. */
  noteKill(): void {
    this.#begunAtKill = this.#begun;
    this.#trail.push('KILL');
  }

  take(line: string): void {
    this.#trail.push(line);
    const said = JSON.parse(line) as {
      begin?: string;
      done?: string;
      absent?: string;
      content?: Content;
    };
    const content = said.content ?? null;
    if (said.begin !== undefined) {
      this.#begun++;
      const allowed = this.#allowed.get(said.begin) ?? [null];
      this.#allowed.set(said.begin, [...allowed, content]);
    }
    if (said.done !== undefined) {
      this.acknowledged++;
      this.#allowed.set(said.done, [content]);
    }
    if (said.absent !== undefined) {
      // Without the removal that was begun.
      const allowed = (this.#allowed.get(said.absent) ?? []).slice(0, -1);
      // Of what had to be there: the killed daemon removed it and had no time to answer, so the kernel
      // asked the next one. At any other time it has to be there still.
      const isInterrupted = [0, 1].includes(this.#begun - this.#begunAtKill);
      const isRemoved = isInterrupted && !allowed.includes(null);
      this.#allowed.set(said.absent, isRemoved ? [null] : allowed);
    }
  }

  json(): string {
    return JSON.stringify(Object.fromEntries(this.#allowed));
  }
}

class Writer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #lines = 0;

  constructor(directory: string, turn: number, ledger: Ledger) {
    const script = join(SCRIPTS, 'crash_writer.py');
    this.#child = spawn('python3', ['-B', script, directory, String(SEED), String(turn)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: '/',
    });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      this.#lines++;
      ledger.take(line);
    });
    this.#ended = new Promise((resolve) => lines.once('close', resolve));
  }

  async reaches(lines: number): Promise<void> {
    await waitFor(`the writer's line ${lines}`, () => this.#lines >= lines, SETTLE_MS);
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end('end\n');
    await waitFor('the writer to end', () => this.#child.exitCode !== null, SETTLE_MS);
    assert.equal(this.#child.exitCode, 0, 'The writer failed');
    await this.#ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

suite('writers whose mount is killed', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: TestCluster;
  let work = '';

  before(async () => {
    const pageSizeBytes = TEST_PAGE_SIZE_BYTES;
    cluster = await startCluster(cleanup, 'devcluster oss', { pageSizeBytes });
    work = await makeTempDir(cleanup, 'crash');
  });

  interface Left {
    readonly daemonPid: number;
    readonly hasDaemon: boolean;
    readonly hasSupervisor: boolean;
  }

  const kill = async (
    mount: TestMount,
    victim: Victim,
    turn: number,
    ledger: Ledger,
  ): Promise<Left> => {
    const { daemonPid = 0, supervisorPid } = await mount.status();
    const hasSupervisor = victim === 'daemon' || victim === 'worker';
    const hasDaemon = victim === 'supervisor' || victim === 'worker';
    // The supervisor first: it would replace the daemon.
    const pids = [...(hasSupervisor ? [] : [supervisorPid]), ...(hasDaemon ? [] : [daemonPid])];
    ledger.noteKill();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    if (victim === 'worker' || victim === 'all') {
      const { workers = [] } = cluster.devcluster ?? {};
      const worker = workers[turn % workers.length];
      await worker?.kill();
      await worker?.start();
    }
    await waitFor('the killed to die', () => pids.every((pid) => !isAlive(pid)), SETTLE_MS);
    return { daemonPid, hasDaemon, hasSupervisor };
  };

  const settle = async (
    mount: TestMount,
    left: Left,
    again: () => Promise<TestMount>,
  ): Promise<TestMount> => {
    if (left.hasSupervisor) {
      if (left.hasDaemon) return mount;
      const probe = async (): Promise<boolean> => {
        const { daemonPid, state } = await mount.status();
        return state === 'serving' && daemonPid !== left.daemonPid;
      };
      await waitFor('a new daemon', probe, SETTLE_MS);
      return mount;
    }
    // A daemon that is left alone serves on, until somebody unmounts.
    if (left.hasDaemon) await mount.unmount();
    else {
      if (isMounted(mount.mountpoint)) await output('umount', ['-l', mount.mountpoint]);
      await mount.ended();
    }
    return await again();
  };

  const mountAgain = async (cleanUp: Cleanup, mode: WriteMode): Promise<TestMount> =>
    await mountForTest(cleanUp, cluster.info, {
      flags: writableFlags(join(work, `staging-${mode}`), mode),
      hasDiskCache: hasDiskCache(mode),
      deadlineMs: LIMIT_MS,
      directory: join(work, `mount-${mode}`),
    });

  for (const mode of WRITE_MODES) {
    const points = Math.ceil(POINTS / WRITE_MODES.length);
    test(`${points} kills, write mode ${mode}`, { timeout: LIMIT_MS }, async (context) => {
      const cleanUp = lastFirst((undo) => context.after(undo));
      const name = `crash-${mode}`;
      const stored = join(cluster.sourceDir, name);
      const ledger = new Ledger();
      let mount = await mountAgain(cleanUp, mode);
      await output('mkdir', [mount.path(cluster.name, name)]);
      for (let turn = 0; turn < points; turn++) {
        const victim = VICTIMS[turn % VICTIMS.length] as Victim;
        const what = `seed ${SEED}, point ${turn}: ${victim}`;
        ledger.begins();
        const writer = new Writer(mount.path(cluster.name, name), turn, ledger);
        cleanUp(async () => writer.kill());
        // Seeded, not by time: the same point in the program whatever the machine does meanwhile.
        await writer.reaches(1 + ((SEED * 7919 + turn * 104_729) % STEPS_MAX));
        const left = await kill(mount, victim, turn, ledger);
        await writer.stop();
        mount = await settle(mount, left, () => mountAgain(cleanUp, mode));
        const args = ['-B', join(SCRIPTS, 'crash_check.py'), mount.path(cluster.name, name)];
        const seen = await run('python3', args, { input: ledger.json() });
        const found = `${seen.out}${seen.err}\n${ledger.trail}`;
        assert.equal(seen.code, 0, `${what}: on the mount:\n${found}`);
        const sums = await storedAs(mount, mount.path(cluster.name, name), stored);
        assert.equal(sums.stored, sums.mounted, what);
      }
      await mount.unmount();
      // A new mount has swept what the others left.
      mount = await mountAgain(cleanUp, mode);
      const args = ['-B', join(SCRIPTS, 'crash_check.py'), stored];
      const seen = await run('python3', args, { input: ledger.json() });
      assert.equal(seen.code, 0, `in the under store:\n${seen.out}${seen.err}`);
      await waitFor(
        'what was hidden to be gone',
        async () => (await hiddenFiles(cluster.devcluster?.dataDir ?? '')) === '',
        SETTLE_MS,
      ).catch(() => undefined);
      assert.equal(await hiddenFiles(cluster.devcluster?.dataDir ?? ''), '');
      assert.ok(ledger.acknowledged > points * 2, `${ledger.acknowledged} acknowledged`);
      context.diagnostic(`${ledger.acknowledged} steps acknowledged`);
      await mount.unmount();
    });
  }
});

/** Temporary and kept files; the attributes beside the files are no leftovers. */
async function hiddenFiles(dir: string): Promise<string> {
  const hidden = ['-path', '*/.alluxio-fuse*', '-type', 'f'];
  return await output('find', [dir, ...hidden, '-not', '-name', '.alluxio-fuse-attributes']);
}
