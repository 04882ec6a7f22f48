/**
 * What the next life of this mount must know: live entries by kind and id. On disk: a line for every
 * step, `<CRC-32 of the rest, hex> <JSON>`, so that a line torn by a crash is told from a whole one. A line
 * may change several entries: all of them or none. The file is rewritten when most of it is history.
 */
import { crc32 } from 'node:zlib';
import type { Logger } from '../base/logger.ts';
import { isCode, localError, messageOf, storeError } from './errors.ts';
import type { JournalDisk } from './journal-disk.ts';
import type { JournalEntries, JournalKind } from './journal-entries.ts';

const FORMAT = 'alluxio-fuse journal';
const VERSION = 1;

/** Below it, rewriting is not worth a sync. */
const REWRITE_ABOVE_BYTES = 1024 * 1024;
/** After a rewrite that found the disk full: so much later again. */
const REWRITE_AGAIN_BYTES = 256 * 1024;
/**
 * What nobody waits for: without it a power failure takes lines of the last half minute, and what they
 * tell is done: an upload that is repeated over what another client has written since.
 */
const SYNC_WITHIN_MS = 1000;
/** One write call: a bound for the memory that a burst of changes takes twice. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** Without `value`: the entry ends. */
export type JournalChange = {
  readonly [Kind in JournalKind]: {
    readonly kind: Kind;
    readonly id: string;
    readonly value?: JournalEntries[Kind] | undefined;
  };
}[JournalKind];

/** Changes of the journal, and what follows from them in memory once it has them. */
export interface Planned {
  readonly changes: readonly JournalChange[];
  readonly commit: () => void;
}

/** All of them in one line of the journal. */
export function together(plans: readonly Planned[]): Planned {
  return {
    changes: plans.flatMap(({ changes }) => changes),
    commit: () => {
      for (const plan of plans) plan.commit();
    },
  };
}

interface Step {
  readonly changes: readonly JournalChange[];
  readonly line: string;
  readonly isDurable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function lineOf(value: unknown): string {
  const json = JSON.stringify(value);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

function valueOf(line: string): unknown {
  const json = line.slice(9);
  if (line.slice(0, 8) !== crc32(json).toString(16).padStart(8, '0')) return undefined;
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

function isFull(error: unknown): boolean {
  return isCode(localError('The journal', error), 'no-space');
}

export class Journal {
  readonly #disk: JournalDisk;
  readonly #logger: Logger;
  readonly #live = new Map<string, { change: JournalChange; bytes: number }>();
  readonly #queue: Step[] = [];
  #liveBytes = 0;
  #lengthBytes = 0;
  #isRunning = false;
  /** After a failed write the end of the file is not known. */
  #mustRewrite = false;
  #rewriteAboveBytes = REWRITE_ABOVE_BYTES;
  #idle: Promise<void> = Promise.resolve();
  #isClosed = false;
  #syncTimer: NodeJS.Timeout | undefined;

  private constructor(disk: JournalDisk, logger: Logger) {
    this.#disk = disk;
    this.#logger = logger;
  }

  static async open(disk: JournalDisk, logger: Logger): Promise<Journal> {
    const journal = new Journal(disk, logger);
    try {
      await journal.#begin(await disk.read());
    } catch (error) {
      throw localError('The journal cannot be opened', error);
    }
    return journal;
  }

  entries<Kind extends JournalKind>(kind: Kind): Map<string, JournalEntries[Kind]> {
    const found = new Map<string, JournalEntries[Kind]>();
    for (const { change } of this.#live.values()) {
      if (change.kind === kind) found.set(change.id, change.value as JournalEntries[Kind]);
    }
    return found;
  }

  /**
   * Resolves when the file has it: it survives this process, and a moment later a power failure, too;
   * durable: at once.
   */
  apply(changes: readonly JournalChange[], isDurable = false): Promise<void> {
    if (changes.length === 0) return Promise.resolve();
    if (this.#isClosed) return Promise.reject(storeError('unavailable', 'The journal is closed'));
    return this.#add(changes, lineOf(changes), isDurable);
  }

  /** Of something that is acknowledged with it: as durable as can be, or refused. */
  promise(changes: readonly JournalChange[]): Promise<void> {
    // It would use up the room that is left for what makes room.
    if (this.#disk.isShort) {
      const reason = 'The disk of the journal is full, but for what uploads need to make room';
      return Promise.reject(storeError('no-space', reason));
    }
    return this.apply(changes, true);
  }

  #add(changes: readonly JournalChange[], line: string, isDurable: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ changes, line, isDurable, resolve, reject });
      if (!this.#isRunning) this.#idle = this.#run();
    });
  }

  /** Nobody waits for it; a failure is logged, and it is tried again. */
  #syncLater(): void {
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      if (!this.#isClosed) void this.#add([], '', true).catch(() => this.#syncLater());
    }, SYNC_WITHIN_MS).unref();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#idle;
    if (this.#syncTimer !== undefined) {
      clearTimeout(this.#syncTimer);
      await this.#disk.sync().catch((error: unknown) => {
        this.#logger.error({ reason: messageOf(error) }, 'The journal cannot be made safe on disk');
      });
    }
    await this.#disk.close();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Everything that is asked for in this turn of the event loop shares a write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      let bytes = 0;
      let count = 0;
      while (count < this.#queue.length && bytes < BATCH_BYTES_MAX) {
        bytes += this.#queue[count]?.line.length ?? 0;
        count++;
      }
      await this.#write(this.#queue.splice(0, count));
    }
    this.#isRunning = false;
  }

  async #write(batch: readonly Step[]): Promise<void> {
    const bytes = Buffer.from(batch.map(({ line }) => line).join(''), 'utf8');
    let isAppending = false;
    try {
      if (this.#mustRewrite) await this.#rewrite();
      isAppending = true;
      await this.#disk.append(bytes);
      isAppending = false;
      if (batch.some(({ isDurable }) => isDurable)) {
        await this.#disk.sync();
        clearTimeout(this.#syncTimer);
        this.#syncTimer = undefined;
      } else this.#syncLater();
    } catch (error) {
      const isCut = await this.#cutBack(error);
      // A full disk has not harmed what is there: once cut back, the file ends as before.
      if (isAppending && isCut && isFull(error)) this.#mustRewrite = false;
      const failure = localError('The journal cannot be written', error);
      for (const step of batch) step.reject(failure);
      return;
    }
    this.#lengthBytes += bytes.length;
    for (const step of batch) {
      for (const change of step.changes) this.#note(change);
      step.resolve();
    }
    if (this.#lengthBytes <= Math.max(this.#rewriteAboveBytes, 4 * this.#liveBytes)) return;
    try {
      await this.#rewrite();
    } catch (error) {
      // The old file is still good; a later write tries again.
      if (isFull(error)) this.#rewriteAboveBytes = this.#lengthBytes + REWRITE_AGAIN_BYTES;
      else this.#mustRewrite = true;
      this.#logger.error({ error }, 'The journal cannot be rewritten');
    }
  }

  /** Whether it was. */
  async #cutBack(cause: unknown): Promise<boolean> {
    this.#mustRewrite = true;
    this.#logger.error({ error: cause }, 'The journal cannot be written');
    try {
      // A restart before the rewrite must not find what was refused.
      await this.#disk.truncate(this.#lengthBytes);
      return true;
    } catch (error) {
      this.#logger.error({ reason: messageOf(error) }, 'The journal cannot be cut back');
      return false;
    }
  }

  #note(change: JournalChange): void {
    const key = `${change.kind}\n${change.id}`;
    this.#liveBytes -= this.#live.get(key)?.bytes ?? 0;
    this.#live.delete(key);
    if (change.value === undefined) return;
    const bytes = JSON.stringify(change).length;
    this.#live.set(key, { change, bytes });
    this.#liveBytes += bytes;
  }

  async #begin(bytes: Buffer): Promise<void> {
    const isWritten = this.#load(bytes);
    try {
      await this.#rewrite();
    } catch (error) {
      if (!isWritten || !isFull(error)) throw error;
      // Uploads that make room need no more than the old file, without a line that was torn.
      this.#lengthBytes = bytes.lastIndexOf('\n') + 1;
      await this.#disk.truncate(this.#lengthBytes);
      this.#logger.error({ error }, 'The journal cannot be rewritten');
    }
  }

  /** Whether there was one. */
  #load(bytes: Buffer): boolean {
    const lines = bytes.toString('utf8').split('\n');
    // What follows the last newline was torn.
    let damaged = lines.pop() === '' ? 0 : 1;
    let isFirst = true;
    for (const line of lines) {
      const value = valueOf(line);
      if (isFirst && value !== undefined) {
        const header = value as { format?: unknown; version?: unknown };
        if (header.format !== FORMAT || header.version !== VERSION) {
          throw storeError('invalid', 'The journal was written by another version of this program');
        }
        isFirst = false;
      } else if (Array.isArray(value)) {
        for (const change of value as JournalChange[]) this.#note(change);
      } else {
        damaged++;
      }
    }
    if (damaged > 0) {
      this.#logger.warn({ lines: damaged }, 'Lines of the journal were torn and are left out');
    }
    return !isFirst;
  }

  async #rewrite(): Promise<void> {
    const lines = [lineOf({ format: FORMAT, version: VERSION })];
    for (const { change } of this.#live.values()) lines.push(lineOf([change]));
    const bytes = Buffer.from(lines.join(''), 'utf8');
    await this.#disk.replace(bytes);
    this.#lengthBytes = bytes.length;
    this.#rewriteAboveBytes = REWRITE_ABOVE_BYTES;
    this.#mustRewrite = false;
  }
}
