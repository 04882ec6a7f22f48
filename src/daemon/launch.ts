/** What the command line does with mounts: make one, take one away, ask how they are. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';
import type { MountConfig } from '../config/index.ts';
import { findMount, unmount } from '../fuse/device/index.ts';
import { askAdminServer } from './admin-server.ts';
import type { FromSupervisor, StartSupervisor } from './ipc.ts';
import { runSupervisor } from './run-supervisor.ts';
import {
  adminSocketPath,
  allStates,
  findState,
  isAlive,
  makeDirectory,
  removeState,
} from './state-dir.ts';
import type { MountState } from './state-dir.ts';

export type MountOutcome =
  | {
      readonly ok: true;
      readonly pid: number;
      readonly driver: string;
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** The supervisor's own deadlines come before this one. */
const LAUNCH_TIMEOUT_MS = 90_000;
const POLL_MS = 50;

/** Links to links are followed so far, as the kernel does. */
const LINKS_MAX = 40;

/**
 * The name under which the kernel lists the mount: without links. The last part itself is never
 * looked into, since it may be a mount that hangs.
 */
function canonicalMountpoint(path: string): string {
  let current = path;
  for (let links = 0; links < LINKS_MAX; links++) {
    try {
      current = join(realpathSync(dirname(current)), basename(current));
      current = resolvePath(dirname(current), readlinkSync(current));
    } catch {
      // Not a link (or not there): this is its name.
      return current;
    }
  }
  return current;
}

/** Why a mount point cannot be used, before anything is started. */
function mountpointProblem(mountpoint: string): string | undefined {
  try {
    if (!statSync(mountpoint).isDirectory()) return `"${mountpoint}" is not a directory`;
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return `"${mountpoint}" does not exist; make it with mkdir -p`;
    if (code === 'ENOTCONN') {
      return `"${mountpoint}" has a dead mount; take it away with umount -l ${mountpoint}`;
    }
    return `"${mountpoint}" cannot be used: ${code}`;
  }
}

/** In the background a log goes to a file, since nobody sees standard error. */
function withLogFile(config: MountConfig): MountConfig {
  if (config.logFile !== undefined) return config;
  const name = config.mountpoint.replaceAll('/', '-').slice(1);
  return { ...config, logFile: join(config.stateDir, `${name === '' ? 'root' : name}.log`) };
}

export async function mountDaemon(
  config: MountConfig,
  options: { readonly foreground: boolean },
): Promise<MountOutcome> {
  const problem = mountpointProblem(config.mountpoint);
  if (problem !== undefined) return { ok: false, reason: problem };
  const canonical = { ...config, mountpoint: canonicalMountpoint(config.mountpoint) };
  try {
    makeDirectory(config.stateDir, 0o700);
    if (config.logFile !== undefined) makeDirectory(dirname(config.logFile), 0o755);
  } catch (error) {
    const { message } = error as Error;
    return { ok: false, reason: `No directory for --state-dir or --log-file: ${message}` };
  }
  return options.foreground
    ? await runForeground(canonical)
    : await runBackground(withLogFile(canonical));
}

async function runForeground(config: MountConfig): Promise<MountOutcome> {
  let driver: string = config.driver;
  const failure = await runSupervisor(config, {
    onStarted: (outcome) => {
      if (outcome.ok) driver = outcome.supervisor.driver;
    },
  });
  if (failure !== undefined) return { ok: false, reason: failure };
  // In the foreground the log is on standard error and has said them.
  return { ok: true, pid: process.pid, driver, warnings: [] };
}

async function runBackground(config: MountConfig): Promise<MountOutcome> {
  const logFile = config.logFile as string;
  const logFd = openSync(logFile, 'a', 0o600);
  const script = new URL('./supervisor-main.js', import.meta.url).pathname;
  const supervisor = spawn(process.execPath, [script], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', logFd, logFd, 'ipc'],
  });
  closeSync(logFd);
  const outcome = await new Promise<MountOutcome>((resolve) => {
    const timer = setTimeout(() => {
      supervisor.kill('SIGTERM');
      resolve({ ok: false, reason: `The mount was not up within ${LAUNCH_TIMEOUT_MS / 1000} s` });
    }, LAUNCH_TIMEOUT_MS);
    supervisor.once('message', (message: FromSupervisor) => {
      clearTimeout(timer);
      if (message.kind === 'failed') resolve({ ok: false, reason: message.reason });
      else {
        const { pid, driver, warnings } = message;
        resolve({ ok: true, pid, driver, warnings });
      }
    });
    supervisor.once('error', (error) => resolve({ ok: false, reason: error.message }));
    supervisor.once('exit', (code, signal) => {
      clearTimeout(timer);
      const how = signal ?? `exit code ${code}`;
      resolve({ ok: false, reason: `The supervisor ended with ${how}; see ${logFile}` });
    });
    const message: StartSupervisor = { kind: 'start', config };
    supervisor.send(message, (error) => {
      if (error !== null) resolve({ ok: false, reason: error.message });
    });
  });
  if (supervisor.connected) supervisor.disconnect();
  supervisor.unref();
  return outcome;
}

export async function unmountDaemon(
  given: string,
  options: { readonly lazy: boolean; readonly timeoutMs: number; readonly stateDir: string },
): Promise<Outcome> {
  const mountpoint = canonicalMountpoint(given);
  const state = findState(options.stateDir, mountpoint);
  const mount = await findMount(mountpoint);
  if (mount === undefined && state === undefined) {
    return { ok: false, reason: `Nothing is mounted on "${mountpoint}"` };
  }
  // libfuse mounts of ours are known by their state alone.
  const isOurs = mount?.type === 'fuse.alluxio' || state !== undefined;
  if (mount !== undefined && !(isOurs && mount.type.startsWith('fuse'))) {
    return { ok: false, reason: `The mount on "${mountpoint}" is ${mount.type}, not ours` };
  }
  try {
    if (mount !== undefined) await unmount(mountpoint, options.lazy);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: `${reason} (--lazy takes it away once its users are done)` };
  }
  // After a lazy unmount the daemon serves on until the last file is closed.
  if (state === undefined || options.lazy) return { ok: true };
  const deadlineMs = performance.now() + options.timeoutMs;
  // A supervisor that was killed has left its daemon behind, and their state to us.
  const { supervisorPid, daemonPid = supervisorPid } = state;
  const isSupervised = isAlive(supervisorPid);
  // The kernel does not end it while somebody else uses the mount; whoever asks here means it.
  if (isSupervised && state.state === 'detached') process.kill(supervisorPid, 'SIGTERM');
  const pid = isSupervised ? supervisorPid : daemonPid;
  while (isAlive(pid)) {
    const isDetached = findState(options.stateDir, mountpoint)?.state === 'detached';
    if (isDetached && state.state !== 'detached') {
      return {
        ok: false,
        reason:
          'Unmounted, but still in use by a copy of the mount in another mount name space (a ' +
          `container), which the daemon (pid ${daemonPid}) serves; unmount again to end it all the same`,
      };
    }
    if (performance.now() > deadlineMs) {
      const who = isSupervised ? 'supervisor' : 'daemon';
      return {
        ok: false,
        reason:
          `Unmounted, but the ${who} (pid ${pid}) has not ended: it may still be saving what programs ` +
          'wrote. Its log tells; unmount again to go on waiting',
      };
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  if (!isSupervised) removeState(options.stateDir, mountpoint);
  return { ok: true };
}

const NO_FIGURES = {
  cluster: undefined,
  cache: {
    memoryLimitBytes: 0,
    slotBytes: 0,
    slotsTotal: 0,
    slotsUsed: 0,
    hits: 0,
    misses: 0,
    readAheadBytes: 0,
    wastedBytes: 0,
  },
  inodes: { known: 0, openHandles: 0 },
  lastErrors: [],
};

async function reportOf(stateDir: string, state: MountState) {
  const answer = (await askAdminServer(adminSocketPath(stateDir, state.mountpoint))) as
    (typeof NO_FIGURES & { fuse: object; cluster: undefined }) | undefined;
  const isSupervised = isAlive(state.supervisorPid);
  const shown = answer === undefined && state.state === 'serving' ? 'not answering' : state.state;
  return {
    ...NO_FIGURES,
    ...answer,
    mountpoint: state.mountpoint,
    supervisorPid: state.supervisorPid,
    daemonPid: state.daemonPid,
    uptimeMs: Date.now() - state.startedAtMs,
    driver: state.driver,
    state: isSupervised ? shown : `supervisor gone, ${shown}`,
    restarts: state.restarts,
    fuse: {
      protocol: '',
      maxWriteBytes: 0,
      requestsTotal: 0,
      ...answer?.fuse,
      readAheadKb: state.readAheadKb ?? 0,
    },
  };
}

/** All mounts of this state directory, or the one asked for; empty when there is none. */
export async function daemonStatus(
  mountpoint: string | undefined,
  options: { readonly stateDir: string },
): Promise<Awaited<ReturnType<typeof reportOf>>[]> {
  const states =
    mountpoint === undefined
      ? allStates(options.stateDir)
      : [findState(options.stateDir, canonicalMountpoint(mountpoint))].filter(
          (state) => state !== undefined,
        );
  return await Promise.all(states.map(async (state) => await reportOf(options.stateDir, state)));
}
