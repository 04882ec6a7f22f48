/** An under store in memory over the same files as the scripted workers. */
import type { ByteString } from '../../src/base/byte-string.ts';
import type { ByteSink, FileStatus, FileVersion } from '../../src/cluster/types.ts';
import { ClusterError } from '../../src/cluster/types.ts';
import type { UnderStore, UnderStoreRead } from '../../src/cluster/under-store.ts';
import type { ScriptedFile, ScriptedWorkers } from './scripted-workers.ts';

export class MemoryUnderStore implements UnderStore {
  readonly #workers: ScriptedWorkers;
  isUp = true;
  reads = 0;

  constructor(workers: ScriptedWorkers) {
    this.#workers = workers;
  }

  isReachable(): Promise<boolean> {
    return Promise.resolve(this.isUp);
  }

  async stat(path: ByteString): Promise<FileStatus> {
    const { bytes, mtimeMs } = this.#file(path);
    const name = path.slice(path.lastIndexOf('/') + 1) as ByteString;
    return await Promise.resolve({ name, type: 'file', lengthBytes: bytes.length, mtimeMs });
  }

  async *list(path: ByteString): AsyncGenerator<FileStatus[], void, undefined> {
    for await (const names of this.names(path)) {
      yield names.map((name) => ({ name, type: 'file', lengthBytes: 1, mtimeMs: 1 }));
    }
  }

  async *names(path: ByteString): AsyncGenerator<ByteString[], void, undefined> {
    const names = await Promise.resolve(this.#workers.directories.get(path));
    if (names === undefined) throw new ClusterError('not-found', 'No such directory');
    yield names as ByteString[];
  }

  async read(
    { path, offset, lengthBytes }: UnderStoreRead,
    sink: ByteSink,
  ): Promise<{ lengthBytes: number; version: FileVersion }> {
    this.reads += 1;
    const { bytes, mtimeMs } = await Promise.resolve(this.#file(path));
    const part = bytes.subarray(offset, offset + lengthBytes);
    sink(part, 0);
    return { lengthBytes: part.length, version: { lengthBytes: bytes.length, mtimeMs } };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #file(path: ByteString): ScriptedFile {
    const file = this.#workers.files.get(path);
    if (file === undefined) throw new ClusterError('not-found', 'No such file', { path });
    return file;
  }
}
