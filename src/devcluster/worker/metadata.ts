/**
 * What one worker knows of the name space: statuses and listings, read from the under store once
 * and never revalidated, as the real worker does by default. A missing path is not remembered.
 * Listings do not feed statuses. A change through a worker, and a look at a missing path, drop the
 * parent's listing only in the worker that owns the path: other workers' listings stay as old as
 * they are. Nothing drops a path's own listing: a directory's outlives the directory.
 */
import { opendir, stat } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { wholeMs } from '../../base/file-time.ts';
import type { AlluxioPath } from './alluxio-uri.ts';
import { lastPartOf, parentOf, parseAlluxioPath } from './alluxio-uri.ts';
import type { Roots } from './roots.ts';

export interface Entry {
  readonly type: 'file' | 'directory';
  readonly name: string;
  /** Alluxio path, normalised. */
  readonly path: string;
  readonly ufsPath: string;
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A directory that Alluxio cannot list because of one of its entries; the message is that path. */
export class UnlistableError extends Error {}

/** Far above any test tree; the entries are small. */
const STATUSES_MAX = 1_000_000;
/** Entries in all cached listings together; the real worker's bound for one. */
const LISTED_ENTRIES_MAX = 1_000_000;
const STAT_BATCH = 64;

export class Metadata {
  readonly roots: Roots;
  readonly #statuses = new LRUCache<string, Entry>({ max: STATUSES_MAX });
  readonly #lists = new LRUCache<string, readonly Entry[]>({
    maxSize: LISTED_ENTRIES_MAX,
    sizeCalculation: (entries) => entries.length + 1,
  });
  /** Paths being written; they count as not found, and a cut upload leaves its path here. */
  readonly #writing = new Set<string>();

  constructor(roots: Roots) {
    this.roots = roots;
  }

  async status(path: AlluxioPath): Promise<Entry | undefined> {
    if (this.#writing.has(path.text)) return undefined;
    const cached = this.#statuses.get(path.text);
    if (cached !== undefined) return cached;
    const entry = await readEntry(path, this.roots);
    if (entry !== undefined) this.#statuses.set(path.text, entry);
    else this.#lists.delete(parentOf(path.text));
    return entry;
  }

  async list(path: AlluxioPath): Promise<readonly Entry[] | undefined> {
    const cached = this.#lists.get(path.text);
    if (cached !== undefined) return cached;
    const entries = await readList(path, this.roots);
    if (entries !== undefined) this.#lists.set(path.text, entries);
    return entries;
  }

  /** The paths may be others from now on. */
  forget(): void {
    this.#statuses.clear();
    this.#lists.clear();
  }

  beginWrite(text: string): void {
    this.#writing.add(text);
  }

  changed(text: string): void {
    this.#writing.delete(text);
    this.#statuses.delete(text);
    this.#lists.delete(parentOf(text));
  }
}

/** What holds the mount points lies in no under store. */
const ROOT_OF_MOUNTS: Entry = {
  type: 'directory',
  name: '',
  path: '/',
  ufsPath: '/',
  lengthBytes: 0,
  mtimeMs: 0,
  mode: 0o755,
  uid: 0,
  gid: 0,
};

async function mountEntries(roots: Roots): Promise<Entry[]> {
  const entries = roots.all.map(({ path }) => readEntry({ path, text: path }, roots));
  return (await Promise.all(entries)).filter((entry) => entry !== undefined);
}

export async function readEntry(path: AlluxioPath, roots: Roots): Promise<Entry | undefined> {
  if (path.path.includes('\0')) return undefined;
  if (path.path === '/' && roots.isOfMounts) return ROOT_OF_MOUNTS;
  try {
    return await entryOf(path, roots.filePathOf(path.path), roots);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export async function readList(
  path: AlluxioPath,
  roots: Roots,
): Promise<readonly Entry[] | undefined> {
  if (path.path === '/' && roots.isOfMounts) return await mountEntries(roots);
  const own = await readEntry(path, roots);
  if (own === undefined || own.type === 'file') return own && [own];
  const dirPath = roots.filePathOf(path.path);
  const names: string[] = [];
  // In the order of the file system, as the real worker gives them. Node's types know `buffer`
  // names for readdir only, and readdir sorts.
  const dir = await opendir(dirPath, { encoding: 'latin1' as BufferEncoding });
  for await (const item of dir) {
    const bytes = Buffer.from(item.name, 'latin1');
    const name = bytes.toString('utf8');
    if (!Buffer.from(name, 'utf8').equals(bytes)) throw new UnlistableError(`${dirPath}/${name}`);
    // The entry's path would lose what follows the `?`: the real worker leaves it out.
    if (!name.includes('?')) names.push(name);
  }
  const entries: Entry[] = [];
  for (let i = 0; i < names.length; i += STAT_BATCH) {
    const batch = names.slice(i, i + STAT_BATCH).map(async (name) => {
      const filePath = `${dirPath}/${name}`;
      const child = parseAlluxioPath(`${path.path}/${name}`);
      if (child === undefined) throw new UnlistableError(filePath);
      try {
        const ufsPath = `${roots.uriOf(path.path)}/${name}`;
        return { ...(await entryOf(child, filePath, roots)), ufsPath };
      } catch {
        // A dangling link makes the whole directory unlistable.
        throw new UnlistableError(filePath);
      }
    });
    entries.push(...(await Promise.all(batch)));
  }
  return entries;
}

async function entryOf(path: AlluxioPath, filePath: string, roots: Roots): Promise<Entry> {
  const stats = await stat(filePath, { bigint: true });
  const isDirectory = stats.isDirectory();
  return {
    type: isDirectory ? 'directory' : 'file',
    name: path.path === '/' ? lastPartOf(filePath) : lastPartOf(path.path),
    path: path.path,
    ufsPath: roots.uriOf(path.text),
    lengthBytes: isDirectory ? 0 : Number(stats.size),
    mtimeMs: wholeMs(stats.mtimeNs),
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
  };
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP';
}
