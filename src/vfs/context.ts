/** What the parts of the core share: one owner each, wired once in `Core`. */
import type { Clock } from '../base/clock.ts';
import type { PageTier } from '../cache/index.ts';
import type { Counters } from './counters.ts';
import type { Handles } from './handles.ts';
import type { Inode, InodeTable } from './inode-table.ts';
import type { Jobs, PendingRequests } from './pending.ts';
import type { CoreEffects, CoreOptions, CoreReplies, FsErrorCode } from './types.ts';

export interface CoreContext {
  readonly options: CoreOptions;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly replies: CoreReplies;
  readonly effects: CoreEffects;
  readonly inodes: InodeTable;
  readonly handles: Handles;
  readonly tier: PageTier;
  readonly jobs: Jobs;
  readonly pending: PendingRequests;
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
