/**
 * Runs of something that serves many at once, such as a sync of a disk: whoever comes while one runs
 * waits for the next, together with all the others who come meanwhile.
 */
export class SharedRuns<Key> {
  readonly #running = new Map<Key, Promise<void>>();
  readonly #next = new Map<Key, Promise<void>>();

  /** Resolves after a run that began no sooner than this call. */
  run(key: Key, work: () => Promise<void>): Promise<void> {
    const waiting = this.#next.get(key);
    if (waiting !== undefined) return waiting;
    const running = this.#running.get(key);
    if (running === undefined) return this.#start(key, work);
    const next = running
      .catch(() => undefined)
      .then(() => {
        this.#next.delete(key);
        return this.#start(key, work);
      });
    this.#next.set(key, next);
    return next;
  }

  #start(key: Key, work: () => Promise<void>): Promise<void> {
    const run = work().finally(() => {
      if (this.#running.get(key) === run) this.#running.delete(key);
    });
    this.#running.set(key, run);
    return run;
  }
}
