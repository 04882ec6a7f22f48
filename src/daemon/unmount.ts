/**
 * Takes a mount away. A writable one is asked to save first, while it is still there: who loses
 * patience then has lost nothing else.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { findMount, unmount } from '../fuse/device/index.ts';
import { askAdminServer } from './admin-server.ts';
import type { AdminCall } from './admin-server.ts';
import { canonicalMountpoint } from './mountpoint.ts';
import {
  adminSocketPath,
  findState,
  isAlive,
  isSupervised,
  locateState,
  removeState,
} from './state-dir.ts';
import type { MountState } from './state-dir.ts';
import type { WriteStatus } from './write-status.ts';

export type Outcome =
  | { readonly ok: true; readonly notes?: readonly string[] }
  | { readonly ok: false; readonly reason: string };

export interface UnmountOptions {
  /** Detach now; the daemon serves on until the last file is closed. */
  readonly lazy: boolean;
  /** Do not wait for saving, and not for those who have files open. */
  readonly force: boolean;
  /** With `force`: also where changes would be lost. */
  readonly dropUnsaved: boolean;
  /** How long to wait while nothing gets on. */
  readonly timeoutMs: number;
  readonly stateDir: string;
  /** Ends the waiting; before the mount is gone, it stays. */
  readonly signal: AbortSignal;
  readonly onProgress: (writes: WriteStatus) => void;
}

const POLL_MS = 50;
/** Asking costs the daemon a little. */
const ASK_MS = 250;
/** The kernel tells of the last close(2) a moment after it. */
const OPEN_MS = 1000;

type Report = {
  readonly writes?: WriteStatus;
  readonly inodes: { readonly openHandles: number };
};

interface Target {
  readonly mountpoint: string;
  readonly stateDir: string;
  readonly state: MountState;
  readonly options: UnmountOptions;
}

async function ask({ stateDir, mountpoint }: Target, call: AdminCall): Promise<Report | undefined> {
  return (await askAdminServer(adminSocketPath(stateDir, mountpoint), call)) as Report | undefined;
}

export async function unmountDaemon(given: string, options: UnmountOptions): Promise<Outcome> {
  const mountpoint = canonicalMountpoint(given);
  const { stateDir, state } = locateState(options.stateDir, mountpoint);
  const mount = await findMount(mountpoint);
  if (mount === undefined && state === undefined) {
    return { ok: false, reason: `Nothing is mounted on "${mountpoint}"` };
  }
  // libfuse mounts of ours are known by their state alone.
  const isOurs = mount?.type === 'fuse.alluxio' || state !== undefined;
  if (mount !== undefined && !(isOurs && mount.type.startsWith('fuse'))) {
    return { ok: false, reason: `The mount on "${mountpoint}" is ${mount.type}, not ours` };
  }
  const target = state === undefined ? undefined : { mountpoint, stateDir, state, options };
  const notes: string[] = [];
  if (target?.state.isWritable === true && !options.lazy) {
    const problem = options.force
      ? await mayForce(target, notes)
      : mount === undefined
        ? undefined
        : await untilSaved(target);
    if (problem !== undefined) return { ok: false, reason: problem };
  }
  try {
    if (mount !== undefined) await unmount(mountpoint, options.lazy || options.force);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: `${reason} (--lazy takes it away once its users are done)` };
  }
  // Not before: what stays mounted goes on saving what programs write.
  if (target?.state.isWritable === true && options.force && !options.lazy) {
    await ask(target, 'POST /forsake');
  }
  // After a lazy unmount the daemon serves on until the last file is closed.
  if (target === undefined || options.lazy) return { ok: true };
  const problem = await untilEnded(target);
  return problem === undefined ? { ok: true, notes } : { ok: false, reason: problem };
}

/** Why it must not be forced, or undefined. */
async function mayForce(target: Target, notes: string[]): Promise<string | undefined> {
  const { options, state } = target;
  const journal = `the journal in ${state.journalDirectory}, for the next mount on ${target.mountpoint}`;
  const report = await ask(target, 'GET /status');
  if (report?.writes === undefined) {
    if (options.dropUnsaved) return undefined;
    return (
      'The daemon does not answer, so nobody can tell what programs wrote that it has not saved; that would be ' +
      `lost. What was acknowledged stays in ${journal}. --force --drop-unsaved unmounts all the same`
    );
  }
  const { unsavedFiles, unsavedBytes, uploadsPending, uploadBytesPending, lastError } =
    report.writes;
  const why = lastError === undefined ? '' : ` (${lastError})`;
  if (unsavedFiles > 0) {
    const what = `${files(unsavedFiles, unsavedBytes)} that neither the cluster nor the journal has${why}`;
    if (!options.dropUnsaved) {
      return (
        `This would lose ${what}. Without --force they are waited for; ` +
        '--force --drop-unsaved drops them'
      );
    }
    notes.push(`dropped ${what}`);
  }
  const { attributesPending, repairsPending } = report.writes;
  if (uploadsPending + attributesPending + repairsPending > 0) {
    notes.push(
      `${files(uploadsPending, uploadBytesPending)}, attributes of directories (${attributesPending}) and ` +
        `unfinished changes (${repairsPending}) stay in ${journal}`,
    );
  }
  return undefined;
}

function files(count: number, bytes: number): string {
  return `${count} ${count === 1 ? 'file' : 'files'} (${bytes} bytes)`;
}

/** What must be in the cluster before the mount goes. */
function leftOf({ writes, inodes }: Report, openMs: number): number {
  if (writes === undefined) return 0;
  // Changes of a file that somebody goes on writing are never over; such a mount is busy in any case.
  const isInUse = inodes.openHandles > 0 && openMs > OPEN_MS;
  const { unsavedFiles, uploadsPending, attributesPending, repairsPending } = writes;
  return (isInUse ? 0 : unsavedFiles) + uploadsPending + attributesPending + repairsPending;
}

/** Why the mount stays, or undefined: all is saved. */
async function untilSaved(target: Target): Promise<string | undefined> {
  const { options, state } = target;
  const startedMs = performance.now();
  let movedMs = startedMs;
  let last = '';
  let call: AdminCall = 'POST /save';
  for (;;) {
    const report = await ask(target, call);
    const nowMs = performance.now();
    if (report !== undefined) {
      call = 'GET /status';
      if (leftOf(report, nowMs - startedMs) === 0) return undefined;
      const { writes } = report;
      if (writes !== undefined) options.onProgress(writes);
      const mark = progressMark(report);
      const isTravelling = (writes?.uploads.active ?? 0) > 0 && writes?.lastError === undefined;
      if (mark !== last || isTravelling) movedMs = nowMs;
      last = mark;
    } else if (
      !isSupervised(state) &&
      (state.daemonPid === undefined || !isAlive(state.daemonPid))
    ) {
      return undefined;
    }
    if (options.signal.aborted) return 'Interrupted: the mount stays, and saving goes on';
    if (nowMs - movedMs > options.timeoutMs) {
      const why = report?.writes?.lastError;
      return (
        'Not everything is saved, and nothing got on for a while' +
        `${report === undefined ? ': the daemon does not answer' : why === undefined ? '' : `: ${why}`}. ` +
        'The mount stays; --timeout waits longer, --force leaves what is in the journal to the next mount ' +
        '(and, with --drop-unsaved, gives up what is not in it)'
      );
    }
    await pause(ASK_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

function progressMark({ writes }: Report): string {
  if (writes === undefined) return '';
  const { unsavedFiles, uploadsPending, attributesPending, repairsPending, uploads } = writes;
  const copied = writes.renames.map(({ filesCopied }) => filesCopied);
  const counts = [unsavedFiles, uploadsPending, attributesPending, repairsPending];
  return [...counts, uploads.succeeded, uploads.sentBytes, ...copied].join();
}

/** Why the processes are still there, or undefined. */
async function untilEnded(target: Target): Promise<string | undefined> {
  const { state, stateDir, mountpoint, options } = target;
  const deadlineMs = performance.now() + options.timeoutMs;
  // A supervisor that was killed has left its daemon behind, and their state to us.
  const { supervisorPid, daemonPid } = state;
  const hasSupervisor = isSupervised(state);
  // The kernel does not end it while somebody else uses the mount; whoever asks here means it.
  const mustEnd = state.state === 'detached' || options.force;
  if (hasSupervisor && mustEnd) process.kill(supervisorPid, 'SIGTERM');
  const pid = hasSupervisor ? supervisorPid : daemonPid;
  const isThere = (): boolean => pid !== undefined && isAlive(pid);
  while (isThere()) {
    const isDetached = findState(stateDir, mountpoint)?.state === 'detached';
    if (isDetached && !mustEnd) {
      return (
        'Unmounted, but still in use by a copy of the mount in another mount name space (a ' +
        `container), which the daemon (pid ${pid}) serves; unmount again to end it all the same`
      );
    }
    if (performance.now() > deadlineMs || options.signal.aborted) {
      const who = hasSupervisor ? 'supervisor' : 'daemon';
      return (
        `Unmounted, but the ${who} (pid ${pid}) has not ended: it may still be saving what programs ` +
        'wrote. Its log tells; unmount again to go on waiting'
      );
    }
    await pause(POLL_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
  if (!hasSupervisor) removeState(stateDir, mountpoint);
  return undefined;
}
