/** Asks for the first chunk at once, while its taker is still busy with where to put it. */
export class ChunksAhead implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  #first: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
    this.#first = this.#source.next();
    // Nobody may ever ask for it.
    this.#first.catch(() => undefined);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => {
        const first = this.#first ?? this.#source.next();
        this.#first = undefined;
        return first;
      },
    };
  }

  /** Whatever is left of it is not wanted; not waited for. */
  end(): void {
    void this.#source.return?.().catch(() => undefined);
  }
}
