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
    // What nobody has but this mount comes first.
    lastError: (unsavedFiles > 0 ? errors.lastUnsaved() : undefined) ?? backlog.lastError,
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

type Backlog = ReturnType<ClusterStore['backlog']>;
type BacklogGauge =
  | 'uploadsPending'
  | 'uploadBytesPending'
  | 'attributesPending'
  | 'repairsPending'
  | 'keptFiles'
  | 'backlogAge';

export function registerBacklog(metrics: Metrics, config: MountConfig, store: ClusterStore): void {
  const gauge = (name: BacklogGauge, of: (backlog: Backlog) => number): void =>
    metrics.readAtScrape(name, () => [{ labels: {}, value: of(store.backlog()) }]);
  gauge('uploadsPending', (backlog) => backlog.uploadsPending);
  gauge('uploadBytesPending', (backlog) => backlog.uploadBytesPending);
  gauge('attributesPending', (backlog) => backlog.attributesPending);
  gauge('repairsPending', (backlog) => backlog.repairsPending);
  gauge('keptFiles', (backlog) => backlog.keptFiles);
  gauge('backlogAge', (backlog) => backlog.oldestAgeMs / 1000);
  metrics.set('stagingLimitBytes', {}, config.stagingLimitBytes);
}
