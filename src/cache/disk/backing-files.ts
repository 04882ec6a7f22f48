/** Where the backing files of a cache directory lie, and which files there are ours. */
import { mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makePrivateDirectory } from '../../base/private-directory.ts';
import { hexOfKey, keyOfHex } from './cache-key.ts';
import type { FileIdentity } from './records.ts';

/** Below the directory that was given, which may hold other things, too. */
const OWN = 'alluxio-fuse-cache';
const PATTERN = /^([0-9a-f]{32})-([0-9a-f]{8})$/;
/** Spreads a million files to 4000 a directory. */
const FOLDERS = 256;

export class BackingFiles {
  readonly root: string;
  readonly indexPath: string;
  readonly lockPath: string;
  readonly #files: string;
  readonly #made = new Set<string>();

  constructor(directory: string) {
    this.root = join(directory, OWN);
    this.indexPath = join(this.root, 'index');
    this.lockPath = join(this.root, 'lock');
    this.#files = join(this.root, 'files');
  }

  make(): void {
    makePrivateDirectory(this.root);
  }

  /** For a new file. */
  async makeFolder(path: string): Promise<void> {
    const folder = dirname(path);
    if (this.#made.has(folder)) return;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#made.add(folder);
  }

  pathOf({ key, nonce }: FileIdentity): string {
    const hex = hexOfKey(key);
    return join(this.#files, hex.slice(0, 2), `${hex}-${nonce.toString(16).padStart(8, '0')}`);
  }

  /** Undefined where the name is not one of ours. */
  identityOf(path: string): FileIdentity | undefined {
    const [, hex, nonce] = PATTERN.exec(basename(path)) ?? [];
    if (hex === undefined || nonce === undefined) return undefined;
    const identity = { key: keyOfHex(hex), nonce: Number.parseInt(nonce, 16) };
    return this.pathOf(identity) === path ? identity : undefined;
  }

  /** Every file that has a name of ours, folder by folder. */
  async *walk(): AsyncGenerator<{ readonly path: string; readonly identity: FileIdentity }> {
    for (const folder of this.#folders()) {
      let names: string[];
      try {
        names = await readdir(folder);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw error;
      }
      for (const name of names) {
        const path = join(folder, name);
        const identity = this.identityOf(path);
        if (identity !== undefined) yield { path, identity };
      }
    }
  }

  /** What the file takes of the disk. */
  async diskBytes(path: string): Promise<number> {
    // stat(2) counts blocks of 512 bytes.
    return (await stat(path)).blocks * 512;
  }

  async remove(path: string): Promise<void> {
    try {
      await unlink(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  #folders(): string[] {
    return Array.from({ length: FOLDERS }, (_, index) =>
      join(this.#files, index.toString(16).padStart(2, '0')),
    );
  }
}
