/** What the parts of the core share: one owner each, wired once in `Core`. */
import type { Clock } from '../base/clock.ts';
import type { PageTier, StagingArea } from '../cache/index.ts';
import type { Asking } from './asking.ts';
import type { Counters } from './counters.ts';
import type { Handles } from './handles.ts';
import type { InodeTable } from './inode-table.ts';
import type { ImplicitHandles } from './implicit-handles.ts';
import type { Inode } from './inode.ts';
import type { KernelListings } from './kernel-listings.ts';
import type { Moves } from './moves.ts';
import type { Passthrough } from './passthrough.ts';
import type { Jobs, PendingRequests } from './pending.ts';
import type { WindowLimit } from './read-ahead.ts';
import type { CoreEffects, CoreOptions, CoreReplies, FsErrorCode } from './types.ts';

export interface CoreContext {
  readonly options: CoreOptions;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly replies: CoreReplies;
  readonly effects: CoreEffects;
  readonly inodes: InodeTable;
  readonly handles: Handles;
  readonly implicit: ImplicitHandles;
  readonly passthrough: Passthrough;
  readonly tier: PageTier;
  readonly windowLimit: WindowLimit;
  readonly staging: StagingArea;
  /** Milliseconds since 1970, for times that programs see. */
  readonly wallNowMs: () => number;
  readonly jobs: Jobs;
  readonly moves: Moves;
  readonly pending: PendingRequests;
  readonly asking: Asking;
  readonly kernelListings: KernelListings;
}

/** Tells the log why a request on this inode failed. */
export function reportFailure(
  context: CoreContext,
  inode: Inode,
  code: FsErrorCode,
  reason: string,
): void {
  context.effects.report({ code, path: context.inodes.path(inode), reason });
}
