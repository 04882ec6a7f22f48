/**
 * From the cluster to this machine's disk. Bytes go to a hidden file beside the target, whose name
 * stands for this very version: a download that was cut goes on where it ended, and the target is
 * replaced in one step.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { bytesOfByteString, joinPath, type ByteString } from '../base/byte-string.ts';
import type { ReadResult } from '../cluster/index.ts';
import { describeNameSpace } from '../config/index.ts';
import type { NodeStatus } from '../store/index.ts';
import { lookUp, sameTime, statOf } from './changes.ts';
import type { Connection } from './connection.ts';
import { readPieces } from './content.ts';
import type { CopyOptions } from './copy.ts';
import { ofEntry, type Entry } from './entries.ts';
import { AlluxioError, hasCode, shownPath } from './errors.ts';
import { joinLocal, parentOfLocal } from './local-path.ts';
import { makeOwnDirectory, writeLink } from './local-entries.ts';
import { localTargetOf, writeInto } from './local-target.ts';
import { forEachOf } from './many.ts';
import { PartFile } from './part-file.ts';
import { shownTime } from './paths.ts';
import type { Scope } from './scope.ts';
import { entriesOf } from './tree.ts';

/** Between the cluster and this machine; what is left out of a tree is also what this machine cannot read or write. */
export interface TransferOptions extends CopyOptions {
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Of what nothing else is known of. */
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o777;

export interface DownloadSource {
  /** Its status, where the caller has it already. */
  readonly known?: NodeStatus;
  /** The target lies in a tree that is being written: no link there is followed. */
  readonly isInTree?: boolean;
}

export async function downloadFile(
  connection: Connection,
  from: ByteString,
  to: Buffer,
  options: TransferOptions,
  scope: Scope,
  { known, isInTree = false }: DownloadSource = {},
): Promise<void> {
  const node = known ?? (await statOf(connection, from, scope));
  if (node.kind !== 'file') {
    const code = node.kind === 'directory' ? 'is-a-directory' : 'unsupported';
    throw new AlluxioError(code, `A ${node.kind} is not downloaded as a file`, {
      path: shownPath(from),
    });
  }
  const { lengthBytes } = node;
  const target = await localTargetOf(to, isInTree);
  const fetched = new Fetch(connection, from, node, options, scope);
  if (target.kind === 'sink') {
    await writeInto(target, fetched.pieces(0), scope.signal);
    await fetched.mustBeCurrent();
    options.onFile?.(shownPath(from), lengthBytes, 'copied');
    return;
  }
  const { path, replaced } = target;
  const shownMs = shownTime(node);
  const isSame = replaced?.size === lengthBytes && sameTime(replaced.mtimeMs, shownMs);
  if (options.resume === true && isSame) {
    options.onFile?.(shownPath(from), lengthBytes, 'skipped');
    return;
  }
  const mode = (node.posix.mode ?? FILE_MODE) & 0o777;
  const identity = partIdentity(connection, path, from, node);
  const openMode = (replaced?.mode ?? mode) & 0o777;
  const part = await PartFile.open(parentOfLocal(path), identity, lengthBytes, openMode);
  try {
    let offset = part.startBytes;
    for await (const piece of fetched.pieces(offset)) {
      await part.write(piece, offset);
      offset += piece.length;
    }
    await fetched.mustBeCurrent();
    const mtime = options.preserveTimes === false ? undefined : secondsOf(shownMs);
    await part.publish(path, lengthBytes, { replaced, mode, mtime });
  } finally {
    await part.close();
  }
  options.onFile?.(shownPath(from), lengthBytes, 'copied');
}

/** The bytes of one version, and whether they were. */
class Fetch {
  readonly #connection: Connection;
  readonly #path: ByteString;
  readonly #version: NodeStatus;
  readonly #options: TransferOptions;
  readonly #scope: Scope;
  /** Whether each answer with bytes told that they are of this version. */
  #isVersionTold = false;

  constructor(
    connection: Connection,
    path: ByteString,
    version: NodeStatus,
    options: TransferOptions,
    scope: Scope,
  ) {
    this.#connection = connection;
    this.#path = path;
    this.#version = version;
    this.#options = options;
    this.#scope = scope;
  }

  async *pieces(from: number): AsyncGenerator<Buffer, void, undefined> {
    const version = this.#version;
    const { lengthBytes } = version;
    // Who filled the beginning of an earlier try is not known.
    this.#isVersionTold = from === 0 && lengthBytes > 0;
    const onRead = (result: ReadResult): void => {
      this.#isVersionTold &&= result.isVersionTold === true;
    };
    const source = { path: this.#path, version };
    const range = { from, to: lengthBytes };
    for await (const piece of readPieces(this.#connection, source, range, this.#scope, {
      onRead,
    })) {
      yield piece;
      this.#options.onBytes?.(piece.length);
    }
  }

  /** The last look: bytes of a version that has gone meanwhile are not put under the name. */
  async mustBeCurrent(): Promise<void> {
    const version = this.#version;
    if (this.#isVersionTold) return;
    const now = await lookUp(this.#connection, this.#path, this.#scope);
    if (now?.lengthBytes === version.lengthBytes && sameTime(now.mtimeMs, version.mtimeMs)) return;
    throw new AlluxioError('version-changed', 'The file changed while it was downloaded', {
      path: shownPath(this.#path),
      retryable: true,
    });
  }
}

/**
 * Node cuts off what is less than a microsecond, of a number that may lie just below it; and it takes a
 * negative number for now, but not as text.
 */
function secondsOf(ms: number): string {
  return String((ms + 0.0005 * Math.sign(ms)) / 1000);
}

/** Of this version of this file of this cluster at this place. */
function partIdentity(
  { config }: Connection,
  to: Buffer,
  from: ByteString,
  { lengthBytes, mtimeMs }: NodeStatus,
): string {
  const hash = createHash('sha256').update(describeNameSpace(config)).update('\0').update(to);
  hash.update('\0').update(bytesOfByteString(from));
  hash.update(`\0${lengthBytes} ${Math.trunc(mtimeMs)}`);
  return hash.digest('hex').slice(0, 24);
}

/** Directories are made; what is at the target beside the tree stays. */
export async function downloadTree(
  connection: Connection,
  from: ByteString,
  to: Buffer,
  options: TransferOptions,
  scope: Scope,
): Promise<void> {
  const { posix } = await statOf(connection, from, scope);
  await mkdir(to, { recursive: true, mode: directoryMode(posix) });
  await downloadEntries(connection, from, to, options, scope);
}

async function downloadEntries(
  connection: Connection,
  from: ByteString,
  to: Buffer,
  options: TransferOptions,
  scope: Scope,
): Promise<void> {
  const { onError } = options;
  const entryOf = (name: ByteString): Entry & { readonly local: Buffer } => {
    return {
      operation: 'download',
      path: joinPath(from, name),
      local: joinLocal(to, name),
      onError,
    };
  };
  const directories: NodeStatus[] = [];
  const atOnce = options.concurrency ?? connection.concurrency;
  await forEachOf(entriesOf(connection, from, scope), atOnce, async (node) => {
    if (node.kind === 'directory') {
      directories.push(node);
      return;
    }
    const entry = entryOf(node.name);
    await ofEntry(entry, () => downloadEntry(connection, entry, node, options, scope));
  });
  for (const { name, posix } of directories) {
    const entry = entryOf(name);
    await ofEntry(entry, async () => {
      await makeOwnDirectory(entry.local, directoryMode(posix));
      await downloadEntries(connection, entry.path, entry.local, options, scope);
    });
  }
}

async function downloadEntry(
  connection: Connection,
  { path, local }: { readonly path: ByteString; readonly local: Buffer },
  node: NodeStatus,
  options: TransferOptions,
  scope: Scope,
): Promise<void> {
  if (node.kind === 'symlink') {
    const mtime = options.preserveTimes === false ? undefined : secondsOf(shownTime(node));
    const target = bytesOfByteString(node.posix.target ?? ('' as ByteString));
    const outcome = await writeLink(local, target, { mtime, resume: options.resume === true });
    options.onFile?.(shownPath(path), node.lengthBytes, outcome);
    return;
  }
  const place = { isInTree: true };
  try {
    await downloadFile(connection, path, local, options, scope, { ...place, known: node });
  } catch (error) {
    // Listings of workers may be days old; a status is not.
    if (!hasCode(error, 'version-changed')) throw error;
    await downloadFile(connection, path, local, options, scope, place);
  }
}

/** Who makes it can write into it. */
function directoryMode({ mode = DIRECTORY_MODE }: NodeStatus['posix']): number {
  return (mode & 0o777) | 0o700;
}
