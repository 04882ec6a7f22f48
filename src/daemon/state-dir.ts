/**
 * What mounts leave for `status` and `umount` to find: one private directory per mount point, with a
 * description and the daemon's admin socket. It is of no use after the supervisor has ended.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { processStat } from '../base/process-stat.ts';

export interface MountState {
  readonly mountpoint: string;
  readonly supervisorPid: number;
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

/**
 * mkdir -p. Not Node's own: that one never returns where the kernel refuses to make a directory with
 * ENOENT although its parent is there (/proc).
 */
export function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || existsSync(parent)) throw error;
    makeDirectory(parent, mode);
    mkdirSync(path, { mode });
  }
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
  makeDirectory(directory, 0o700);
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

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return processStat(pid)?.hasEnded !== true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
