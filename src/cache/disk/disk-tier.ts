/**
 * The disk tier: cached files over several directories. It never fails and makes nobody wait for a
 * write: what does not work is a page that is not there.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ByteString } from '../../base/byte-string.ts';
import { LinkedSignal } from '../../base/linked-signal.ts';
import { cacheKeyOf } from './cache-key.ts';
import type { CacheKey, ContentVersion } from './cache-key.ts';
import { DiskDirectory } from './disk-directory.ts';
import type { DirectoryOptions } from './disk-directory.ts';
import type { Row } from './file-table.ts';
import type { FileIdentity, FileRecord } from './records.ts';
import { FILES_PER_TURN } from './remover.ts';
import { newFigures } from './types.ts';
import type { BackingMessage, DiskDirectoryStatus, DiskFigures } from './types.ts';
import { WriteBehind } from './write-behind.ts';
import type { PageCopy } from './write-behind.ts';

/** More (4 TiB at pages of 1 MiB) would make the table of one file as large as that of a million. */
const PAGES_MAX = 2 ** 22;
/** Files of a directory that wait to be checked; more are checked when they are asked for again. */
const CHECKS_MAX = 1024;
const NEW_MS = 3_000;

export type DiskTierOptions = Omit<DirectoryOptions, 'directory' | 'figures'> & {
  readonly directories: readonly string[];
  /** Names the cluster's name space. */
  readonly place: string;
  /** Directories that cannot be used are left out, as if they had failed later. */
  readonly isForgiving: boolean;
};

export interface DiskTierStatus {
  readonly directories: readonly DiskDirectoryStatus[];
  readonly queuedBytes: number;
  readonly queueLimitBytes: number;
  readonly figures: DiskFigures;
}

export type ListedFile = Pick<FileRecord, 'path' | 'lengthBytes' | 'mtimeMs' | 'lastUseS'> & {
  readonly directory: string;
  readonly cachedBytes: number;
  readonly isComplete: boolean;
};

/** One version of one file, for one job. */
export interface CachedContent {
  has(pageIndex: number): boolean;
  /** As `has`, for who does not want to read it: no miss. */
  isKept(pageIndex: number): boolean;
  /**
   * Reads pages that follow each other, each into its pieces of memory; which of them are now there and
   * right. The memory is used until this is over. Never rejects.
   */
  read(firstPage: number, pages: readonly (readonly Uint8Array[])[]): Promise<readonly boolean[]>;
  /** A copy to be kept or discarded; undefined where there is no room for one. */
  copy(pageIndex: number, pieces: readonly Uint8Array[]): PageCopy | undefined;
  /** Resolves when they are on the disk, or will not be. */
  keep(copies: readonly PageCopy[]): Promise<void>;
  discard(copies: readonly PageCopy[]): void;
}

export class DiskTier {
  readonly #options: DiskTierOptions;
  readonly #directories: readonly DiskDirectory[];
  readonly #unusable: readonly DiskDirectoryStatus[];
  readonly #figures: DiskFigures;
  readonly #queue: WriteBehind;
  /** By directory, since one that hangs must not keep the others waiting; by name. */
  readonly #checks = new Map<DiskDirectory, Map<string, FileIdentity>>();
  readonly #ending = new AbortController();

  private constructor(
    options: DiskTierOptions,
    directories: readonly DiskDirectory[],
    unusable: readonly DiskDirectoryStatus[],
    figures: DiskFigures,
  ) {
    this.#options = options;
    this.#directories = directories;
    this.#unusable = unusable;
    this.#figures = figures;
    this.#queue = new WriteBehind(options.pageSizeBytes, (pages) => {
      // Nobody knows; should they get there all the same, so much the better.
      figures.notKeptPages.failed += pages;
    });
  }

  /** Rejects where a directory cannot be used, unless it is forgiving. */
  static async open(options: DiskTierOptions): Promise<DiskTier> {
    const figures = newFigures();
    const opened: DiskDirectory[] = [];
    const unusable: DiskDirectoryStatus[] = [];
    for (const directory of options.directories) {
      try {
        opened.push(await DiskDirectory.open({ ...options, directory, figures }));
      } catch (error) {
        if (!options.isForgiving) {
          await Promise.all(opened.map((other) => other.close()));
          throw error;
        }
        const reason = (error as Error).message;
        options.events.retired(directory, reason);
        unusable.push(unusableStatus(directory, reason, options.limitBytes));
      }
    }
    return new DiskTier(options, opened, unusable, figures);
  }

  /** Undefined where no directory is left. */
  contentOf(path: ByteString, version: ContentVersion): CachedContent | undefined {
    if (this.#directories.every((directory) => directory.isRetired)) return undefined;
    const pages = Math.ceil(version.lengthBytes / this.#options.pageSizeBytes);
    if (pages === 0 || pages > PAGES_MAX) return undefined;
    const key = cacheKeyOf(this.#options.place, path, version);
    const figures = this.#figures;
    const isKept = (pageIndex: number): boolean => {
      const found = this.#find(key);
      return found?.directory.hasPage(found.row, pageIndex) === true;
    };
    return {
      has: (pageIndex) => {
        const isThere = isKept(pageIndex);
        if (!isThere) figures.missedPages++;
        return isThere;
      },
      isKept,
      read: async (firstPage, wanted) => {
        const found = this.#find(key);
        if (found === undefined) return wanted.map(() => false);
        const isRight = await found.directory.read(found.row, firstPage, wanted);
        for (const [order, pieces] of wanted.entries()) {
          if (isRight[order] !== true) continue;
          figures.hitPages++;
          for (const piece of pieces) figures.readBytes += piece.length;
        }
        return isRight;
      },
      copy: (pageIndex, pieces) => {
        if (isTooNew(version)) {
          figures.notKeptPages['too-new']++;
          return undefined;
        }
        const copy = this.#queue.copy(pageIndex, pieces);
        if (copy === undefined) figures.notKeptPages['queue-full']++;
        return copy;
      },
      keep: async (copies) => {
        if (copies.length === 0) return;
        const batch = { key, path, version, copies };
        await this.#queue.add(copies, async () => await this.#directoryFor(key)?.write(batch));
      },
      discard: (copies) => this.#queue.discard(copies),
    };
  }

  /** The backing file, if it is complete and was checked; a check is begun where that is missing. */
  findBacking(path: ByteString, version: ContentVersion): BackingMessage | undefined {
    const found = this.#find(cacheKeyOf(this.#options.place, path, version));
    if (found === undefined) return undefined;
    const { directory, row } = found;
    const backing = directory.backingOf(row);
    if (backing !== undefined) return backing;
    if (directory.isComplete(row)) this.#check(directory, directory.identityOf(row));
    return undefined;
  }

  /** Somebody saw that it is not the file that was checked. */
  refused(file: string): void {
    for (const directory of this.#directories) {
      const identity = directory.doubt(file);
      if (identity !== undefined) this.#check(directory, identity);
    }
  }

  /** The kernel reads from it: it stays. As often as it is told. */
  held(file: string): void {
    this.#directories.some((directory) => directory.hold(file));
  }

  freed(file: string): void {
    for (const directory of this.#directories) directory.release(file);
  }

  status(): DiskTierStatus {
    return {
      directories: [...this.#directories.map((directory) => directory.status()), ...this.#unusable],
      queuedBytes: this.#queue.usedBytes,
      queueLimitBytes: this.#queue.limitBytes,
      figures: this.#figures,
    };
  }

  /** Tells every file, in no order; now and then `rest` may take its time. */
  async list(tell: (file: ListedFile) => void, rest?: () => Promise<void>): Promise<void> {
    await this.#each(async (directory) => {
      const { directory: name } = directory.status();
      await directory.list((record, heldPages, cachedBytes) => {
        const { path, lengthBytes, mtimeMs, lastUseS } = record;
        const pages = Math.ceil(lengthBytes / this.#options.pageSizeBytes);
        const isComplete = heldPages === pages;
        const file = { path, lengthBytes, mtimeMs, lastUseS, directory: name, cachedBytes };
        tell({ ...file, isComplete });
      }, rest);
    });
  }

  /** Drops what `isMeant` says of the path. */
  async drop(isMeant: (path: ByteString) => boolean): Promise<DropResult> {
    const result = { files: 0, bytes: 0, inUse: 0 };
    await this.#each(async (directory) => {
      const meant = await identitiesOf(directory, isMeant);
      for (const [order, identity] of meant.entries()) {
        if (order % FILES_PER_TURN === FILES_PER_TURN - 1) await nextTurn();
        if (this.#ending.signal.aborted) return;
        if (directory.isHeld(identity)) result.inUse++;
        const bytes = directory.drop(identity);
        if (bytes === undefined) continue;
        result.files++;
        result.bytes += bytes;
      }
    });
    return result;
  }

  /** Reads what is there and compares checksums; what is wrong is gone afterwards. */
  async verify(
    isMeant: (path: ByteString) => boolean,
    progress: VerifyProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const either = new LinkedSignal([signal, this.#ending.signal]);
    const isOver = either.signal;
    await this.#each(async (directory) => {
      const meant = await identitiesOf(directory, isMeant);
      progress.files += meant.length;
      for (const identity of meant) {
        if (isOver.aborted) return;
        const before = this.#figures.corruptFiles;
        await directory.verify(identity, isOver);
        progress.checked++;
        if (this.#figures.corruptFiles > before) progress.corrupt++;
      }
    }).finally(() => either.end());
  }

  /** Resolves when the indexes of all directories are read. */
  async loaded(): Promise<void> {
    await Promise.all(this.#directories.map((directory) => directory.loaded()));
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#queue.drained();
    await Promise.all(this.#directories.map((directory) => directory.close()));
  }

  #find(key: CacheKey): { readonly directory: DiskDirectory; readonly row: Row } | undefined {
    for (const directory of this.#directories) {
      const row = directory.find(key);
      if (row !== undefined) return { directory, row };
    }
    return undefined;
  }

  /** Where it is already, else by its hash. */
  #directoryFor(key: CacheKey): DiskDirectory | undefined {
    const found = this.#find(key);
    if (found !== undefined) return found.directory;
    const alive = this.#directories.filter((directory) => !directory.isRetired);
    // The first word finds the row in the table of the directory; another one spreads better here.
    return alive[(key[1] as number) % alive.length];
  }

  async #each(work: (directory: DiskDirectory) => Promise<void>): Promise<void> {
    for (const directory of this.#directories) {
      if (!directory.isRetired) await work(directory);
    }
  }

  #check(directory: DiskDirectory, identity: FileIdentity): void {
    const name = `${identity.nonce} ${identity.key.join()}`;
    const waiting = this.#checks.get(directory);
    if (waiting === undefined) {
      const checks = new Map([[name, identity]]);
      this.#checks.set(directory, checks);
      void this.#checkAll(directory, checks);
    } else if (waiting.size < CHECKS_MAX) waiting.set(name, identity);
  }

  /** One after the other: it reads all of a file, and nobody waits for it. */
  async #checkAll(directory: DiskDirectory, checks: Map<string, FileIdentity>): Promise<void> {
    for (const [name, identity] of checks) {
      if (this.#ending.signal.aborted) break;
      await directory.verify(identity, this.#ending.signal);
      checks.delete(name);
    }
    this.#checks.delete(directory);
  }
}

export interface DropResult {
  readonly files: number;
  readonly bytes: number;
  /** Left alone: the kernel reads from them. */
  readonly inUse: number;
}

export interface VerifyProgress {
  files: number;
  checked: number;
  corrupt: number;
}

/**
 * Whether it may change without another version: what tells neither a hash nor parts of a second may be
 * written again in the second that it tells, by a clock that is not quite ours.
 */
function isTooNew({ mtimeMs, contentHash }: ContentVersion): boolean {
  if (contentHash !== undefined || mtimeMs % 1000 !== 0) return false;
  return Math.abs(Date.now() - mtimeMs) < NEW_MS;
}

async function identitiesOf(
  directory: DiskDirectory,
  isMeant: (path: ByteString) => boolean,
): Promise<FileIdentity[]> {
  const meant: FileIdentity[] = [];
  await directory.list(({ key, nonce, path }) => {
    if (isMeant(path)) meant.push({ key: key.slice(), nonce });
  });
  return meant;
}

function unusableStatus(
  directory: string,
  reason: string,
  limitBytes: number,
): DiskDirectoryStatus {
  return {
    directory,
    state: 'retired',
    reason,
    usedBytes: 0,
    limitBytes,
    freeFloorBytes: 0,
    files: 0,
    pages: 0,
    indexBytes: 0,
  };
}
