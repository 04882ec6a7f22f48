/**
 * The composition root: supervisor, daemon, threads, and the joints between the kernel side and the
 * cluster side, which meet nowhere else.
 */
export { cacheCommand, mountFinder } from './cache-command.ts';
export { daemonStatus, mountDaemon, mountpointsOf } from './launch.ts';
export type { MountOutcome } from './launch.ts';
export { unmountDaemon } from './unmount.ts';
export type { Outcome, UnmountOptions } from './unmount.ts';
