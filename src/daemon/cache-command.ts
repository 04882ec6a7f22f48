/** Brings what a command asks of a cache to whoever has it. */
import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { byteStringOfText } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { BackingFiles } from '../cache/disk/backing-files.ts';
import { streamFromAdminServer } from './admin-server.ts';
import { runCacheRequest } from './cache-requests.ts';
import type { CacheRequest } from './cache-requests.ts';
import { canonicalMountpoint } from './mountpoint.ts';
import { adminSocketPath, allStates, isSupervised, locateState } from './state-dir.ts';

export interface CacheCommand {
  readonly verb: CacheRequest['verb'];
  /** A mount point, or a cache directory. */
  readonly target: string;
  /** Below the mount point, or of the name space. */
  readonly paths: readonly string[];
  readonly parallel?: number;
}

export interface CacheCommandOptions {
  readonly stateDir: string;
  readonly onLine: (line: { readonly kind: string }) => void;
  readonly signal: AbortSignal;
}

/** Rejects with the reason. */
export async function cacheCommand(
  command: CacheCommand,
  options: CacheCommandOptions,
): Promise<void> {
  const { verb, target, parallel } = command;
  const mountpoint = canonicalMountpoint(target);
  const paths = command.paths.map((path) => pathInMount(path, [target, mountpoint]));
  const request: CacheRequest = { verb, paths, ...(parallel === undefined ? {} : { parallel }) };
  const { stateDir, state } = locateState(options.stateDir, mountpoint);
  if (state !== undefined) {
    await throughDaemon(adminSocketPath(stateDir, mountpoint), request, options);
    return;
  }
  if (!hasCache(target)) {
    throw new Error(`${target} is neither mounted by alluxio-fuse nor a cache directory`);
  }
  await onStopped(target, request, options);
}

/**
 * For many paths: the mount that each lies in, and its name there; undefined for none. Of the mounts that there
 * are when it is made.
 */
export function mountFinder(options: {
  readonly stateDir: string;
}): (path: string) => PathInMount | undefined {
  const mountpoints = allStates(options.stateDir)
    .filter((state) => isSupervised(state))
    .map(({ mountpoint }) => mountpoint)
    .sort((a, b) => b.length - a.length);
  const named = (path: string): PathInMount | undefined => {
    const mountpoint = mountpoints.find((each) => path === each || path.startsWith(`${each}/`));
    return mountpoint === undefined ? undefined : { mountpoint, path };
  };
  const directories = new Map<string, string>();
  /** Without links, but for its last part. */
  const reached = (path: string): string => {
    const directory = dirname(path);
    const known = directories.get(directory) ?? canonicalMountpoint(directory);
    directories.set(directory, known);
    return join(known, basename(path));
  };
  // Looking into a mount asks the cluster: a name that says enough is not looked at.
  return (path) => named(path) ?? named(reached(path)) ?? named(canonicalMountpoint(path));
}

export interface PathInMount {
  readonly mountpoint: string;
  /** Below the mount point. */
  readonly path: string;
}

function pathInMount(path: string, mountpoints: readonly string[]): ByteString {
  for (const mountpoint of mountpoints) {
    if (path === mountpoint) return '/' as ByteString;
    if (path.startsWith(`${mountpoint}/`)) return byteStringOfText(path.slice(mountpoint.length));
  }
  return byteStringOfText(path);
}

function hasCache(directory: string): boolean {
  const { indexPath } = new BackingFiles(directory);
  return statSync(indexPath, { throwIfNoEntry: false })?.isFile() === true;
}

async function throughDaemon(
  socketPath: string,
  request: CacheRequest,
  { onLine, signal }: CacheCommandOptions,
): Promise<void> {
  try {
    for await (const line of streamFromAdminServer(socketPath, request, signal)) {
      onLine(line);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (signal.aborted || code === undefined) throw error;
    const what =
      code === 'ECONNRESET' ? 'ended before this was done' : `cannot be asked now (${code})`;
    const message = `The daemon of the mount ${what}; once \`status\` shows it serving, run this again`;
    throw new Error(message, { cause: error });
  }
}

async function onStopped(
  directory: string,
  request: CacheRequest,
  options: CacheCommandOptions,
): Promise<void> {
  const { DirectoryInUseError, openStopped } = await import('../cache/disk/index.ts');
  let tier;
  try {
    tier = await openStopped(directory, {
      failed: () => undefined,
      corrupt: () => undefined,
      retired: () => undefined,
    });
  } catch (error) {
    if (!(error instanceof DirectoryInUseError)) throw error;
    const socketPath = error.holder?.adminSocket;
    if (socketPath === undefined) throw error;
    await throughDaemon(socketPath, request, options);
    return;
  }
  if (tier === undefined) throw new Error(`The index of ${directory} cannot be read`);
  const emit = async (line: object): Promise<void> => {
    options.onLine(line as { kind: string });
    await Promise.resolve();
  };
  try {
    await runCacheRequest(request, { tier, emit, signal: options.signal });
  } finally {
    await tier.close();
  }
}
