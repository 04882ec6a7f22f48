/** The entries of one directory as one listing told them, whole or still arriving. */
import type { ByteString } from '../base/byte-string.ts';
import { EntryColumns } from './entry-columns.ts';
import type { FsErrorCode, ListBatch, StatusMessage } from './types.ts';

export class Listing {
  /** Age counts from the question, not from the answer. */
  readonly startedMs: number;
  readonly #entries = new EntryColumns();
  #state: 'arriving' | 'complete' | 'failed' = 'arriving';
  #error: FsErrorCode | undefined;
  /** Called, once, when more entries are there or the listing ended. */
  #waiters: (() => void)[] = [];

  constructor(startedMs: number) {
    this.startedMs = startedMs;
  }

  get count(): number {
    return this.#entries.count;
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

  name(index: number): ByteString {
    return this.#entries.name(index);
  }

  status(index: number): StatusMessage {
    return this.#entries.status(index);
  }

  find(name: ByteString): StatusMessage | undefined {
    const index = this.#entries.indexOf(name);
    return index === undefined ? undefined : this.#entries.status(index);
  }

  /** A name that came before is kept as it came first. */
  append(batch: ListBatch, isLast: boolean): void {
    batch.names.forEach((name, index) => {
      this.#entries.add(name, batch.statuses[index] as StatusMessage);
    });
    if (isLast) {
      this.#state = 'complete';
      this.#entries.trim();
    }
    this.#wake();
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
