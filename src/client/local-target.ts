/** What a download is to go into: a file that is made or replaced, or a device or pipe that takes bytes. */
import { constants, type Stats } from 'node:fs';
import { lstat, open, realpath, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { AlluxioError } from './errors.ts';
import { hasErrno, unlessMissing } from './local-path.ts';

export type LocalTarget =
  | { readonly kind: 'file'; readonly path: Buffer; readonly replaced: Stats | undefined }
  /** Never replaced: the bytes go into it. */
  | { readonly kind: 'sink'; readonly path: Buffer; readonly isPipe: boolean };

/** Names of what a process has open: to replace such a file would leave its opener with the old one. */
const DESCRIPTORS = /^\/(?:proc\/|dev\/(?:fd\/|std(?:out|err)$))/;

/**
 * As cp(1) takes a target: through links, to what they name. `isInTree`: a link is an entry of the tree that
 * is written, which may have come from the cluster, so it is replaced and never followed.
 */
export async function localTargetOf(to: Buffer, isInTree: boolean): Promise<LocalTarget> {
  const shown = to.toString('utf8');
  const found = await (isInTree ? lstat : stat)(to).catch(unlessMissing);
  if (found === undefined) {
    const isDangling = !isInTree && (await lstat(to).catch(unlessMissing)) !== undefined;
    if (!isDangling) return { kind: 'file', path: to, replaced: undefined };
    throw new AlluxioError('local', 'The target is a link to nothing', { path: shown });
  }
  if (found.isDirectory()) {
    throw new AlluxioError('is-a-directory', 'The target is a directory', { path: shown });
  }
  if (found.isSymbolicLink()) return { kind: 'file', path: to, replaced: undefined };
  if (found.isFile() && !DESCRIPTORS.test(shown)) {
    const path = isInTree ? to : await realpath(to, { encoding: 'buffer' });
    return { kind: 'file', path, replaced: found };
  }
  if (found.isSocket()) {
    throw new AlluxioError('local', 'The target is a socket', { path: shown });
  }
  return { kind: 'sink', path: to, isPipe: found.isFIFO() };
}

const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants;
/** Between looks whether a pipe takes more: at first one, then up to this. */
const PIPE_MS_MAX = 10;

/** Nothing here waits in the kernel, where it could not be called back. */
export async function writeInto(
  { path, isPipe }: LocalTarget & { readonly kind: 'sink' },
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  // A pipe that nobody reads cannot be opened so; of anything else it means that there is no such device.
  const file = await retried(isPipe ? 'ENXIO' : 'EAGAIN', signal, () =>
    open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY),
  );
  try {
    for await (const piece of pieces) {
      for (let done = 0; done < piece.length;) {
        const write = () => file.write(piece, done, piece.length - done);
        done += (await retried('EAGAIN', signal, write)).bytesWritten;
      }
    }
  } finally {
    await file.close();
  }
}

async function retried<T>(errno: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let pauseMs = 1; ; pauseMs = Math.min(PIPE_MS_MAX, 2 * pauseMs)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!hasErrno(error, errno)) throw error;
    }
    await pause(pauseMs, undefined, { signal });
  }
}
