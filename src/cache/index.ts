/**
 * The local page cache. The core owns the memory tier (slab); the slab's bytes are shared with the
 * cluster thread, its bookkeeping is not.
 */
export { MemoryTier } from './memory-tier.ts';
export { NO_STAGING, StagingDirectory } from './staging.ts';
export type { StagingArea, StagingError, StagingFile, StagingOptions } from './staging.ts';
export { Slab, SLOT_BYTES, slabGeometry } from './slab.ts';
export type { SlabGeometry } from './slab.ts';
export type { BackingMessage } from './disk/types.ts';
export type { CachedFile, Page, PageTier, PageTierUsage } from './page-tier.ts';
