/**
 * From the cluster to this machine's disk. Bytes go to a hidden file beside the target, whose name
 * stands for this very version: a download that was cut goes on where it ended, and the target is
 * replaced in one step.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, stat, utimes } from 'node:fs/promises';
import { bytesOfByteString, joinPath, type ByteString } from '../base/byte-string.ts';
import type { ReadResult } from '../cluster/index.ts';
import type { NodeStatus } from '../store/index.ts';
import { lookUp, sameTime, statOf } from './changes.ts';
import type { Connection } from './connection.ts';
import { readPieces } from './content.ts';
import { AlluxioError, hasCode, shownPath } from './errors.ts';
import { forEachOf } from './many.ts';
import type { Scope } from './scope.ts';
import { entriesOf } from './tree.ts';
import type { CallOptions } from './types.ts';

export interface TransferOptions extends CallOptions {
  /** Of directories. */
  readonly recursive?: boolean | undefined;
  /** The target gets the time of its source; true when left out. */
  readonly preserveTimes?: boolean | undefined;
  /** What has the length and the time of its source already is left as it is. */
  readonly resume?: boolean | undefined;
  /** Files at a time. */
  readonly concurrency?: number | undefined;
  readonly onFile?:
    ((path: string, size: number, outcome: 'copied' | 'skipped') => void) | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /**
   * Of an upload: told of what this machine cannot read, which is left out then. Else it is the end of the
   * upload, as every other failure is.
   */
  readonly onError?: ((error: AlluxioError) => void) | undefined;
}

/** Beginnings of these names are ours: whoever cleans up knows them by it. */
export const PART_PREFIX = '.alluxio-fuse-part-';

/** Local paths as bytes: names of the cluster need not be UTF-8. */
export function localPath(path: string | Buffer): Buffer {
  return typeof path === 'string' ? Buffer.from(path, 'utf8') : path;
}

export function joinLocal(directory: Buffer, name: ByteString | string): Buffer {
  const last = directory.at(-1) === 0x2f ? '' : '/';
  return Buffer.concat([directory, Buffer.from(last), Buffer.from(name, 'latin1')]);
}

function parentOfLocal(path: Buffer): Buffer {
  const slash = path.lastIndexOf(0x2f);
  if (slash < 0) return Buffer.from('.');
  return slash === 0 ? Buffer.from('/') : path.subarray(0, slash);
}

export async function downloadFile(
  connection: Connection,
  from: ByteString,
  to: Buffer,
  options: TransferOptions,
  scope: Scope,
  known?: NodeStatus,
): Promise<void> {
  const node = known ?? (await statOf(connection, from, scope));
  if (node.kind !== 'file') {
    const code = node.kind === 'directory' ? 'is-a-directory' : 'unsupported';
    throw new AlluxioError(code, `A ${node.kind} is not downloaded as a file`, {
      path: shownPath(from),
    });
  }
  const { lengthBytes } = node;
  const shownMs = node.posix.mtimeMs ?? node.mtimeMs;
  const there = await stat(to).catch(() => undefined);
  if (there?.isDirectory() === true) {
    throw new AlluxioError('is-a-directory', 'The target is a directory', {
      path: to.toString('utf8'),
    });
  }
  if (options.resume === true && there?.size === lengthBytes && sameTime(there.mtimeMs, shownMs)) {
    options.onFile?.(shownPath(from), lengthBytes, 'skipped');
    return;
  }
  const part = joinLocal(parentOfLocal(to), partName(to, from, node));
  const isVersionTold = await fill(connection, part, { path: from, version: node }, options, scope);
  // The last look: bytes of a version that has gone meanwhile are not put under the name.
  const now = isVersionTold ? node : await lookUp(connection, from, scope);
  if (now?.lengthBytes !== lengthBytes || !sameTime(now.mtimeMs, node.mtimeMs)) {
    throw new AlluxioError('version-changed', 'The file changed while it was downloaded', {
      path: shownPath(from),
      retryable: true,
    });
  }
  if (options.preserveTimes !== false) {
    const shown = secondsOf(shownMs);
    await utimes(part, shown, shown);
  }
  await rename(part, to);
  options.onFile?.(shownPath(from), lengthBytes, 'copied');
}

/**
 * Node cuts off what is less than a microsecond, of a number that may lie just below it; and it takes a
 * negative number for now, but not as text.
 */
function secondsOf(ms: number): string {
  return String((ms + 0.0005 * Math.sign(ms)) / 1000);
}

function partName(to: Buffer, from: ByteString, { lengthBytes, mtimeMs }: NodeStatus): string {
  const identity = createHash('sha256').update(to).update('\0').update(bytesOfByteString(from));
  identity.update(`\0${lengthBytes} ${Math.trunc(mtimeMs)}`);
  return `${PART_PREFIX}${identity.digest('hex').slice(0, 24)}`;
}

/** Whether each answer with bytes told that they are of this version. */
async function fill(
  connection: Connection,
  part: Buffer,
  source: { readonly path: ByteString; readonly version: NodeStatus },
  options: TransferOptions,
  scope: Scope,
): Promise<boolean> {
  const { lengthBytes } = source.version;
  const file = await open(part, constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    let { size } = await file.stat();
    // Longer than the version is not a beginning of it.
    if (size > lengthBytes) {
      await file.truncate(0);
      size = 0;
    }
    const range = { from: size, to: lengthBytes };
    // Who filled the beginning of an earlier try is not known.
    let isVersionTold = size === 0 && lengthBytes > 0;
    const onRead = (result: ReadResult): void => {
      isVersionTold &&= result.isVersionTold === true;
    };
    // At its place, not at the end: a second process at the same part writes the same bytes there.
    let offset = size;
    for await (const piece of readPieces(connection, source, range, scope, { onRead })) {
      for (let done = 0; done < piece.length;) {
        const left = piece.length - done;
        done += (await file.write(piece, done, left, offset + done)).bytesWritten;
      }
      offset += piece.length;
      options.onBytes?.(piece.length);
    }
    const { size: written } = await file.stat();
    if (written !== lengthBytes) {
      throw new AlluxioError('local', `The disk has ${written} of ${lengthBytes} bytes`, {
        path: part.toString('utf8'),
      });
    }
    // Before the rename, which a power failure must not find ahead of the bytes.
    await file.datasync();
    return isVersionTold;
  } finally {
    await file.close();
  }
}

/** Directories are made; what is at the target beside the tree stays. */
export async function downloadTree(
  connection: Connection,
  from: ByteString,
  to: Buffer,
  options: TransferOptions,
  scope: Scope,
): Promise<void> {
  await mkdir(to, { recursive: true });
  const directories: ByteString[] = [];
  const atOnce = options.concurrency ?? connection.concurrency;
  await forEachOf(entriesOf(connection, from, scope), atOnce, async (node) => {
    if (node.kind === 'directory') {
      directories.push(node.name);
      return;
    }
    const path = joinPath(from, node.name);
    const target = joinLocal(to, node.name);
    try {
      await downloadFile(connection, path, target, options, scope, node);
    } catch (error) {
      // Listings of workers may be days old; a status is not.
      if (!hasCode(error, 'version-changed')) throw error;
      await downloadFile(connection, path, target, options, scope);
    }
  });
  for (const name of directories) {
    const below = joinPath(from, name);
    await downloadTree(connection, below, joinLocal(to, name), options, scope);
  }
}
