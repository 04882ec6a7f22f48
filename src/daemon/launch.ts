/** What the command line does with mounts: make one, ask how they are. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MountConfig } from '../config/index.ts';
import { findMount } from '../fuse/device/index.ts';
import { makeDirectory, makePrivateDirectory } from '../base/private-directory.ts';
import { askAdminServer } from './admin-server.ts';
import type { FromSupervisor, StartSupervisor } from './ipc.ts';
import { canonicalMountpoint, mountpointProblem } from './mountpoint.ts';
import { runSupervisor } from './run-supervisor.ts';
import {
  adminSocketPath,
  allStates,
  isSupervised,
  locateState,
  mountDirectory,
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

/** The supervisor's own deadlines come before this one. */
const LAUNCH_TIMEOUT_MS = 90_000;

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
    makePrivateDirectory(mountDirectory(config.stateDir, canonical.mountpoint));
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
  const answer = (await askAdminServer(
    adminSocketPath(stateDir, state.mountpoint),
    'GET /status',
  )) as (typeof NO_FIGURES & { fuse: object; cluster: undefined }) | undefined;
  const shown = answer === undefined && state.state === 'serving' ? 'not answering' : state.state;
  return {
    ...NO_FIGURES,
    ...answer,
    mountpoint: state.mountpoint,
    supervisorPid: state.supervisorPid,
    daemonPid: state.daemonPid,
    uptimeMs: Date.now() - state.startedAtMs,
    driver: state.driver,
    state: isSupervised(state) ? shown : `supervisor gone, ${shown}`,
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

/** Where the name space is mounted on this machine, as far as the state directory tells. */
export function mountpointsOf(nameSpace: string, options: { readonly stateDir: string }): string[] {
  return allStates(options.stateDir)
    .filter(({ state }) => state === 'serving' || state === 'restarting')
    .filter((state) => state.nameSpace === nameSpace && isSupervised(state))
    .map(({ mountpoint }) => mountpoint);
}

/** All mounts of this state directory, or the one asked for, wherever its state is; empty: none. */
export async function daemonStatus(
  given: string | undefined,
  options: { readonly stateDir: string },
): Promise<Awaited<ReturnType<typeof reportOf>>[]> {
  const { stateDir } = options;
  if (given === undefined) {
    return await Promise.all(allStates(stateDir).map((state) => reportOf(stateDir, state)));
  }
  const mountpoint = canonicalMountpoint(given);
  const found = locateState(stateDir, mountpoint);
  if (found.state !== undefined) return [await reportOf(found.stateDir, found.state)];
  const mount = await findMount(mountpoint);
  if (mount?.type === 'fuse.alluxio') {
    throw new Error(
      `${mountpoint} is mounted, but not by this user or with another --state-dir than ${stateDir}, ` +
        'and its daemon does not answer; give the --state-dir that mount was given',
    );
  }
  return [];
}
