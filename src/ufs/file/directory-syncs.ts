/**
 * A new name survives a power cut only once its directory is on disk. Many names of one directory
 * share a sync: whoever comes while one runs waits for the next, together with all the others.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { bytesOfByteString, type ByteString } from '../../base/byte-string.ts';

type Run = (task: () => Promise<void>) => Promise<void>;

export class DirectorySyncs {
  readonly #running = new Map<ByteString, Promise<void>>();
  readonly #next = new Map<ByteString, Promise<void>>();

  /** Resolves when what the directory holds now is on disk. `run` bounds the calls. */
  sync(directory: ByteString, run: Run): Promise<void> {
    const waiting = this.#next.get(directory);
    if (waiting !== undefined) return waiting;
    const running = this.#running.get(directory);
    // One under way may have begun before the name was there.
    if (running === undefined) return this.#start(directory, run);
    const next = running
      .catch(() => undefined)
      .then(() => {
        this.#next.delete(directory);
        return this.#start(directory, run);
      });
    this.#next.set(directory, next);
    return next;
  }

  #start(directory: ByteString, run: Run): Promise<void> {
    const sync = run(() => syncDirectory(directory)).finally(() => {
      if (this.#running.get(directory) === sync) this.#running.delete(directory);
    });
    this.#running.set(directory, sync);
    return sync;
  }
}

export async function syncDirectory(path: ByteString): Promise<void> {
  const directory = await open(bytesOfByteString(path), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
