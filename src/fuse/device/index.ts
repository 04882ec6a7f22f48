/**
 * The `device` driver: the FUSE wire protocol over /dev/fuse, without libfuse. It moves messages and
 * mounts; what requests mean is for whoever hosts the core.
 */
export { closeBacking, openBacking } from './backing.ts';
export { FuseChannel, NotificationQueue, READ_BUFFER_BYTES } from './channel.ts';
export { runLoop } from './loop.ts';
export type { LoopHandler } from './loop.ts';
export { findMount, MountError, mountDevice, raiseReadAhead, unmount } from './mount.ts';
export type { MountEntry, MountOptions } from './mount.ts';
export {
  canIncreaseEpoch,
  canPassThrough,
  canResend,
  canSkipOpens,
  negotiate,
  REQUEST_BYTES_MAX,
} from './negotiate.ts';
export type { Negotiated } from './negotiate.ts';
