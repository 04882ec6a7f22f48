/**
 * Who may change which path now. All that an operation needs is taken at once, in the order of
 * arrival, so nobody waits for ever and nobody for each other.
 */
import { isWithin } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { CallContext } from '../cluster/index.ts';
import { overError, whenOver } from './contexts.ts';

/** A new version may be acknowledged while an older one of the same path is on its way. */
export type LockKind = 'change' | 'transfer' | 'acknowledge';

export interface LockWish {
  readonly path: ByteString;
  /** Everything below as well. */
  readonly subtree?: boolean;
}

interface Holder {
  readonly kind: LockKind;
  readonly wishes: readonly LockWish[];
}

interface Waiter extends Holder {
  readonly grant: () => void;
}

function overlap(a: LockWish, b: LockWish): boolean {
  if (a.path === b.path) return true;
  if (a.subtree === true && isWithin(b.path, a.path)) return true;
  return b.subtree === true && isWithin(a.path, b.path);
}

function conflict(a: Holder, b: Holder): boolean {
  const areCompatible =
    (a.kind === 'transfer' && b.kind === 'acknowledge') ||
    (a.kind === 'acknowledge' && b.kind === 'transfer');
  if (areCompatible) return false;
  return a.wishes.some((wish) => b.wishes.some((other) => overlap(wish, other)));
}

export type Release = () => void;

export class PathLocks {
  readonly #held = new Set<Holder>();
  readonly #waiting = new Set<Waiter>();

  /** Holds at once, before the promise resolves, where nothing is in the way. */
  acquire(kind: LockKind, wishes: readonly LockWish[], context: CallContext): Promise<Release> {
    const holder: Holder = { kind, wishes };
    if (this.#isFree(holder)) return Promise.resolve(this.#hold(holder));
    return new Promise<Release>((resolve, reject) => {
      const waiter: Waiter = {
        kind,
        wishes,
        grant: () => {
          cancel();
          resolve(this.#hold(holder));
        },
      };
      const cancel = whenOver(context, () => {
        this.#waiting.delete(waiter);
        // Those behind it may not have to wait any more.
        this.#grant();
        reject(overError(context, 'waiting for another change of the same path'));
      });
      this.#waiting.add(waiter);
    });
  }

  /** Whether somebody is changing the path. */
  isHeld(path: ByteString): boolean {
    for (const holder of this.#held) {
      if (holder.wishes.some((wish) => overlap(wish, { path }))) return true;
    }
    return false;
  }

  #isFree(holder: Holder, before?: Waiter): boolean {
    for (const other of this.#held) if (conflict(holder, other)) return false;
    for (const other of this.#waiting) {
      if (other === before) break;
      if (conflict(holder, other)) return false;
    }
    return true;
  }

  #hold(holder: Holder): Release {
    this.#held.add(holder);
    return () => {
      if (this.#held.delete(holder)) this.#grant();
    };
  }

  #grant(): void {
    for (const waiter of this.#waiting) {
      if (!this.#isFree(waiter, waiter)) continue;
      this.#waiting.delete(waiter);
      waiter.grant();
    }
  }
}
