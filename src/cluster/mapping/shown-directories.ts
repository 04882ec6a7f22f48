/** Directories that a name space shows though no under store has them, such as mount points. */
import { isWithin, nameOf } from '../../base/byte-string.ts';
import type { ByteString } from '../../base/byte-string.ts';
import type { FileStatus } from '../types.ts';
import { ClusterError } from '../types.ts';

export class ShownDirectories {
  readonly #paths: readonly ByteString[];

  /** Normalised paths; what leads to them is shown as well. */
  constructor(paths: readonly ByteString[]) {
    this.#paths = paths;
  }

  /** Whether it is one, or leads to one. */
  has(path: ByteString): boolean {
    return this.#paths.some((shown) => isWithin(shown, path));
  }

  /** The names that belong into a listing of the directory. */
  namesIn(directory: ByteString): ByteString[] {
    const parent = trimmed(directory);
    const names = new Set<ByteString>();
    for (const path of this.#paths) {
      if (path === '/' || !path.startsWith(`${parent}/`)) continue;
      const name = path.slice(parent.length + 1).split('/', 1)[0] ?? '';
      if (name !== '') names.add(name as ByteString);
    }
    return [...names].sort();
  }

  /** `below`: what has the path in an under store; undefined where none can. */
  async stat(
    path: ByteString,
    below: (() => Promise<FileStatus>) | undefined,
  ): Promise<FileStatus> {
    if (below === undefined) return shownDirectory(path);
    return await below().catch((error: unknown) => {
      if (path !== '/' && this.has(path) && isNotFound(error)) return shownDirectory(path);
      throw error;
    });
  }

  /** What lies below, and instead of files of their names the directories that are shown. */
  list(
    path: ByteString,
    below: (() => AsyncIterable<FileStatus[]>) | undefined,
  ): AsyncIterable<FileStatus[]> {
    const names = this.namesIn(path);
    return names.length === 0 && below !== undefined ? below() : this.#list(path, names, below);
  }

  async *#list(
    path: ByteString,
    names: readonly ByteString[],
    below: (() => AsyncIterable<FileStatus[]>) | undefined,
  ): AsyncGenerator<FileStatus[]> {
    const missing = new Set(names);
    if (below !== undefined) {
      try {
        for await (const batch of below()) {
          const shown = batch.filter(
            ({ name, type }) => type === 'directory' || !missing.has(name),
          );
          for (const { name, type } of shown) if (type === 'directory') missing.delete(name);
          yield shown;
        }
      } catch (error) {
        // One on the way to another, which the under store above need not have.
        if (path === '/' || !isNotFound(error)) throw error;
      }
    }
    yield [...missing].map((name) => shownDirectory(`${trimmed(path)}/${name}` as ByteString));
  }
}

export function trimmed(path: ByteString): string {
  return path === '/' ? '' : path;
}

/** Nobody says when it was changed. */
function shownDirectory(path: ByteString): FileStatus {
  const name = nameOf(path);
  return { type: 'directory', name, lengthBytes: 0, mtimeMs: 0 };
}

function isNotFound(error: unknown): boolean {
  return error instanceof ClusterError && error.code === 'not-found';
}
