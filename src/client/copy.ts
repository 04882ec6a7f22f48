/** From one name of the cluster to another. */
import { type ByteString, isWithin, joinPath } from '../base/byte-string.ts';
import type { AttributeChange, NodeStatus } from '../store/index.ts';
import { lookUp, makeDirectory, sameTime, setAttributes, statOf } from './changes.ts';
import type { Connection } from './connection.ts';
import { readPieces } from './content.ts';
import { ofEntry, type Entry } from './entries.ts';
import { AlluxioError, hasCode, shownPath } from './errors.ts';
import { forEachOf } from './many.ts';
import { shownTime } from './paths.ts';
import type { Scope } from './scope.ts';
import { entriesOf } from './tree.ts';
import type { CallOptions } from './types.ts';

export interface CopyOptions extends CallOptions {
  /** Of directories. */
  readonly recursive?: boolean | undefined;
  /** The target shows the time of its source; true when left out. */
  readonly preserveTimes?: boolean | undefined;
  /** What has the length and the time of its source already is left as it is. */
  readonly resume?: boolean | undefined;
  /** Files at a time. */
  readonly concurrency?: number | undefined;
  readonly onFile?:
    ((path: string, size: number, outcome: 'copied' | 'skipped') => void) | undefined;
  /**
   * Told of what of a tree is left out: the cluster can neither name nor keep it, or it is gone. Else it is the
   * end of the call, as every other failure is.
   */
  readonly onError?: ((error: AlluxioError) => void) | undefined;
}

/** Of a file: verified, and there as a whole. */
export async function copyFile(
  connection: Connection,
  from: ByteString,
  to: ByteString,
  options: CopyOptions,
  scope: Scope,
): Promise<void> {
  const node = await statOf(connection, from, scope);
  if (node.kind === 'directory') {
    throw new AlluxioError('is-a-directory', 'The source is a directory; copy it recursively');
  }
  if (node.kind !== 'file') {
    throw new AlluxioError('unsupported', `A ${node.kind} cannot be copied: it has no content`);
  }
  if (from === to) throw new AlluxioError('invalid', 'The source and the target are the same file');
  const shownMs = shownTime(node);
  const before = await lookUp(connection, to, scope);
  if (before?.kind === 'directory')
    throw new AlluxioError('is-a-directory', 'The target is a directory');
  const isSame = before?.lengthBytes === node.lengthBytes;
  if (options.resume === true && isSame && sameTime(shownTime(before), shownMs)) {
    options.onFile?.(shownPath(from), node.lengthBytes, 'skipped');
    return;
  }
  const isNew = before === undefined;
  const permissions = isNew ? permissionsOf(connection, node) : {};
  await copyBytes(connection, from, to, { isNew, permissions }, scope);
  const times = options.preserveTimes === false ? {} : { mtimeMs: shownMs };
  await setAttributes(connection, to, { ...permissions, ...times }, scope);
  options.onFile?.(shownPath(from), node.lengthBytes, 'copied');
}

/** Who may do what with a new copy, where the source tells it: else what was private would be everybody's. */
function permissionsOf({ config }: Connection, { posix }: NodeStatus): AttributeChange {
  if (config.posixAttributes === 'off') return {};
  const { mode, uid, gid } = posix;
  return {
    ...(mode === undefined ? {} : { mode: mode & 0o777 }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}

interface CopyTarget {
  readonly isNew: boolean;
  readonly permissions: AttributeChange;
}

async function copyBytes(
  connection: Connection,
  from: ByteString,
  to: ByteString,
  { isNew, permissions }: CopyTarget,
  scope: Scope,
): Promise<void> {
  const { writer } = connection.routed;
  const throughHere = (): Promise<void> =>
    copyThroughHere(connection, from, to, permissions, scope);
  // Where files are written past the workers, these need not move the bytes.
  if (await writer.canRename(to)) return throughHere();
  // A worker's copy is there before it can be said whose it is.
  const { mode = connection.config.fileMode } = permissions;
  if ((connection.config.fileMode & ~mode) !== 0) return throughHere();
  try {
    await writer.copyFile(from, to, { signal: scope.signal });
  } catch (error) {
    // The bytes can go through here to a name, or from one, that only the under store has.
    if (hasCode(error, 'inexpressible')) return throughHere();
    // What a worker left half done must not stay where nothing was.
    if (isNew) await writer.deleteFile(to, { signal: tidying() }).catch(ignore);
    throw error;
  }
}

async function copyThroughHere(
  connection: Connection,
  from: ByteString,
  to: ByteString,
  permissions: AttributeChange,
  scope: Scope,
): Promise<void> {
  const store = await connection.store();
  const version = await store.stat(from, scope.step());
  const { lengthBytes } = version;
  const range = { from: 0, to: lengthBytes };
  const open = (): AsyncIterable<Uint8Array> =>
    readPieces(connection, { path: from, version }, range, scope);
  await store.putFile(to, { lengthBytes, open }, permissions, scope.long());
}

export async function copyTree(
  connection: Connection,
  from: ByteString,
  to: ByteString,
  options: CopyOptions,
  scope: Scope,
  known?: NodeStatus,
): Promise<void> {
  if (isWithin(to, from))
    throw new AlluxioError('invalid', 'A directory cannot be copied into itself');
  const own = known ?? (await statOf(connection, from, scope));
  await makeDirectory(connection, to, true, scope, permissionsOf(connection, own));
  const { onError } = options;
  const entryOf = (name: ByteString): Entry => {
    return { operation: 'copy', path: joinPath(from, name), onError };
  };
  const directories: NodeStatus[] = [];
  const atOnce = options.concurrency ?? connection.concurrency;
  await forEachOf(entriesOf(connection, from, scope), atOnce, async (node) => {
    if (node.kind === 'directory') {
      directories.push(node);
      return;
    }
    const entry = entryOf(node.name);
    const at = joinPath(to, node.name);
    await ofEntry(entry, () =>
      node.kind === 'file'
        ? copyFile(connection, entry.path, at, options, scope)
        : copySpecial(connection, entry.path, at, node, options, scope),
    );
  });
  for (const node of directories) {
    const entry = entryOf(node.name);
    const at = joinPath(to, node.name);
    await ofEntry(entry, () => copyTree(connection, entry.path, at, options, scope, node));
  }
}

/** A link, or what else is nothing but a record beside the files. */
async function copySpecial(
  connection: Connection,
  from: ByteString,
  to: ByteString,
  { kind, lengthBytes, posix }: NodeStatus,
  options: CopyOptions,
  scope: Scope,
): Promise<void> {
  if (kind === 'file' || kind === 'directory') return;
  const store = await connection.store();
  const there = await lookUp(connection, to, scope);
  if (there?.kind === 'directory')
    throw new AlluxioError('is-a-directory', 'The target is a directory');
  const isSame = there?.kind === kind && there.posix.target === posix.target;
  if (options.resume === true && isSame) {
    options.onFile?.(shownPath(from), lengthBytes, 'skipped');
    return;
  }
  if (there !== undefined) await store.removeFile(to, false, scope.step());
  const { atimeMs: _a, ctimeMs: _c, xattrs: _x, mtimeMs, ...rest } = posix;
  const keepsTime = options.preserveTimes !== false && mtimeMs !== undefined;
  const attributes = keepsTime ? { ...rest, mtimeMs } : rest;
  await store.makeNode(to, kind, attributes, scope.step());
  options.onFile?.(shownPath(from), lengthBytes, 'copied');
}

/** Whoever gave up does not wait for long, nor leaves half a file. */
function tidying(): AbortSignal {
  return AbortSignal.timeout(5_000);
}

function ignore(): void {
  // It is the first failure that counts.
}
