/**
 * One mount served through libfuse 2. The package knows one event loop, that of the main thread, and
 * keeps state for the whole process: one mount a process.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { findMount, MountError, unmount } from '../device/index.ts';
import type { NativeEvents, NativeHandler } from './handler.ts';
import { Operations } from './operations.ts';
import { loadPackage } from './package.ts';

/** mount(2) and the first exchange take milliseconds. */
const MOUNT_TIMEOUT_MS = 30_000;
const FUSERMOUNT_TIMEOUT_MS = 30_000;
/** The package cuts paths and options at 1024 bytes, the final zero included, without a word. */
const ARGUMENT_BYTES_MAX = 1023;
const SUBTYPE = 'alluxio';
/** Words that libfuse 2 turns into flags of mount(2). Others it would hand to the kernel's FUSE. */
const FLAGS_KNOWN = new Set([
  'suid',
  'nosuid',
  'dev',
  'nodev',
  'exec',
  'noexec',
  'sync',
  'async',
  'dirsync',
  'atime',
  'noatime',
]);

export interface NativeMountOptions {
  readonly mountpoint: string;
  readonly fsName: string;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  readonly isReadOnly: boolean;
  /** What the kernel holds of files stays right; every open is still a message. */
  readonly isImmutable: boolean;
  /**
   * Generic flags in mount(8)'s words. What libfuse 2 does not know is left out: it is about access
   * times, which this mount does not keep.
   */
  readonly flags: readonly string[];
  readonly maxBackground: number;
  /** One for all files: libfuse 2 has no timeouts for single ones. */
  readonly attrTimeoutMs: number;
  readonly entryTimeoutMs: number;
  readonly negativeTimeoutMs: number;
}

export class NativeMount {
  readonly #mountpoint: string;
  readonly #device: string;
  readonly #operations: Operations;

  private constructor(mountpoint: string, device: string, operations: Operations) {
    this.#mountpoint = mountpoint;
    this.#device = device;
    this.#operations = operations;
  }

  /** Resolves when the kernel has been answered for the first time. */
  static async mount(
    options: NativeMountOptions,
    handler: NativeHandler,
    events: NativeEvents,
  ): Promise<NativeMount> {
    const { mountpoint } = options;
    const list = optionList(options);
    for (const text of [mountpoint, `-o${list}`]) {
      if (Buffer.byteLength(text) > ARGUMENT_BYTES_MAX) {
        throw new MountError(`Too long for the fuse-native driver: "${text}"`);
      }
    }
    const createFuse = await loadPackage();
    const operations = new Operations(handler, events);
    const before = await findMount(mountpoint);
    try {
      const fuse = createFuse(mountpoint, operations.table(options.isReadOnly), list);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no answer within ${MOUNT_TIMEOUT_MS / 1000} s`)),
          MOUNT_TIMEOUT_MS,
        );
        fuse.mount((error) => {
          clearTimeout(timer);
          if (error === null) resolve();
          else reject(error);
        });
      });
      const entry = await findMount(mountpoint);
      if (entry === undefined || entry.device === before?.device) {
        throw new Error('it is gone already');
      }
      return new NativeMount(mountpoint, entry.device, operations);
    } catch (error) {
      operations.abandon();
      const left = await findMount(mountpoint);
      if (left !== undefined && left.device !== before?.device) await detach(mountpoint);
      const reason = error instanceof Error ? error.message : String(error);
      throw new MountError(
        `Mount "${mountpoint}" with libfuse failed: ${reason}; what it says itself is in the log`,
        { cause: error },
      );
    }
  }

  /** False once it was unmounted, from wherever; a mount on top of it does not hide it. */
  async isMounted(): Promise<boolean> {
    const mounts = await readFile('/proc/self/mountinfo', 'latin1');
    return mounts.split('\n').some((line) => line.split(' ')[2] === this.#device);
  }

  /**
   * Takes the mount away at once; requests under way can still be answered, and files that are open
   * stay usable until this process ends.
   */
  async unmount(): Promise<void> {
    if (await this.isMounted()) await detach(this.#mountpoint);
  }

  /** To be called when the mount is gone and nothing is to be answered any more. */
  abandon(): void {
    this.#operations.abandon();
  }
}

function optionList(options: NativeMountOptions): string {
  const seconds = (ms: number): string => (ms / 1000).toFixed(3);
  const isRoot = process.getuid?.() === 0;
  const words = [
    `fsname=${options.fsName}`,
    `subtype=${SUBTYPE}`,
    ...(options.isReadOnly
      ? ['ro']
      : // Otherwise writes come in pieces of 4 KiB, and O_TRUNC as a change of its own before open.
        ['big_writes', 'atomic_o_trunc']),
    ...(options.isImmutable ? ['kernel_cache'] : []),
    ...(options.allowOther ? ['allow_other'] : []),
    ...(options.defaultPermissions ? ['default_permissions'] : []),
    ...options.flags.filter((flag) => FLAGS_KNOWN.has(flag)),
    `max_background=${options.maxBackground}`,
    `attr_timeout=${seconds(options.attrTimeoutMs)}`,
    `entry_timeout=${seconds(options.entryTimeoutMs)}`,
    `negative_timeout=${seconds(options.negativeTimeoutMs)}`,
    // As every other mount; fusermount3, which mounts for everyone else, does it without asking and
    // does not know the word.
    ...(isRoot ? ['nonempty'] : []),
  ];
  return words.map((word) => word.replace(/[\\,]/g, '\\$&')).join(',');
}

/**
 * The package's own unmount passes the path through a shell, which may read more than a path in it.
 */
async function detach(mountpoint: string): Promise<void> {
  if (process.getuid?.() === 0) {
    await unmount(mountpoint, true);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const child = spawn('fusermount', ['-u', '-z', '--', mountpoint], { stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), FUSERMOUNT_TIMEOUT_MS);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new MountError(`Unmount "${mountpoint}" failed`, { cause: error }));
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new MountError(`Unmount "${mountpoint}" failed: fusermount ended with ${code}`));
    });
  });
}
