/** The kernel thread's part of passthrough: opens the copies, hands them to the kernel, says so. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { MountConfig } from '../config/index.ts';
import { canPassThrough, closeBacking, openBacking } from '../fuse/device/index.ts';
import type { Negotiated } from '../fuse/device/index.ts';
import { Errno } from '../fuse/wire/index.ts';
import { SystemError } from '../sys/index.ts';
import type { BackingMessage } from '../cache/index.ts';
import type { BackingFiles } from '../vfs/index.ts';
import { BackingIds } from './backing-ids.ts';
import { mountDirectory } from './state-dir.ts';

/** What the owner of the copies is told. */
export interface BackingNews {
  readonly what: 'held' | 'free' | 'refused';
  readonly file: string;
}

/**
 * News go in one message, since a message costs more than the rest of an open. They may be late: a copy
 * that is removed stays readable to who has it open.
 */
const NEWS_MAX = 64;
const NEWS_AGE_MAX_MS = 100;

export interface DeviceBackingsParts {
  readonly fuseFd: number;
  readonly config: MountConfig;
  readonly clock: Clock;
  readonly onNews: (news: readonly BackingNews[]) => void;
  /** Passthrough is over for this life of the daemon. */
  readonly onLost: (reason: string) => void;
  readonly onInternalError: (error: unknown) => void;
}

/** A link or a pipe in its place is neither followed nor waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Why no file at all can be handed to the kernel, whichever it is. */
const LOST: Readonly<Record<number, string>> = {
  [Errno.EPERM]: 'the daemon lacks CAP_SYS_ADMIN',
  [Errno.ELOOP]: 'the cache directory lies on a stacked file system (overlay)',
  [Errno.EOPNOTSUPP]: 'the kernel is built without it',
  [Errno.ENOTTY]: 'the kernel does not know it',
};

export class DeviceBackings implements BackingFiles {
  readonly #parts: DeviceBackingsParts;
  readonly #ids: BackingIds;
  #isPossible = false;
  /** Cache directories that are out of use. */
  readonly #retired: string[] = [];
  #news: BackingNews[] = [];
  #newsSinceMs = 0;

  constructor(parts: DeviceBackingsParts) {
    this.#parts = parts;
    const { config, onInternalError } = parts;
    const directory = mountDirectory(config.stateDir, config.mountpoint);
    this.#ids = new BackingIds(join(directory, 'backing-ids.json'), onInternalError);
  }

  get isPossible(): boolean {
    return this.#isPossible;
  }

  /** `isNew`: INIT was just now; otherwise an earlier life of the daemon did it. */
  agree(negotiated: Negotiated, isNew: boolean): void {
    if (isNew) this.#ids.reset();
    else for (const id of this.#ids.left()) this.#closeId(id);
    this.#isPossible = canPassThrough(negotiated);
  }

  /** Its copies are not opened any more. */
  retired(directory: string): void {
    this.#retired.push(directory);
  }

  register(backing: BackingMessage, lengthBytes: number): number | undefined {
    const isRetired = this.#retired.some((directory) => backing.file.startsWith(`${directory}/`));
    if (!this.#isPossible || isRetired) return undefined;
    const id = this.#open(backing, lengthBytes);
    if (id === undefined) return undefined;
    this.#ids.opened(id);
    this.#tell('held', backing.file);
    return id;
  }

  #open(backing: BackingMessage, lengthBytes: number): number | undefined {
    const { fuseFd } = this.#parts;
    let fd: number | undefined;
    try {
      fd = openSync(backing.file, READ_FLAGS);
      if (isUnchanged(fd, backing, lengthBytes)) return openBacking(fuseFd, fd);
      this.#tell('refused', backing.file);
    } catch (error) {
      this.#failed(error, backing.file);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
    return undefined;
  }

  #failed(error: unknown, file: string): void {
    const reason = error instanceof SystemError ? LOST[error.errno] : undefined;
    if (reason === undefined) this.#tell('refused', file);
    else {
      this.#isPossible = false;
      this.#parts.onLost(reason);
    }
  }

  close(backing: BackingMessage, id: number): void {
    this.#closeId(id);
    this.#ids.closed(id);
    this.#tell('free', backing.file);
  }

  #tell(what: BackingNews['what'], file: string): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#news.length === 0) this.#newsSinceMs = nowMs;
    this.#news.push({ what, file });
    // One that is not what it was should be looked at before it is opened again.
    const isLate = nowMs - this.#newsSinceMs >= NEWS_AGE_MAX_MS || what === 'refused';
    if (isLate || this.#news.length >= NEWS_MAX) this.flush();
  }

  /** Tells what has not been told yet. */
  flush(): void {
    if (this.#news.length === 0) return;
    this.#parts.onNews(this.#news);
    this.#news = [];
  }

  /** The kernel does not know it: as good as closed. */
  #closeId(id: number): void {
    try {
      closeBacking(this.#parts.fuseFd, id);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }
}

/** Whoever changes a file changes its ctime, and cannot set it. */
function isUnchanged(fd: number, backing: BackingMessage, lengthBytes: number): boolean {
  const { ino, size, ctimeNs } = fstatSync(fd, { bigint: true });
  return ino === backing.ino && size === BigInt(lengthBytes) && ctimeNs === backing.ctimeNs;
}
