/** The entries of one directory as one listing told them, whole or still arriving. */
import type { ByteString } from '../base/byte-string.ts';
import type { CoreContext } from './context.ts';
import { EntryColumns } from './entry-columns.ts';
import { entriesOf, type ListBatch } from './list-batch.ts';
import type { FsErrorCode, StatusMessage } from './types.ts';

/** Over all listings of this life. */
let lastId = 0;

export class Listing {
  readonly id = ++lastId;
  /** How often this mount has changed it since it was asked for. */
  #changes = 0;
  /** Age counts from the question, not from the answer. */
  readonly startedMs: number;
  /** Tells which of this mount's own changes came before the question. */
  readonly ownChanges: number;
  readonly #entries = new EntryColumns();
  /** By index: what the columns cannot hold, and what this mount has changed since. */
  readonly #exceptions = new Map<number, StatusMessage | 'hidden'>();
  #state: 'arriving' | 'complete' | 'failed' = 'arriving';
  #error: FsErrorCode | undefined;
  /** Called, once, when more entries are there or the listing ended. */
  #waiters: (() => void)[] = [];

  /** What it lacks is missing: nobody told of it, the directory was made here. */
  readonly isCertain: boolean;

  constructor(startedMs: number, ownChanges = 0, isCertain = false) {
    this.startedMs = startedMs;
    this.ownChanges = ownChanges;
    this.isCertain = isCertain;
  }

  /** Of a directory that was made a moment ago. */
  static ofNew(madeMs: number, ownChanges: number): Listing {
    const listing = new Listing(madeMs, ownChanges, true);
    listing.#state = 'complete';
    return listing;
  }

  get count(): number {
    return this.#entries.count;
  }

  get changes(): number {
    return this.#changes;
  }

  get isComplete(): boolean {
    return this.#state === 'complete';
  }

  get error(): FsErrorCode | undefined {
    return this.#error;
  }

  get isArriving(): boolean {
    return this.#state === 'arriving';
  }

  /** It may still be shown: it did not fail, and is younger than the time names are kept for. */
  isFresh({ clock, options }: Pick<CoreContext, 'clock' | 'options'>): boolean {
    return this.#error === undefined && this.startedMs + options.entryTimeoutMs > clock.nowMs();
  }

  name(index: number): ByteString {
    return this.#entries.name(index);
  }

  /** Undefined: this mount has taken the name away since. */
  status(index: number): StatusMessage | undefined {
    const exception = this.#exceptions.get(index);
    return exception === 'hidden' ? undefined : (exception ?? this.#entries.status(index));
  }

  /** Whether there is an entry to show at that place or later, of those that have arrived. */
  hasShownFrom(index: number): boolean {
    for (let at = index; at < this.count; at++) if (this.status(at) !== undefined) return true;
    return false;
  }

  /** The places of directories, ascending, as they were listed. */
  directories(): Uint32Array {
    return this.#entries.directories();
  }

  /** Also of a name that this mount has taken away since. */
  indexOf(name: ByteString): number | undefined {
    return this.#entries.indexOf(name);
  }

  find(name: ByteString): StatusMessage | undefined {
    const index = this.indexOf(name);
    return index === undefined ? undefined : this.status(index);
  }

  /** A name that came before is kept as it came first. `adjust` runs before anybody sees it. */
  append(batch: ListBatch, isLast: boolean, adjust: () => void = () => {}): void {
    for (const [name, status] of entriesOf(batch)) this.#add(name, status);
    adjust();
    if (isLast) {
      this.#state = 'complete';
      this.#entries.trim();
    }
    this.#wake();
  }

  /** Unless the name is there. */
  #add(name: ByteString, status: StatusMessage): void {
    if (!this.#entries.add(name, status)) return;
    const isPlain = status.kind === 'file' || status.kind === 'directory';
    if (!isPlain || status.posix !== undefined) this.#exceptions.set(this.count - 1, status);
  }

  /** This mount has made or changed the name. */
  put(name: ByteString, status: StatusMessage): void {
    this.#changes++;
    const index = this.#entries.indexOf(name);
    if (index === undefined) this.#add(name, status);
    else this.#exceptions.set(index, status);
  }

  /** This mount has taken the name away; the places of the others stay. */
  hide(name: ByteString): void {
    const index = this.#entries.indexOf(name);
    if (index === undefined) return;
    this.#changes++;
    this.#exceptions.set(index, 'hidden');
  }

  fail(code: FsErrorCode): void {
    this.#state = 'failed';
    this.#error = code;
    this.#wake();
  }

  /** Calls back once there is news; the returned function takes the wish back. */
  whenMore(waiter: () => void): () => void {
    this.#waiters.push(waiter);
    return () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    };
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }
}
