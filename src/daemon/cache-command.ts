/** Brings what a command asks of a cache to whoever has it. */
import { statSync } from 'node:fs';
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

/** The mount point that a path lies below; undefined for none. */
export function mountpointAbove(
  path: string,
  options: { readonly stateDir: string },
): string | undefined {
  const canonical = canonicalMountpoint(path);
  return allStates(options.stateDir)
    .filter((state) => isSupervised(state))
    .map(({ mountpoint }) => mountpoint)
    .filter((mountpoint) => canonical === mountpoint || canonical.startsWith(`${mountpoint}/`))
    .sort((a, b) => b.length - a.length)[0];
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
  for await (const line of streamFromAdminServer(socketPath, request, signal)) {
    onLine(line);
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
