/** The entries of one directory as one listing told them, whole or still arriving. */
import type { ByteString } from '../base/byte-string.ts';
import type { FsErrorCode, ListBatch, StatusMessage } from './types.ts';

export class Listing {
  /** Age counts from the question, not from the answer. */
  readonly startedMs: number;
  readonly #names: ByteString[] = [];
  readonly #statuses: StatusMessage[] = [];
  readonly #indexByName = new Map<ByteString, number>();
  #state: 'arriving' | 'complete' | 'failed' = 'arriving';
  #error: FsErrorCode | undefined;
  /** Called, once, when more entries are there or the listing ended. */
  #waiters: (() => void)[] = [];

  constructor(startedMs: number) {
    this.startedMs = startedMs;
  }

  get count(): number {
    return this.#names.length;
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
    return this.#names[index] as ByteString;
  }

  status(index: number): StatusMessage {
    return this.#statuses[index] as StatusMessage;
  }

  find(name: ByteString): StatusMessage | undefined {
    const index = this.#indexByName.get(name);
    return index === undefined ? undefined : this.#statuses[index];
  }

  /** A name that came before is kept as it came first. */
  append(batch: ListBatch, isLast: boolean): void {
    batch.names.forEach((name, index) => {
      if (this.#indexByName.has(name)) return;
      this.#indexByName.set(name, this.#names.length);
      this.#names.push(name);
      this.#statuses.push(batch.statuses[index] as StatusMessage);
    });
    if (isLast) this.#state = 'complete';
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
