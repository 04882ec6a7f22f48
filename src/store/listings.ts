/**
 * Listings under way. The cluster may have drawn one up before this mount took a name away, and send
 * it after: what has gone meanwhile is looked at once more before it is shown.
 */
import { type ByteString, isWithin, nameOf, parentOf } from '../base/byte-string.ts';

export interface ListingUnderWay {
  /** Whether the name went while the listing ran; it may have come again since. */
  hasGone(name: ByteString): boolean;
  /** Whether the directory itself did: what the listing lacks may be where that is now. */
  readonly isOvertaken: boolean;
  end(): void;
}

interface Running {
  readonly gone: Set<ByteString>;
  isOvertaken: boolean;
}

export class Listings {
  readonly #running = new Map<ByteString, Set<Running>>();
  readonly #onGone: (path: ByteString) => void;

  /** `onGone` hears of what the cluster has nothing of any more. */
  constructor(onGone: (path: ByteString) => void = () => undefined) {
    this.#onGone = onGone;
  }

  begin(directory: ByteString): ListingUnderWay {
    const listing: Running = { gone: new Set(), isOvertaken: false };
    const running = this.#running.get(directory) ?? new Set();
    this.#running.set(directory, running.add(listing));
    return {
      hasGone: (name) => listing.gone.has(name),
      get isOvertaken() {
        return listing.isOvertaken;
      },
      end: () => {
        running.delete(listing);
        if (running.size === 0 && this.#running.get(directory) === running) {
          this.#running.delete(directory);
        }
      },
    };
  }

  /** The cluster has nothing there any more, by our doing. */
  noteGone(path: ByteString): void {
    for (const { gone } of this.#running.get(parentOf(path)) ?? []) gone.add(nameOf(path));
    this.#onGone(path);
  }

  /** Programs see the directory elsewhere, or nowhere, from here on. */
  noteDirectoryGone(path: ByteString): void {
    this.noteGone(path);
    for (const [directory, running] of this.#running) {
      if (!isWithin(directory, path)) continue;
      for (const listing of running) listing.isOvertaken = true;
    }
  }
}
