/**
 * Mounting without native code. As root: mount(8) inherits the open /dev/fuse as descriptor 3. As
 * anybody else: fusermount3, which may mount for its user, hands the descriptor over. Everything here
 * runs in child processes or on /proc and /sys: no call of ours ever touches the mount itself.
 */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { FdReceiver, setNonBlocking } from '../../sys/index.ts';
import { openFuseDevice } from './channel.ts';

/** mount(8) and umount(8) answer in milliseconds; a minute means that something is stuck. */
const COMMAND_TIMEOUT_MS = 60_000;
const STDERR_BYTES_MAX = 4096;

export interface MountOptions {
  readonly mountpoint: string;
  readonly fsName: string;
  readonly uid: number;
  readonly gid: number;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  readonly isReadOnly: boolean;
  /** Generic flags in mount(8)'s words. */
  readonly flags: readonly string[];
}

export class MountError extends Error {
  override name = 'MountError';
}

interface CommandResult {
  readonly code: number;
  readonly stderr: string;
}

async function runCommand(
  command: string,
  args: readonly string[],
  inherited: { readonly fds?: readonly number[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return await new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...(inherited.fds ?? [])],
      env: { ...process.env, ...inherited.env },
    });
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_TIMEOUT_MS);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < STDERR_BYTES_MAX) stderr += text;
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      resolve({ code: 127, stderr: error.message });
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 1, stderr: stderr.trim() });
    });
  });
}

/** Commas separate options, so a comma or backslash in a value is escaped. */
function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

/** Where both helpers find the descriptor that they inherit. */
const INHERITED_FD = 3;

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** Mounts, and returns the open /dev/fuse that serves the mount. */
export async function mountDevice(options: MountOptions): Promise<number> {
  return isRoot() ? await mountAsRoot(options) : await mountAsUser(options);
}

function commonOptions(options: MountOptions): string[] {
  return [
    ...(options.defaultPermissions ? ['default_permissions'] : []),
    ...(options.allowOther ? ['allow_other'] : []),
    options.isReadOnly ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    ...options.flags,
  ];
}

async function mountAsRoot(options: MountOptions): Promise<number> {
  const fd = openFuseDevice();
  const list = [
    `fd=${INHERITED_FD}`,
    'rootmode=40000',
    `user_id=${options.uid}`,
    `group_id=${options.gid}`,
    ...commonOptions(options),
  ];
  const args = ['-i', '-t', 'fuse.alluxio', '-o', list.join(','), '--'];
  const result = await runCommand('mount', [...args, options.fsName, options.mountpoint], {
    fds: [fd],
  });
  if (result.code !== 0) {
    closeSync(fd);
    throw new MountError(`Mount "${options.mountpoint}" failed: ${result.stderr}`);
  }
  return fd;
}

async function mountAsUser(options: MountOptions): Promise<number> {
  const list = [
    `fsname=${escapeOption(options.fsName)}`,
    'subtype=alluxio',
    ...commonOptions(options),
  ];
  const receiver = new FdReceiver();
  try {
    const result = await runCommand(
      'fusermount3',
      ['-o', list.join(','), '--', options.mountpoint],
      { fds: [receiver.theirs], env: { _FUSE_COMMFD: String(INHERITED_FD) } },
    );
    // It sends before it ends, so what was sent is there by now.
    const fd = result.code === 0 ? receiver.receive() : undefined;
    if (fd === undefined) {
      throw new MountError(
        `Mount "${options.mountpoint}" by fusermount3 failed: ${result.stderr || 'no descriptor came'}`,
      );
    }
    setNonBlocking(fd);
    return fd;
  } finally {
    receiver.close();
  }
}

export async function unmount(mountpoint: string, isLazy: boolean): Promise<void> {
  const result = isRoot()
    ? await runCommand('umount', ['-i', ...(isLazy ? ['-l'] : []), '--', mountpoint])
    : await runCommand('fusermount3', ['-u', ...(isLazy ? ['-z'] : []), '--', mountpoint]);
  if (result.code !== 0) {
    throw new MountError(`Unmount "${mountpoint}" failed: ${result.stderr}`);
  }
}

export interface MountEntry {
  readonly mountpoint: string;
  readonly type: string;
  /** 'major:minor', the name of its bdi in /sys. */
  readonly device: string;
}

/** The topmost mount on this path, from /proc/self/mountinfo; undefined when there is none. */
export async function findMount(mountpoint: string): Promise<MountEntry | undefined> {
  const text = await readFile('/proc/self/mountinfo', 'latin1');
  let found: MountEntry | undefined;
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const fields = before.split(' ');
    const path = Buffer.from(unescapeOctal(fields[4] ?? ''), 'latin1').toString('utf8');
    if (path !== mountpoint) continue;
    found = { mountpoint: path, type: after.split(' ')[0] ?? '', device: fields[2] ?? '' };
  }
  return found;
}

/** mountinfo writes space, tab, newline and backslash as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * The kernel caps requests at the mount's read-ahead, 128 KiB unless raised, whatever INIT said.
 * The value now in force in KiB, or undefined where it cannot be known.
 */
export async function raiseReadAhead(
  entry: MountEntry,
  kilobytes: number,
): Promise<number | undefined> {
  const path = `/sys/class/bdi/${entry.device}/read_ahead_kb`;
  try {
    await writeFile(path, String(kilobytes));
  } catch {
    // Not root, or /sys is read-only (containers): requests stay smaller, which only costs speed.
  }
  try {
    return Number(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
