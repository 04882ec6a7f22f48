/**
 * The composition root: supervisor, daemon, threads, and the joints between the kernel side and the
 * cluster side, which meet nowhere else.
 */
export { daemonStatus, mountDaemon, unmountDaemon } from './launch.ts';
export type { MountOutcome, Outcome } from './launch.ts';
