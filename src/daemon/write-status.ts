/** What a writable mount has not brought to the cluster yet: for `status`, `umount` and metrics. */
import { displayByteString } from '../base/byte-string.ts';
import type { MountConfig } from '../config/index.ts';
import type { ClusterStore } from '../store/index.ts';
import type { Metrics } from '../telemetry/index.ts';
import type { Counters } from '../vfs/index.ts';
import type { ErrorLog } from './error-log.ts';
import type { ObservedWriter } from './observed-writer.ts';

export interface WriteStatusParts {
  readonly config: MountConfig;
  readonly store: ClusterStore;
  readonly writer: ObservedWriter;
  readonly counters: Counters;
  readonly errors: ErrorLog;
}

export type WriteStatus = ReturnType<typeof writeStatusOf>;

export function writeStatusOf(parts: WriteStatusParts) {
  const { config, store, writer, counters, errors } = parts;
  const backlog = store.backlog();
  const unsavedFiles = counters.get('stagedFiles');
  return {
    writeMode: config.writeMode,
    /** Neither the cluster nor the journal has these changes. */
    unsavedFiles,
    unsavedBytes: counters.get('unsavedBytes'),
    ...backlog,
    lastError: backlog.lastError ?? (unsavedFiles > 0 ? errors.lastUnsaved() : undefined),
    renames: store.renamesInProgress().map(({ from, to, phase, filesCopied }) => ({
      from: displayByteString(from),
      to: displayByteString(to),
      phase,
      filesCopied,
    })),
    uploads: writer.figures(),
    staging: {
      directory: config.stagingDir,
      usedBytes: counters.get('stagingBytes'),
      limitBytes: config.stagingLimitBytes,
    },
  };
}

export function registerBacklog(metrics: Metrics, config: MountConfig, store: ClusterStore): void {
  const gauge = (value: () => number) => () => [{ labels: {}, value: value() }];
  metrics.readAtScrape(
    'uploadsPending',
    gauge(() => store.backlog().uploadsPending),
  );
  metrics.readAtScrape(
    'uploadBytesPending',
    gauge(() => store.backlog().uploadBytesPending),
  );
  metrics.readAtScrape(
    'attributesPending',
    gauge(() => store.backlog().attributesPending),
  );
  metrics.readAtScrape(
    'repairsPending',
    gauge(() => store.backlog().repairsPending),
  );
  metrics.readAtScrape(
    'keptFiles',
    gauge(() => store.backlog().keptFiles),
  );
  metrics.readAtScrape(
    'backlogAge',
    gauge(() => store.backlog().oldestAgeMs / 1000),
  );
  metrics.set('stagingLimitBytes', {}, config.stagingLimitBytes);
}
