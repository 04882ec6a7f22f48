/**
 * Cached pages on local disks. Loaded only where there is a cache directory: it brings native code
 * with it.
 */
export { DirectoryInUseError } from './directory-lock.ts';
export { DiskTier } from './disk-tier.ts';
export type { CachedContent, DiskTierOptions, DiskTierStatus } from './disk-tier.ts';
export { openStopped } from './stopped.ts';
export type { PageCopy } from './write-behind.ts';
