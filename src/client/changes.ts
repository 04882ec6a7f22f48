/** The changes that both faces of the library make. Each did what it says when it resolves. */
import { createWriteStream, type Stats, type WriteStream } from 'node:fs';
import { open as openLocal, rm, stat as statLocal } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ByteString, joinPath, nameOf, parentOf } from '../base/byte-string.ts';
import { ClusterError } from '../cluster/index.ts';
import type { RemoveOptions } from '../cluster/worker-extras.ts';
import type { AttributeChange, FileContent, NodeStatus } from '../store/index.ts';
import type { Connection } from './connection.ts';
import { chunksOf, lengthOf, mustBeData } from './data.ts';
import { ofEntry } from './entries.ts';
import { AlluxioError, hasCode, shownPath } from './errors.ts';
import { forEachOf } from './many.ts';
import { ROOT } from './paths.ts';
import type { Scope } from './scope.ts';
import { entriesStillIn } from './tree.ts';
import type { CallOptions, Data } from './types.ts';

/** The words of Alluxio's own clients. */
export interface RmOptions extends CallOptions {
  readonly recursive?: boolean | undefined;
  /** The same, as other clients name it. */
  readonly recursiveAlias?: boolean | undefined;
  /** Forget it, and leave it in the under store: Enterprise. */
  readonly removeAlluxioOnly?: boolean | undefined;
  /** Enterprise. */
  readonly deleteMountPoint?: boolean | undefined;
  /** Enterprise. */
  readonly syncParentNextTime?: boolean | undefined;
  /** Accepted for the sake of other clients; nothing here checks what it would leave out. */
  readonly removeUncheckedOption?: boolean | undefined;
}

export interface MkdirOptions extends CallOptions {
  /** Missing parents as well; one that is there already is fine. As `mkdir -p`; true when left out. */
  readonly parents?: boolean | undefined;
}

export async function statOf(
  connection: Connection,
  path: ByteString,
  scope: Scope,
): Promise<NodeStatus> {
  return (await connection.names()).stat(path, scope.step());
}

export async function lookUp(
  connection: Connection,
  path: ByteString,
  scope: Scope,
): Promise<NodeStatus | undefined> {
  try {
    return await statOf(connection, path, scope);
  } catch (error) {
    // Below a file there is nothing.
    if (hasCode(error, 'not-found', 'not-a-directory')) return undefined;
    throw error;
  }
}

/** Whether it was made, and so has nothing in it. */
export async function makeDirectory(
  connection: Connection,
  path: ByteString,
  parents: boolean,
  scope: Scope,
  attributes: AttributeChange = {},
): Promise<boolean> {
  const store = await connection.store();
  if (!parents) {
    await mustHaveDirectory(connection, path, scope);
    await store.makeDirectory(path, attributes, scope.step());
    return true;
  }
  const found = await lookUp(connection, path, scope);
  if (found?.kind === 'directory') return false;
  if (found !== undefined) throw new AlluxioError('exists', 'The name is taken by a file');
  if (path !== ROOT) await makeDirectory(connection, parentOf(path), true, scope);
  try {
    await store.makeDirectory(path, attributes, scope.step());
    return true;
  } catch (error) {
    // Made meanwhile by somebody else, or by a sibling of this call.
    if (!hasCode(error, 'exists')) throw error;
    return false;
  }
}

/** Else whoever makes the name says that something is missing, but not what. */
async function mustHaveDirectory(
  connection: Connection,
  path: ByteString,
  scope: Scope,
): Promise<void> {
  const above = parentOf(path);
  const found = await lookUp(connection, above, scope);
  if (found?.kind === 'directory') return;
  const details = { path: shownPath(path) };
  if (found === undefined) {
    const reason = `The directory ${shownPath(above)} does not exist`;
    throw new AlluxioError('not-found', reason, details);
  }
  throw new AlluxioError('not-a-directory', `${shownPath(above)} is not a directory`, details);
}

export async function remove(
  connection: Connection,
  path: ByteString,
  options: RmOptions,
  scope: Scope,
): Promise<void> {
  connection.mustBeWritable();
  const recursive = options.recursive === true || options.recursiveAlias === true;
  const { removeAlluxioOnly, deleteMountPoint, syncParentNextTime } = options;
  // Neither of these words removes what an under store holds.
  if (removeAlluxioOnly !== true && deleteMountPoint !== true) mustBeRemovable(connection, path);
  if (removeAlluxioOnly === true || deleteMountPoint === true || syncParentNextTime === true) {
    const words: RemoveOptions = {
      recursive,
      removeAlluxioOnly: removeAlluxioOnly === true,
      deleteMountPoint: deleteMountPoint === true,
      syncParentNextTime: syncParentNextTime === true,
      removeUncheckedOption: options.removeUncheckedOption !== false,
    };
    const { owner, at } = await connection.placed(path, scope.step());
    await connection.extras.removeWith(owner, at, words, scope.step());
    return;
  }
  const node = await statOf(connection, path, scope);
  if (node.kind === 'directory' && !recursive) {
    await (await connection.store()).removeDirectory(path, scope.step());
  } else {
    await removeTree(connection, path, node, scope);
  }
}

function mustBeRemovable(connection: Connection, path: ByteString): void {
  if (path === ROOT) throw new AlluxioError('invalid', 'The root is not removed');
  if (connection.mounts.isMountedDirectory(path)) {
    const reason = 'An under store is mounted there, or below it: remove what is in it instead';
    throw new AlluxioError('invalid', reason);
  }
}

async function removeTree(
  connection: Connection,
  path: ByteString,
  node: NodeStatus,
  scope: Scope,
): Promise<void> {
  const store = await connection.store();
  if (node.kind !== 'directory') {
    // A rerun of what was interrupted, or another client, may have been quicker.
    await store.removeFile(path, false, scope.step()).catch(unlessMissing);
    return;
  }
  const directories: ByteString[] = [];
  await forEachOf(
    entriesStillIn(connection, path, scope),
    connection.concurrency,
    async ({ name, kind }) => {
      const child = joinPath(path, name);
      if (kind === 'directory') directories.push(child);
      else {
        await ofEntry({ operation: 'rm', path: child }, async () => {
          await store.removeFile(child, false, scope.step()).catch(unlessMissing);
        });
      }
    },
  );
  for (const child of directories) {
    const below = { ...node, name: nameOf(child) };
    await ofEntry({ operation: 'rm', path: child }, () =>
      removeTree(connection, child, below, scope),
    );
  }
  await store.removeDirectory(path, scope.step()).catch(unlessMissing);
}

/** Over a file or an empty directory that is there. A killed one is finished or undone by the next client. */
export async function move(
  connection: Connection,
  from: ByteString,
  to: ByteString,
  scope: Scope,
): Promise<void> {
  const options = { isExclusive: false, watched: [], keepsTarget: false };
  const store = await connection.store();
  await mustHaveDirectory(connection, to, scope);
  await store.rename(from, to, options, scope.long());
}

/** Where they are kept. */
export async function setAttributes(
  connection: Connection,
  path: ByteString,
  change: AttributeChange,
  scope: Scope,
): Promise<void> {
  if (connection.config.posixAttributes === 'off' || Object.keys(change).length === 0) return;
  await (await connection.store()).setAttributes(path, change, scope.step());
}

/** Where nothing is kept beside the files, a file has the time of its upload. */
export function timesOf({ config }: Connection, mtimeMs: number): AttributeChange {
  return config.posixAttributes === 'off' ? {} : { mtimeMs };
}

/** Whole milliseconds are what clusters keep, and what Node can set. */
export function sameTime(aMs: number, bMs: number): boolean {
  return Math.trunc(aMs) === Math.trunc(bMs);
}

/** Creates or replaces, as a whole; parents are made. */
export async function writeFile(
  connection: Connection,
  path: ByteString,
  data: Data,
  attributes: AttributeChange,
  scope: Scope,
): Promise<NodeStatus> {
  mustBeData(data);
  const lengthBytes = lengthOf(data);
  if (lengthBytes !== undefined) {
    const content: FileContent = { lengthBytes, open: () => chunksOf(data) };
    return putFile(connection, path, content, attributes, scope);
  }
  // A request says its length before its bytes, so what has none waits on the disk.
  const staged = await connection.stagingPath();
  const sink = createWriteStream(staged, { mode: 0o600 });
  try {
    const { signal } = scope;
    await fromCaller(
      () => chunksOf(data),
      scope,
      async (open) => {
        const source = Readable.from(open(), { objectMode: false });
        await pipeline(source, sink, { signal });
      },
    );
    return await putLocalFile(connection, staged, path, attributes, scope);
  } finally {
    await destroyed(sink);
    await rm(staged, { force: true });
  }
}

/** Until then it may still make the file that it was told to open. */
export async function destroyed(stream: WriteStream): Promise<void> {
  if (stream.closed) return;
  const isClosed = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.destroy();
  await isClosed;
}

/** Large enough for a request's overhead not to count. */
const LOCAL_CHUNK_BYTES = 1024 * 1024;

export interface PutOptions {
  /** What the caller knows of the local file; nothing is published where it is not that any more. */
  readonly seen?: Stats;
  /** The directory is there, and this name is known not to be in it. */
  readonly isNew?: boolean;
  /** Asked once all bytes but the last are sent; what it throws keeps them from being published. */
  readonly mayPublish?: () => Promise<void>;
}

export async function putLocalFile(
  connection: Connection,
  local: string | Buffer,
  path: ByteString,
  attributes: AttributeChange,
  scope: Scope,
  { seen, isNew, mayPublish }: PutOptions = {},
): Promise<NodeStatus> {
  const before = seen ?? (await statLocal(local));
  const open = (): AsyncIterable<Uint8Array> => unchanged(local, before, mayPublish);
  const content = { lengthBytes: before.size, open };
  const put = isNew === true ? putContent : putFile;
  return put(connection, path, content, attributes, scope);
}

/** Holds the last bytes back until the file is known to be what it was: else nothing is published. */
async function* unchanged(
  local: string | Buffer,
  before: Stats,
  mayPublish?: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await openLocal(local, 'r');
  try {
    let held: Uint8Array | undefined;
    // Of the size of what is left: most files are small, and memory for each would be for nothing.
    for (let at = 0; at < before.size;) {
      const chunk = Buffer.allocUnsafe(Math.min(LOCAL_CHUNK_BYTES, before.size - at));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      if (held !== undefined) yield held;
      held = bytesRead === chunk.length ? chunk : chunk.subarray(0, bytesRead);
    }
    const after = await file.stat();
    if (after.size !== before.size || !sameTime(after.mtimeMs, before.mtimeMs)) {
      const message = `${local.toString('utf8')} changed while it was uploaded`;
      throw new ClusterError('version-changed', message, { retryable: true });
    }
    await mayPublish?.();
    if (held !== undefined) yield held;
  } finally {
    await file.close();
  }
}

async function putFile(
  connection: Connection,
  path: ByteString,
  content: FileContent,
  attributes: AttributeChange,
  scope: Scope,
): Promise<NodeStatus> {
  // First, so that the look is one through what a killed process left.
  await connection.store();
  const found = await lookUp(connection, path, scope);
  if (found !== undefined && found.kind !== 'file') {
    const code = found.kind === 'directory' ? 'is-a-directory' : 'unsupported';
    throw new AlluxioError(code, `The target is a ${found.kind}`);
  }
  if (found === undefined) await makeDirectory(connection, parentOf(path), true, scope);
  return putContent(connection, path, content, attributes, scope);
}

async function putContent(
  connection: Connection,
  path: ByteString,
  content: FileContent,
  attributes: AttributeChange,
  scope: Scope,
): Promise<NodeStatus> {
  const store = await connection.store();
  return fromCaller(
    () => content.open(),
    scope,
    (open) => store.putFile(path, { ...content, open }, attributes, scope.long()),
  );
}

/** The bytes to write are the caller's, and so is what their source fails with. */
async function fromCaller<T>(
  source: () => AsyncIterable<Uint8Array>,
  { signal }: Scope,
  work: (open: () => AsyncGenerator<Uint8Array, void, undefined>) => Promise<T>,
): Promise<T> {
  let failure: { readonly error: unknown } | undefined;
  const open = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    const chunks = source()[Symbol.asyncIterator]();
    try {
      for (;;) {
        // Not around `yield`: what the taker throws back in is no failure of the source.
        const next = await chunks.next().catch((error: unknown) => {
          failure = { error };
          throw error;
        });
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  };
  try {
    return await work(open);
  } catch (error) {
    // A source that ends with the call did not fail.
    throw failure === undefined || signal.aborted ? error : unreadable(failure.error);
  }
}

function unreadable(error: unknown): unknown {
  if (error instanceof AlluxioError || error instanceof ClusterError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new AlluxioError('local', `The bytes to write cannot be read: ${reason}`, {
    cause: error,
  });
}

function unlessMissing(error: unknown): undefined {
  if (hasCode(error, 'not-found')) return undefined;
  throw error;
}
