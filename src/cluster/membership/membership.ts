/**
 * Who is in the cluster. A membership source always has a view: the last good one, however old; its
 * age is told beside it. It never throws after construction: being cut off is a status.
 */
import type { MembershipView, Worker } from '../types.ts';

export type MembershipStatus =
  /** No answer yet. */
  | 'starting'
  /** The view is what the source says. */
  | 'current'
  /** The source is away; the view is the last good one. */
  | 'stale';

export interface Membership {
  /** For status and logs, such as `etcd http://127.0.0.1:2379 cluster DefaultAlluxioCluster`. */
  readonly source: string;
  /** Whether a worker that the view lacks is none of the cluster. */
  readonly isWhole: boolean;
  view(): MembershipView;
  status(): MembershipStatus;
  /** When the source last answered, on the injected clock; undefined before the first answer. */
  lastGoodAtMs(): number | undefined;
  lastError(): string | undefined;
  /** Called after every change of the view (identity or address). Returns what ends it. */
  onChange(listener: (view: MembershipView) => void): () => void;
  close(): Promise<void>;
}

/** Holds a view and its generation; a generation rises only with a change that placement can see. */
export class ViewHolder {
  #view: MembershipView = { workers: [], generation: 0 };
  readonly #listeners = new Set<(view: MembershipView) => void>();

  get view(): MembershipView {
    return this.#view;
  }

  onChange(listener: (view: MembershipView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Returns whether the workers differ from those held. */
  replace(workers: readonly Worker[]): boolean {
    const sorted = [...workers].sort((a, b) => (a.id < b.id ? -1 : 1));
    const held = this.#view.workers;
    const isSame =
      sorted.length === held.length && sorted.every((worker, i) => isSameWorker(worker, held[i]));
    if (isSame) return false;
    this.#view = { workers: sorted, generation: this.#view.generation + 1 };
    for (const listener of this.#listeners) listener(this.#view);
    return true;
  }
}

function isSameWorker(a: Worker, b: Worker | undefined): boolean {
  return (
    a.id === b?.id &&
    a.host === b.host &&
    a.httpPort === b.httpPort &&
    a.s3Port === b.s3Port &&
    a.identifier === b.identifier &&
    a.version === b.version
  );
}
