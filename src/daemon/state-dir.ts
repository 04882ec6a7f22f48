/**
 * What mounts leave for `status` and `umount` to find: one private directory per mount point, with a
 * description and the daemon's admin socket. It is of no use after the supervisor has ended.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateDirectory } from '../base/private-directory.ts';
import { processStat } from '../base/process-stat.ts';

export interface MountState {
  readonly mountpoint: string;
  /** As `describeNameSpace` tells it; absent in what an older program left. */
  readonly nameSpace?: string;
  readonly supervisorPid: number;
  /** When it started, in the kernel's words; absent in what an older program left. */
  readonly supervisorStart?: string | undefined;
  readonly daemonPid: number | undefined;
  readonly driver: string;
  readonly startedAtMs: number;
  readonly restarts: number;
  /** Detached: unmounted, but the kernel keeps the mount for open files or other name spaces. */
  readonly state: 'starting' | 'serving' | 'restarting' | 'unmounting' | 'detached';
  readonly readAheadKb: number | undefined;
  readonly isWritable: boolean;
  /** Of a writable mount: what it has acknowledged and the cluster does not have. */
  readonly journalDirectory: string;
}

const STATE_FILE = 'state.json';

export function mountDirectory(stateDir: string, mountpoint: string): string {
  const id = createHash('sha256').update(mountpoint).digest('hex').slice(0, 16);
  return join(stateDir, id);
}

export function adminSocketPath(stateDir: string, mountpoint: string): string {
  return join(mountDirectory(stateDir, mountpoint), 'admin.sock');
}

export function writeState(stateDir: string, state: MountState): void {
  const directory = mountDirectory(stateDir, state.mountpoint);
  makePrivateDirectory(directory);
  const path = join(directory, STATE_FILE);
  // Readers see the old state or the new one, never a half.
  writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeState(stateDir: string, mountpoint: string): void {
  const directory = mountDirectory(stateDir, mountpoint);
  rmSync(join(directory, STATE_FILE), { force: true });
  rmSync(join(directory, 'admin.sock'), { force: true });
  rmSync(directory, { recursive: true, force: true });
}

function readState(path: string): MountState | undefined {
  try {
    const state = JSON.parse(readFileSync(path, 'utf8')) as MountState;
    return typeof state.mountpoint === 'string' && Number.isInteger(state.supervisorPid)
      ? state
      : undefined;
  } catch {
    // Not there, or of another program: not a mount of ours.
    return undefined;
  }
}

export function findState(stateDir: string, mountpoint: string): MountState | undefined {
  return readState(join(mountDirectory(stateDir, mountpoint), STATE_FILE));
}

export function allStates(stateDir: string): MountState[] {
  let names: string[];
  try {
    names = readdirSync(stateDir);
  } catch {
    return [];
  }
  return names
    .map((name) => readState(join(stateDir, name, STATE_FILE)))
    .filter((state) => state !== undefined);
}

/**
 * Where a mount keeps its state that was not made with the state directory at hand: the kernel lists
 * the sockets that are listened on. One that belongs to somebody else is not believed.
 */
function findStateDir(mountpoint: string): string | undefined {
  const ending = adminSocketPath('/', mountpoint);
  let sockets: string;
  try {
    sockets = readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return undefined;
  }
  for (const line of sockets.split('\n')) {
    const start = line.indexOf('/');
    if (start < 0 || !line.endsWith(ending)) continue;
    const stateDir = line.slice(start, -ending.length);
    const { uid } = statSync(stateDir, { throwIfNoEntry: false }) ?? {};
    if (uid === 0 || uid === process.getuid?.()) return stateDir;
  }
  return undefined;
}

export function locateState(
  stateDir: string,
  mountpoint: string,
): { readonly stateDir: string; readonly state: MountState | undefined } {
  const state = findState(stateDir, mountpoint);
  const other = state === undefined ? findStateDir(mountpoint) : undefined;
  if (other === undefined) return { stateDir, state };
  return { stateDir: other, state: findState(other, mountpoint) };
}

/** False too where another process has got its number since. */
export function isSupervised({ supervisorPid, supervisorStart }: MountState): boolean {
  if (!isAlive(supervisorPid)) return false;
  return (
    supervisorStart === undefined || processStat(supervisorPid)?.startTicks === supervisorStart
  );
}

export function isAlive(pid: number): boolean {
  // In this order: one that has ended may be gone altogether between the two questions.
  if (processStat(pid)?.hasEnded === true) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
