/**
 * Listings under way. The cluster may have drawn one up before this mount took a name away, and send
 * it after: what has gone meanwhile is looked at once more before it is shown.
 */
import { type ByteString, nameOf, parentOf } from '../base/byte-string.ts';

export interface ListingUnderWay {
  /** Whether the name went while the listing ran; it may have come again since. */
  hasGone(name: ByteString): boolean;
  end(): void;
}

export class Listings {
  readonly #running = new Map<ByteString, Set<Set<ByteString>>>();

  begin(directory: ByteString): ListingUnderWay {
    const gone = new Set<ByteString>();
    const running = this.#running.get(directory) ?? new Set();
    this.#running.set(directory, running.add(gone));
    return {
      hasGone: (name) => gone.has(name),
      end: () => {
        running.delete(gone);
        if (running.size === 0 && this.#running.get(directory) === running) {
          this.#running.delete(directory);
        }
      },
    };
  }

  /** The cluster has nothing there any more, by our doing. */
  noteGone(path: ByteString): void {
    for (const gone of this.#running.get(parentOf(path)) ?? []) gone.add(nameOf(path));
  }
}
