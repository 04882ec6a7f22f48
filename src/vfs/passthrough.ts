/**
 * Files that the kernel reads by itself, from a complete copy on a disk of this machine.
 *
 * INVARIANT: the open handles of an inode are either all passthrough, with one backing id, or none is:
 * the kernel fails an open that mixes them. So an inode stays in the mode of those that are open.
 */
import { assert } from '../base/assert.ts';
import type { BackingMessage } from '../cache/index.ts';
import type { CoreContext } from './context.ts';
import type { Content, Inode } from './inode.ts';
import type { RequestId } from './types.ts';

/** How long it is believed that there is no copy: it may be complete, or checked, any moment. */
const NEGATIVE_MS = 1000;

/** The kernel's side of it: does what the name says at once, and tells whoever owns the copies. */
export interface BackingFiles {
  /** Whether this mount can have any, as far as is known by now. */
  readonly isPossible: boolean;
  /** The id that the kernel knows the copy by; undefined: it is not what it was, or cannot be used. */
  register(backing: BackingMessage, lengthBytes: number): number | undefined;
  close(backing: BackingMessage, id: number): void;
}

export const NO_BACKING_FILES: BackingFiles = {
  isPossible: false,
  register: () => undefined,
  close: () => undefined,
};

/** A content that is open in passthrough. */
interface Held {
  readonly content: Content;
  readonly backing: BackingMessage;
  readonly id: number;
  handles: number;
}

export class Passthrough {
  readonly #contextOf: () => CoreContext;
  readonly #backings: BackingFiles;
  /** No more than there are open handles. */
  readonly #held = new Map<Inode, Held>();
  /** Who waits for the answer whether there is a copy. */
  readonly #asking = new Map<Content, (() => void)[]>();

  /** It is part of the context itself. */
  constructor(contextOf: () => CoreContext, backings: BackingFiles) {
    this.#contextOf = contextOf;
    this.#backings = backings;
  }

  get #context(): CoreContext {
    return this.#contextOf();
  }

  /** Whether its open handles read one version without asking here. */
  holds(inode: Inode): boolean {
    return this.#held.has(inode);
  }

  /**
   * Runs `then` once it is known whether there is a copy of the content: mostly at once, else after
   * things may have changed.
   */
  whenKnown(
    request: RequestId,
    inode: Inode,
    content: Content,
    then: (hasWaited: boolean) => void,
  ): void {
    if (!this.#mustAsk(inode, content)) then(false);
    else {
      this.#context.asking.resolve(
        request,
        (waiter) => this.#ask(inode, content, () => waiter.found(inode)),
        () => then(true),
        () => then(true),
      );
    }
  }

  #mustAsk(inode: Inode, content: Content): boolean {
    const { options, clock } = this.#context;
    if (!this.#backings.isPossible || content.lengthBytes < options.passthroughBytesMin) {
      return false;
    }
    // Others have it open: the mode is theirs.
    if (inode.openFiles > 0 || content.backing !== undefined) return false;
    return this.#asking.has(content) || clock.nowMs() >= content.backingAskedMs + NEGATIVE_MS;
  }

  #ask(inode: Inode, content: Content, done: () => void): void {
    const others = this.#asking.get(content);
    if (others !== undefined) {
      others.push(done);
      return;
    }
    const waiters = [done];
    this.#asking.set(content, waiters);
    const { jobs, inodes, clock } = this.#context;
    const { version } = content;
    jobs.submit(
      (id) => ({ kind: 'find-backing', id, path: inodes.path(inode), version }),
      (result) => {
        this.#asking.delete(content);
        content.backing = result.kind === 'backing' ? result.backing : undefined;
        content.backingAskedMs = clock.nowMs();
        for (const waiter of waiters) waiter();
        return true;
      },
    );
  }

  /**
   * For one more handle of an inode: the backing id that it must be opened with; undefined: as usual. To
   * be given back with `closed`.
   */
  take(inode: Inode, content: Content): number | undefined {
    const held = this.#held.get(inode);
    if (held !== undefined) {
      assert(held.content === content, 'A version changed under handles that the kernel reads');
      held.handles++;
      return this.#counted(held.id);
    }
    const { backing } = content;
    if (backing === undefined) return undefined;
    const id = inode.openFiles > 0 ? undefined : this.#register(content, backing);
    if (id === undefined) {
      this.#context.counters.add('passthroughFallbacks');
      return undefined;
    }
    this.#held.set(inode, { content, backing, id, handles: 1 });
    return this.#counted(id);
  }

  #counted(id: number): number {
    this.#context.counters.add('passthroughOpens');
    return id;
  }

  #register(content: Content, backing: BackingMessage): number | undefined {
    const id = this.#backings.register(backing, content.lengthBytes);
    if (id === undefined) {
      content.backing = undefined;
      content.backingAskedMs = this.#context.clock.nowMs();
    }
    return id;
  }

  /** A handle that was opened with a backing id is gone. */
  closed(inode: Inode): void {
    const held = this.#held.get(inode);
    assert(held !== undefined, 'A handle is closed that was not open');
    if (--held.handles > 0) return;
    this.#held.delete(inode);
    this.#backings.close(held.backing, held.id);
  }

  /** For tests: throws where the invariant is broken. */
  checkInvariants(): void {
    for (const [inode, { handles }] of this.#held) {
      assert(
        handles > 0 && handles === inode.openFiles,
        'The handles of an inode are of two modes',
      );
    }
  }
}
