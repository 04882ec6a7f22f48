/**
 * The files that are read: the same for every subject, made once. Contents are random, so that
 * nothing on the way can compress them.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './children.ts';
import type { Workload } from './workload.ts';

/** Directory under the root of the name space; also the bucket of the S3 server. */
export const DATA_FOLDER = 'bench';
export const SMALL_FILES = 3000;
export const SMALL_BYTES = 110_000;
export const MANY_ENTRIES = 10_000;
export const HUGE_ENTRIES = 100_000;
/** Directories of a tree, in tens, each with so many empty files. */
const TREE_DIRECTORIES = 1000;
const TREE_FILES = 20;
export const BIG_BYTES = 500_000_000;
/** Read before the big one is measured. */
export const FIRST_BYTES = 300_000_000;
/** Files of one set that no worker has ever seen. */
export const FRESH_FILES = 300;

const BLOCK_BYTES = 1_000_000;
const SYNC_MS = 300_000;

const numbered = (folder: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${folder}/f${String(i).padStart(5, '0')}.bin`);

export class DataSet {
  /** Root of the name space on the local disk. */
  readonly root: string;
  readonly big = 'big/sequential.bin';
  readonly first = 'big/first.bin';
  readonly small = numbered('small', SMALL_FILES);
  readonly many = 'many';
  readonly #fresh: string[] = [];

  constructor(root: string) {
    this.root = root;
  }

  /** All that `make` makes, below `folder`. */
  get made(): string[] {
    return [this.big, this.first, ...this.small, ...numbered(this.many, MANY_ENTRIES)];
  }

  get folder(): string {
    return join(this.root, DATA_FOLDER);
  }

  async make(): Promise<void> {
    const marker = join(this.folder, 'complete');
    // A real worker never looks at the under store again: files once made must not change.
    if (existsSync(marker)) return;
    for (const name of ['big', 'small', 'many']) {
      await mkdir(join(this.folder, name), { recursive: true });
    }
    await writeRandom(join(this.folder, this.big), BIG_BYTES);
    await writeRandom(join(this.folder, this.first), FIRST_BYTES);
    for (const path of this.small)
      await writeFile(join(this.folder, path), randomBytes(SMALL_BYTES));
    for (const path of numbered(this.many, MANY_ENTRIES)) {
      await writeFile(join(this.folder, path), 'x');
    }
    await writeFile(marker, '');
    await runCommand('sync', ['-f', this.folder], { timeoutMs: SYNC_MS });
  }

  /** A directory of HUGE_ENTRIES empty files; made when it is asked for first. */
  async huge(workload: Workload): Promise<string> {
    return this.#once('huge', (folder) => workload.make(folder, HUGE_ENTRIES));
  }

  /** The like of TREE_DIRECTORIES directories. */
  async tree(workload: Workload): Promise<string> {
    return this.#once('tree', async (folder) => {
      for (let i = 0; i < TREE_DIRECTORIES; i++) {
        const directory = join(folder, `d${Math.floor(i / 10)}`, `d${i % 10}`);
        await mkdir(directory, { recursive: true });
        await workload.make(directory, TREE_FILES);
      }
    });
  }

  async #once(name: string, fill: (folder: string) => Promise<unknown>): Promise<string> {
    const marker = join(this.root, `${name}-complete`);
    if (existsSync(marker)) return name;
    await mkdir(join(this.folder, name), { recursive: true });
    await fill(join(this.folder, name));
    await writeFile(marker, '');
    return name;
  }

  /** Names of so many files of BIG_BYTES, on no new disk space. */
  async streams(count: number): Promise<string[]> {
    const paths = Array.from({ length: count }, (_, i) => `big/stream-${i}.bin`);
    for (const path of paths) {
      if (existsSync(join(this.folder, path))) continue;
      await link(join(this.folder, this.big), join(this.folder, path));
    }
    return paths;
  }

  /** Paths that no server has been asked for yet: new names for small files, on no new disk space. */
  async fresh(): Promise<string[]> {
    const name = `fresh-${Date.now()}-${this.#fresh.length}`;
    await mkdir(join(this.folder, name));
    this.#fresh.push(name);
    const paths = numbered(name, FRESH_FILES);
    for (const [i, path] of paths.entries()) {
      await link(join(this.folder, this.small[i] as string), join(this.folder, path));
    }
    return paths;
  }

  async removeFresh(): Promise<void> {
    for (const name of this.#fresh.splice(0)) {
      await rm(join(this.folder, name), { recursive: true, force: true });
    }
  }
}

async function writeRandom(path: string, lengthBytes: number): Promise<void> {
  const file = await open(path, 'w');
  for (let done = 0; done < lengthBytes; done += BLOCK_BYTES) {
    await file.write(randomBytes(BLOCK_BYTES));
  }
  await file.close();
}
