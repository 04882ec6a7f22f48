/** How a request waits: for the answer to a question, within the deadline, or for a job of its own. */
import type { Inode } from './inode.ts';
import type { ResolveWaiter } from './metadata.ts';
import type { Moves } from './moves.ts';
import type { PendingRequests } from './pending.ts';
import type { CoreReplies, FsErrorCode, RequestId } from './types.ts';

export class Asking {
  readonly #pending: PendingRequests;
  readonly #replies: CoreReplies;
  readonly #moves: Moves;

  constructor(pending: PendingRequests, replies: CoreReplies, moves: Moves) {
    this.#pending = pending;
    this.#replies = replies;
    this.#moves = moves;
  }

  /** Waits for a question if it has to, within the deadline, and answers errors. */
  resolve(
    request: RequestId,
    ask: (waiter: ResolveWaiter) => void,
    found: (inode: Inode) => void,
    absent: (ttlMs: number) => void,
  ): void {
    let isAnswered = false;
    let isWaiting = false;
    const settle = (answer: () => void): void => {
      if (isWaiting ? !this.#pending.take(request) : isAnswered) return;
      isAnswered = true;
      answer();
    };
    ask({
      found: (inode) => settle(() => found(inode)),
      absent: (ttlMs) => settle(() => absent(ttlMs)),
      failed: (code) => settle(() => this.#replies.error(request, code)),
    });
    if (isAnswered) return;
    isWaiting = true;
    this.#pending.add(request, (code) => {
      if (this.#pending.take(request)) this.#replies.error(request, code);
    });
  }

  /**
   * Waits, within the deadline, until none of these is on its way elsewhere: what is asked of the cluster
   * by their paths would come where they are no more. The kernel holds them as long as the request waits.
   */
  whenStill(request: RequestId, inodes: readonly Inode[], run: () => void): void {
    const moving = inodes.find((inode) => this.#moves.isMoving(inode));
    if (moving === undefined) {
      run();
      return;
    }
    this.#pending.add(request, (code) => {
      if (this.#pending.take(request)) this.#replies.error(request, code);
    });
    this.#moves.whenStill(moving, () => {
      if (this.#pending.take(request)) this.whenStill(request, inodes, run);
    });
  }

  /**
   * Waits for what `start` begins, which has a deadline of its own and calls back once. `done` runs if
   * it went well and somebody still waits.
   */
  until(
    request: RequestId,
    start: (settle: (error: FsErrorCode | undefined) => void) => void,
    done: () => void,
  ): void {
    this.#pending.addUntimed(request, (code) => {
      if (this.#pending.take(request)) this.#replies.error(request, code);
    });
    start((error) => {
      if (!this.#pending.take(request)) return;
      if (error === undefined) done();
      else this.#replies.error(request, error);
    });
  }
}
