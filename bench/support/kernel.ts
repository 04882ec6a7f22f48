/** What the kernel knows: processor time of processes, its caches, its mounts. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { runCommand } from './children.ts';
import { waitFor } from '../../test/support/wait.ts';

/** USER_HZ: 100 in the interface to programs on every Linux. */
const TICKS_PER_SECOND = 100;
const UNMOUNT_MS = 30_000;

/** User and system seconds that these processes and all their threads have used so far. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything; fields are counted after it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/**
 * What these processes of one program have in memory. The pages of files are those of the program and
 * its libraries, which the kernel has once, whoever runs them: those of the process with the most count.
 */
export function residentBytes(pids: readonly number[]): number {
  let own = 0;
  let ofFiles = 0;
  for (const pid of pids) {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const bytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
    own += bytes('RssAnon') + bytes('RssShmem');
    ofFiles = Math.max(ofFiles, bytes('RssFile'));
  }
  return own + ofFiles;
}

/** A process and all that come from it. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while the list was read.
    }
  }
  const found = [root];
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i] as number) ?? []));
  return found;
}

/**
 * Drops the kernel's directory entries and inodes, not its file pages: those of the servers stay,
 * so that a figure is that of the mount and not of the disk.
 */
export function dropEntries(): void {
  // The first turn may only take away the mark of those used last.
  for (let turn = 0; turn < 2; turn++) writeFileSync('/proc/sys/vm/drop_caches', '2');
}

/** Asks the kernel's table, never the mount itself, which may hang. */
export function isMounted(mountpoint: string): boolean {
  const lines = readFileSync('/proc/self/mountinfo', 'latin1').split('\n');
  return lines.some((line) => line.split(' ')[4] === mountpoint);
}

export async function unmount(mountpoint: string): Promise<void> {
  if (!isMounted(mountpoint)) return;
  await runCommand('umount', [mountpoint], { timeoutMs: UNMOUNT_MS }).catch(async () => {
    await runCommand('umount', ['-l', mountpoint], { timeoutMs: UNMOUNT_MS });
  });
  await waitFor(`${mountpoint} to be unmounted`, () => !isMounted(mountpoint));
}
