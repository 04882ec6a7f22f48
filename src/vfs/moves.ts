/**
 * Files and directories whose name this mount is changing. Between the change in the cluster and our
 * hearing of it, the cluster says of the old name that nothing is there; that is no news of others.
 */
import type { Inode } from './inode.ts';

export class Moves {
  readonly #moving = new Map<Inode, number>();
  /** As many as requests and files in use, which are bounded. */
  readonly #waiting = new Map<() => void, Inode>();

  /** Until the returned function is called. */
  begin(inode: Inode): () => void {
    this.#moving.set(inode, (this.#moving.get(inode) ?? 0) + 1);
    return () => {
      const count = (this.#moving.get(inode) ?? 0) - 1;
      if (count > 0) this.#moving.set(inode, count);
      else this.#moving.delete(inode);
      for (const [run, waiting] of this.#waiting) {
        if (this.isMoving(waiting)) continue;
        this.#waiting.delete(run);
        run();
      }
    };
  }

  has(inode: Inode): boolean {
    return this.#moving.has(inode);
  }

  /** The highest directory that is, on the way to it; or it itself. */
  topOf(inode: Inode): Inode | undefined {
    if (this.#moving.size === 0) return undefined;
    let top: Inode | undefined;
    for (let each: Inode | undefined = inode; each !== undefined; each = each.parent) {
      if (this.#moving.has(each)) top = each;
    }
    return top;
  }

  /** It, or a directory above it. */
  isMoving(inode: Inode): boolean {
    return this.topOf(inode) !== undefined;
  }

  /** Calls back, maybe at once, when none of its names is changing. */
  whenStill(inode: Inode, run: () => void): void {
    if (this.isMoving(inode)) this.#waiting.set(run, inode);
    else run();
  }
}
