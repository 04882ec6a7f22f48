/** The disk tier of a mount: from the configuration, with its log lines and metrics. */
import { createHash } from 'node:crypto';
import type { DiskTier, DiskTierStatus } from '../cache/disk/index.ts';
import { describeNameSpace } from '../config/index.ts';
import type { MountConfig } from '../config/index.ts';
import type { LimitedLogger, Metrics } from '../telemetry/index.ts';
import { adminSocketPath } from './state-dir.ts';

export interface DiskSideParts {
  /** With the mounts that the cluster told. */
  readonly config: MountConfig;
  readonly incarnation: number;
  readonly metrics: Metrics;
  readonly logger: LimitedLogger;
  readonly onRetired: (directory: string) => void;
}

/** Undefined where no directory is configured. */
export async function openDiskTier(parts: DiskSideParts): Promise<DiskTier | undefined> {
  const { config, logger } = parts;
  const { cacheDirs, stateDir, mountpoint } = config;
  if (cacheDirs.length === 0) return undefined;
  // Loaded only here: it brings native code with it.
  const disk = await import('../cache/disk/index.ts');
  const tier = await disk.DiskTier.open({
    directories: cacheDirs,
    limitBytes: config.cacheLimitBytes,
    freeSpace: config.cacheFreeSpace,
    pageSizeBytes: config.pageSizeBytes,
    // Each look-up hashes it, however many workers it names.
    place: createHash('sha256').update(describeNameSpace(config)).digest('hex'),
    holder: { pid: process.pid, mountpoint, adminSocket: adminSocketPath(stateDir, mountpoint) },
    // Who mounts can give another directory; a mount that stands goes on without it.
    isForgiving: parts.incarnation > 1,
    events: {
      failed: (directory, operation, error) =>
        logger.warn(
          { code: `cache-${operation}`, path: directory },
          { error },
          'A cache directory failed; what it does not have is fetched',
        ),
      corrupt: (file, reason) =>
        logger.warn(
          { code: 'cache-corrupt', path: file },
          { reason },
          'A cached file was not what was written; it is fetched again',
        ),
      retired: (directory, reason) => {
        parts.onRetired(directory);
        logger.error(
          { code: 'cache-retired', path: directory },
          { reason },
          'A cache directory is out of use until the next mount',
        );
      },
    },
  });
  registerMetrics(parts.metrics, () => tier.status());
  return tier;
}

type Gauge =
  | 'cachedStorageBytes'
  | 'cachedCapacityBytes'
  | 'cachedEvictedBytes'
  | 'diskReadBytes'
  | 'diskHits'
  | 'diskMisses'
  | 'diskWrittenBytes'
  | 'diskEvictedFiles'
  | 'diskCorruptFiles'
  | 'diskFiles'
  | 'diskPages'
  | 'diskQueuedBytes';

function registerMetrics(metrics: Metrics, status: () => DiskTierStatus): void {
  const single = (key: Gauge, value: (now: DiskTierStatus) => number): void =>
    metrics.readAtScrape(key, () => [{ labels: {}, value: value(status()) }]);
  type Directory = DiskTierStatus['directories'][number];
  const sum = (now: DiskTierStatus, of: (directory: Directory) => number): number =>
    now.directories.reduce((total, directory) => total + of(directory), 0);
  const isAlive = ({ state }: Directory): boolean => state !== 'retired';
  single('cachedStorageBytes', (now) => sum(now, ({ usedBytes }) => usedBytes));
  single('cachedCapacityBytes', (now) =>
    sum(now, (directory) => (isAlive(directory) ? directory.limitBytes : 0)),
  );
  single('cachedEvictedBytes', ({ figures }) => figures.evictedBytes);
  single('diskReadBytes', ({ figures }) => figures.readBytes);
  single('diskHits', ({ figures }) => figures.hitPages);
  single('diskMisses', ({ figures }) => figures.missedPages);
  single('diskWrittenBytes', ({ figures }) => figures.writtenBytes);
  single('diskEvictedFiles', ({ figures }) => figures.evictedFiles);
  single('diskCorruptFiles', ({ figures }) => figures.corruptFiles);
  single('diskFiles', (now) => sum(now, ({ files }) => files));
  single('diskPages', (now) => sum(now, ({ pages }) => pages));
  single('diskQueuedBytes', ({ queuedBytes }) => queuedBytes);
  metrics.readAtScrape('diskNotKept', () =>
    Object.entries(status().figures.notKeptPages).map(([reason, value]) => ({
      labels: { reason },
      value,
    })),
  );
  metrics.readAtScrape('diskFailures', () =>
    Object.entries(status().figures.failures).map(([operation, value]) => ({
      labels: { operation },
      value,
    })),
  );
  metrics.readAtScrape('diskDirectories', () =>
    (['loading', 'serving', 'retired'] as const).map((state) => ({
      labels: { state },
      value: status().directories.filter((directory) => directory.state === state).length,
    })),
  );
}
