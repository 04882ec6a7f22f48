/**
 * A mount for one test: the real program, in processes of its own, with private directories. The
 * test process never touches the mount itself, since whoever does hangs with it; children with
 * deadlines do (`run.ts`).
 *
 * However a test ends, nothing is left: a mount that is not taken away in an orderly way has its
 * kernel connection aborted, which wakes whoever hangs in it, and its processes killed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StatusReport } from '../../src/cli/daemon-api.ts';
import type { DevclusterInfo } from '../../src/devcluster/index.ts';
import type { Finished, RunOptions } from './run.ts';
import { run } from './run.ts';
import type { Cleanup } from './temp-dir.ts';
import { makeTempDir } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export type { StatusReport } from '../../src/cli/daemon-api.ts';

/** The program that belongs to this build, wherever the build was put. */
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'src', 'cli', 'main.js');

/** The longest that one test file may use one mount; then it is torn down under the test's feet. */
const DEADLINE_MS = 14 * 60_000;
const COMMAND_MS = 120_000;
/** Processes that have been killed are gone in milliseconds. */
const END_MS = 20_000;
const LOG_TAIL_BYTES = 16 * 1024;

export interface MountForTest {
  /** Of the mount, where it is not the cluster's. */
  readonly pageSizeBytes?: number;
  /** More flags; a flag given here is the one that counts. */
  readonly flags?: readonly string[];
  readonly deadlineMs?: number;
  /** Static workers instead of the cluster's etcd. */
  readonly isStatic?: boolean;
  /** Of `mount` and what it starts, besides that of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of the mounts that the cluster is known to have: `--map`. */
  readonly map?: string;
  /** For a mount point and logs that one mount after the other uses; stays. */
  readonly directory?: string;
  /** Keeps content in a cache directory on disk: one after the other the same, with `directory`. */
  readonly hasDiskCache?: boolean;
}

/** `disk`: every mount of a test run has a cache directory. */
const TEST_CACHE = process.env['ALLUXIO_FUSE_TEST_CACHE'];

export interface TestMount {
  readonly mountpoint: string;
  readonly stateDir: string;
  readonly logFile: string;
  readonly metricsPort: number;
  /** Used only where the disk cache is on. */
  readonly cacheDir: string;
  /** Below the mount point. */
  path(...parts: readonly string[]): string;
  status(): Promise<StatusReport>;
  metricsText(): Promise<string>;
  /** The sum over all series of the name whose labels include those given; 0 when there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  logText(): Promise<string>;
  /** Ends the mount with `umount` and checks that it is all gone. */
  unmount(): Promise<void>;
  /** Resolves when supervisor and daemon have ended and nothing is mounted; for unmounts from outside. */
  ended(): Promise<void>;
}

/** Runs the command line of this build. */
export async function alluxioFuse(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return await run(process.execPath, [PROGRAM, ...args], { timeoutMs: COMMAND_MS, ...options });
}

/** For tests that start the program themselves. */
export const programArguments: readonly string[] = [PROGRAM];

/** The flags that a mount of this cluster needs; read-only, unless a later flag says otherwise. */
export function clusterFlags(info: DevclusterInfo, options: MountForTest = {}): string[] {
  const s3Port = info.workers[0]?.s3Port ?? 0;
  const workers = info.workers.map((worker) => `${worker.host}:${worker.httpPort}`).join(',');
  return [
    ...(options.isStatic === true
      ? ['--worker-hosts', workers]
      : ['--etcd-hosts', `${info.etcdHost}:${info.etcdPort}`, '--cluster-name', info.clusterName]),
    ...rootFlags(info, options.map),
    '--page-size',
    String(options.pageSizeBytes ?? info.pageSize),
    '--worker-s3-port',
    String(s3Port),
    '--read-only',
  ];
}

function rootFlags({ ufs, mounts }: DevclusterInfo, map: string | undefined): string[] {
  if (map !== undefined) return ['--map', map];
  if (mounts === undefined) return ['--ufs', ufs];
  return Object.entries(mounts).flatMap(([path, uri]) => ['--map', `${path}=${uri}`]);
}

export async function mountForTest(
  cleanup: Cleanup,
  info: DevclusterInfo,
  options: MountForTest = {},
): Promise<TestMount> {
  // The directory must not be removed while the mount stands: that would reach into it.
  const works: (() => Promise<void>)[] = [];
  cleanup(async () => {
    for (const work of works) await work();
  });
  const dir = options.directory ?? (await makeTempDir((work) => works.unshift(work), 'mount'));
  const mount = new RunningMount({
    mountpoint: join(dir, 'mnt'),
    stateDir: join(dir, 'state'),
    logFile: join(dir, 'daemon.log'),
    metricsPort: await freePort(),
  });
  await mkdir(mount.mountpoint, { recursive: true });
  works.unshift(() => mount.tearDown());
  await mount.start(info, options);
  return mount;
}

class RunningMount implements TestMount {
  readonly mountpoint: string;
  readonly stateDir: string;
  readonly logFile: string;
  readonly metricsPort: number;
  readonly cacheDir: string;
  #timer: NodeJS.Timeout | undefined;
  #supervisorPid = 0;
  #isOver = false;

  constructor(
    parts: Pick<TestMount, 'mountpoint' | 'stateDir' | 'logFile'> & { metricsPort: number },
  ) {
    this.mountpoint = parts.mountpoint;
    this.stateDir = parts.stateDir;
    this.logFile = parts.logFile;
    this.metricsPort = parts.metricsPort;
    this.cacheDir = join(dirname(parts.mountpoint), 'cache');
  }

  async start(info: DevclusterInfo, options: MountForTest): Promise<void> {
    const args = [
      'mount',
      this.mountpoint,
      ...clusterFlags(info, options),
      '--state-dir',
      this.stateDir,
      '--log-file',
      this.logFile,
      '--metrics-port',
      String(this.metricsPort),
      ...(options.hasDiskCache === true || TEST_CACHE === 'disk'
        ? ['--cache-dir', this.cacheDir]
        : []),
      ...(options.flags ?? []),
    ];
    standing.add(this);
    const { code, err } = await alluxioFuse(args, { env: options.env ?? {} });
    assert.equal(code, 0, `The mount was not made: ${err}\n${await this.#logTail()}`);
    this.#supervisorPid = (await this.status()).supervisorPid;
    this.#timer = setTimeout(() => {
      void this.#break(`The test did not end within its deadline`);
    }, options.deadlineMs ?? DEADLINE_MS);
    this.#timer.unref();
  }

  path(...parts: readonly string[]): string {
    return join(this.mountpoint, ...parts);
  }

  async status(): Promise<StatusReport> {
    const args = ['status', this.mountpoint, '--json', '--state-dir', this.stateDir];
    const { code, out, err } = await alluxioFuse(args);
    assert.equal(code, 0, err);
    return JSON.parse(out) as StatusReport;
  }

  async metricsText(): Promise<string> {
    const url = `http://127.0.0.1:${this.metricsPort}/metrics`;
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    return await response.text();
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    let sum = 0;
    for (const line of (await this.metricsText()).split('\n')) {
      const match = /^([^\s{#]+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match?.[1] !== name) continue;
      const has = Object.entries(labels).every(([key, value]) =>
        `,${match[2] ?? ''}`.includes(`,${key}="${value}"`),
      );
      if (has) sum += Number(match[3]);
    }
    return sum;
  }

  async logText(): Promise<string> {
    return await readFile(this.logFile, 'utf8');
  }

  async unmount(): Promise<void> {
    const { code, err } = await alluxioFuse([
      'umount',
      this.mountpoint,
      '--state-dir',
      this.stateDir,
    ]);
    assert.equal(code, 0, `${err}\n${await this.#logTail()}`);
    await this.ended();
  }

  async ended(): Promise<void> {
    await waitFor('the mount to be gone', () => !isMounted(this.mountpoint), END_MS);
    await waitFor('the supervisor to end', () => !isAlive(this.#supervisorPid), END_MS);
    assert.deepEqual(this.pids(), []);
    this.#over();
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    standing.delete(this);
  }

  /** What its own state says that lives. */
  pids(): number[] {
    const state = readStates(this.stateDir);
    return [...state, this.#supervisorPid].filter((pid) => pid > 0 && isAlive(pid));
  }

  async tearDown(): Promise<void> {
    if (this.#isOver) return;
    await this.#break('The test ended without unmounting');
    this.#over();
  }

  async #break(why: string): Promise<void> {
    if (this.#isOver) return;
    console.error(`${why}: ${this.mountpoint}\n${await this.#logTail()}`);
    await abortConnection(this.mountpoint).catch((error: unknown) => console.error(error));
    for (const pid of this.pids()) process.kill(pid, 'SIGKILL');
    await waitFor('killed processes to end', () => this.pids().length === 0, END_MS);
    if (isMounted(this.mountpoint)) {
      const { code, err } = await run('umount', ['-l', this.mountpoint]);
      if (code !== 0) console.error(err);
    }
  }

  /** At the end of the test process, where nothing can be waited for. */
  breakNow(): void {
    for (const pid of this.pids()) process.kill(pid, 'SIGKILL');
    spawnSync('umount', ['-l', this.mountpoint], { timeout: END_MS, stdio: 'ignore' });
    spawnSync('rm', ['-rf', '--one-file-system', dirname(this.mountpoint)], { timeout: END_MS });
  }

  async #logTail(): Promise<string> {
    const text = await this.logText().catch(() => '(no log)');
    return text.slice(-LOG_TAIL_BYTES);
  }
}

const standing = new Set<RunningMount>();

// The runner ends a test file that takes too long with SIGTERM, and no clean-up of a test runs.
process.on('exit', () => {
  for (const mount of standing) mount.breakNow();
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => process.exit(1));
}

function readStates(stateDir: string): number[] {
  const found = spawnSync('find', [stateDir, '-name', 'state.json'], { encoding: 'utf8' });
  return (found.stdout ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((path) => {
      try {
        const state = JSON.parse(readFileSync(path, 'utf8')) as Record<string, number | undefined>;
        return [state['daemonPid'] ?? 0, state['supervisorPid'] ?? 0];
      } catch {
        // Removed by its owner meanwhile.
        return [];
      }
    });
}

/** Wakes all who wait for an answer of the mount, with an error. */
async function abortConnection(mountpoint: string): Promise<void> {
  const device = mountDevice(mountpoint);
  if (device === undefined) return;
  const minor = device.split(':')[1] ?? '';
  // The control file system is not mounted everywhere. Here it is in a name space of its own, which
  // goes with the child, whatever becomes of this process.
  const script = `
    test -e "$1/$2/abort" || mount -t fusectl fusectl "$1"
    echo 1 >"$1/$2/abort"`;
  const args = ['--mount', 'sh', '-ec', script, 'sh', '/sys/fs/fuse/connections', minor];
  const { code, err } = await run('unshare', args);
  if (code !== 0) throw new Error(err);
}

function mountDevice(mountpoint: string): string | undefined {
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const fields = line.split(' ');
    if (fields[4] === mountpoint) return fields[2];
  }
  return undefined;
}

/** Looks at the kernel's table only. */
export function isMounted(mountpoint: string): boolean {
  return mountDevice(mountpoint) !== undefined;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie has ended; whoever started it has not looked yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The reason to skip a test that needs these programs, or false. */
export function missingPrograms(...programs: readonly string[]): string | false {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const missing = programs.filter((name) => !path.some((dir) => existsSync(join(dir, name))));
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`;
}
