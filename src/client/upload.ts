/** From this machine's disk to the cluster. */
import { opendir, stat } from 'node:fs/promises';
import { byteStringOfBytes, joinPath, type ByteString } from '../base/byte-string.ts';
import { enteredFrom } from '../base/link-circle.ts';
import { lookUp, makeDirectory, putLocalFile, sameTime, timesOf } from './changes.ts';
import type { Connection } from './connection.ts';
import type { TransferOptions } from './download.ts';
import { ofEntry, type Entry } from './entries.ts';
import { AlluxioError } from './errors.ts';
import { joinLocal } from './local-path.ts';
import { forEachOf } from './many.ts';
import { shownTime } from './paths.ts';
import { PART_PREFIX } from './part-file.ts';
import type { Scope } from './scope.ts';

export async function uploadFile(
  connection: Connection,
  from: Buffer,
  to: ByteString,
  options: TransferOptions,
  scope: Scope,
  isNew = false,
): Promise<void> {
  const before = await stat(from);
  const shown = from.toString('utf8');
  if (before.isDirectory()) {
    throw new AlluxioError('is-a-directory', 'A directory; upload it recursively', { path: shown });
  }
  if (!before.isFile()) throw new AlluxioError('local', 'Not a plain file', { path: shown });
  const mtimeMs = Math.trunc(before.mtimeMs);
  if (options.resume === true) {
    const there = await lookUp(connection, to, scope);
    const isSame = there?.kind === 'file' && there.lengthBytes === before.size;
    if (isSame && sameTime(shownTime(there), mtimeMs)) {
      options.onFile?.(shown, before.size, 'skipped');
      return;
    }
  }
  const attributes = options.preserveTimes === false ? {} : timesOf(connection, mtimeMs);
  await putLocalFile(connection, from, to, attributes, scope, { seen: before, isNew });
  options.onBytes?.(before.size);
  options.onFile?.(shown, before.size, 'copied');
}

/**
 * Links are followed, as by `cp -rL`; what is neither file nor directory, and a link to a directory that
 * it lies in, is an error. `above`: the directories that this one lies in.
 */
export async function uploadTree(
  connection: Connection,
  from: Buffer,
  to: ByteString,
  options: TransferOptions,
  scope: Scope,
  above: readonly string[] = [],
): Promise<void> {
  const entered = enteredFrom(above, await stat(from, { bigint: true }));
  if (entered === undefined) {
    const path = from.toString('utf8');
    throw new AlluxioError('local', 'It links to a directory that it lies in', { path });
  }
  const isNew = await makeDirectory(connection, to, true, scope);
  const { onError } = options;
  const entryOf = (name: ByteString): Entry => {
    return { operation: 'upload', path: joinPath(to, name), local: joinLocal(from, name), onError };
  };
  const directories: ByteString[] = [];
  const atOnce = options.concurrency ?? connection.concurrency;
  await forEachOf(namesIn(from), atOnce, async (name) => {
    const local = joinLocal(from, name);
    await ofEntry(entryOf(name), async () => {
      // Its own times tell whether a cluster's copy is the same, so a link's target counts.
      const isDirectory = (await stat(local)).isDirectory();
      if (isDirectory) directories.push(name);
      else await uploadFile(connection, local, joinPath(to, name), options, scope, isNew);
    });
  });
  for (const name of directories) {
    const local = joinLocal(from, name);
    await ofEntry(entryOf(name), () =>
      uploadTree(connection, local, joinPath(to, name), options, scope, entered),
    );
  }
}

async function* namesIn(directory: Buffer): AsyncGenerator<ByteString, void, undefined> {
  // Node's types know no names in bytes here; Node does.
  const encoding = 'buffer' as unknown as BufferEncoding;
  for await (const entry of await opendir(directory, { encoding })) {
    const name = byteStringOfBytes(entry.name as unknown as Buffer);
    if (!name.startsWith(PART_PREFIX)) yield name;
  }
}
