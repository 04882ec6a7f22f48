/**
 * The hidden file beside its target that a download fills. It goes on where an interrupted one ended, is
 * nobody else's, and takes the target's place in one step.
 */
import { randomBytes } from 'node:crypto';
import { constants, type BigIntStats, type Stats } from 'node:fs';
import { lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { AlluxioError } from './errors.ts';
import { isMissing, joinLocal } from './local-path.ts';

/** Beginnings of these names are ours: whoever cleans up knows them by it. */
export const PART_PREFIX = '.alluxio-fuse-part-';

/**
 * Never more of a part than this waits to be on the disk, so what lies further before its end survived
 * also a power failure, which leaves zeros in place of what did not. Less would slow turning disks, more
 * would be fetched twice.
 */
const SYNC_BYTES = 16 * 1024 * 1024;

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
/** A pipe of that name, which somebody else made, is not waited for. */
const FLAGS = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;

export interface Finish {
  /** The file that is replaced: its owner and mode stay. */
  readonly replaced: Stats | undefined;
  /** Of a new file; the process's mask is applied. */
  readonly mode: number;
  /** In seconds, as text. */
  readonly mtime: string | undefined;
}

export class PartFile {
  readonly #file: FileHandle;
  readonly #path: Buffer;
  /** Nobody would find it again. */
  readonly #isFresh: boolean;
  #syncedTo: number;

  private constructor(file: FileHandle, path: Buffer, size: number, isFresh: boolean) {
    this.#file = file;
    this.#path = path;
    this.#isFresh = isFresh;
    this.#syncedTo = Math.max(0, size - SYNC_BYTES);
  }

  /** `mode`: that of the file that it becomes, which its owner may not be able to write; this one can. */
  static async open(
    directory: Buffer,
    identity: string,
    lengthBytes: number,
    mode: number,
  ): Promise<PartFile> {
    const name = `${PART_PREFIX}${identity}`;
    const path = joinLocal(directory, name);
    const openMode = mode | 0o600;
    const own = await openOwn(path, openMode);
    if (own === undefined) {
      const fresh = joinLocal(directory, `${name}-${randomBytes(8).toString('hex')}`);
      return new PartFile(await open(fresh, FLAGS | O_EXCL, openMode), fresh, 0, true);
    }
    const { file, size } = own;
    if (size <= lengthBytes) return new PartFile(file, path, size, false);
    // Longer than the version is not a beginning of it.
    await file.truncate(0);
    return new PartFile(file, path, 0, false);
  }

  /** What lies before is there for certain. */
  get startBytes(): number {
    return this.#syncedTo;
  }

  /** In file order. At its place, not at the end: a second process at the same part writes the same bytes. */
  async write(piece: Uint8Array, offset: number): Promise<void> {
    if (offset + piece.length - this.#syncedTo > SYNC_BYTES) {
      await this.#file.datasync();
      this.#syncedTo = offset;
    }
    for (let done = 0; done < piece.length;) {
      const left = piece.length - done;
      done += (await this.#file.write(piece, done, left, offset + done)).bytesWritten;
    }
  }

  /** Under the name, as a whole, and on the disk before: a power failure must not find the name first. */
  async publish(target: Buffer, lengthBytes: number, finish: Finish): Promise<void> {
    const own = await this.#file.stat({ bigint: true });
    if (own.size !== BigInt(lengthBytes)) {
      throw this.#failure(`The disk has ${own.size} of ${lengthBytes} bytes`);
    }
    await this.#dress(own, finish);
    await this.#file.datasync();
    if (await isAt(this.#path, own)) {
      try {
        await rename(this.#path, target);
        return;
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    // Another process that fills the same part may have been first: then the target is what it should be.
    if (!(await isAt(target, own))) {
      throw this.#failure('The part of the download was removed or replaced meanwhile');
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
    // Published, it is there no more.
    if (this.#isFresh) await rm(this.#path, { force: true });
  }

  async #dress(own: BigIntStats, { replaced, mode, mtime }: Finish): Promise<void> {
    const isRoot = process.geteuid?.() === 0;
    if (isRoot && replaced !== undefined && !hasOwnerOf(own, replaced)) {
      await this.#file.chown(replaced.uid, replaced.gid);
    }
    const made = Number(own.mode) & 0o7777;
    const wanted = (replaced === undefined ? made & mode : replaced.mode) & 0o777;
    if (made !== wanted) await this.#file.chmod(wanted);
    if (mtime !== undefined) await this.#file.utimes(mtime, mtime);
  }

  #failure(reason: string): AlluxioError {
    return new AlluxioError('local', reason, { path: this.#path.toString('utf8') });
  }
}

async function isAt(path: Buffer, own: BigIntStats): Promise<boolean> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found?.dev === own.dev && found.ino === own.ino;
}

function hasOwnerOf(own: BigIntStats, { uid, gid }: Stats): boolean {
  return Number(own.uid) === uid && Number(own.gid) === gid;
}

/** The name can be guessed, so what is there may be a trap: undefined where it is not a file of ours alone. */
async function openOwn(
  path: Buffer,
  mode: number,
): Promise<{ readonly file: FileHandle; readonly size: number } | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, FLAGS, mode);
  } catch {
    // Where not even a name of its own can be made, that says why.
    return undefined;
  }
  const found = await file.stat();
  if (found.isFile() && found.nlink === 1 && found.uid === process.geteuid?.()) {
    return { file, size: found.size };
  }
  await file.close();
  return undefined;
}
