/** What a store is made of, and its bounds. */
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { ClusterWriter } from '../cluster/write/cluster-writer.ts';
import { ATTRIBUTE_FILE_BYTES_MAX } from './attribute-cache.ts';
import type { AttributeDefaults } from './attribute-record.ts';
import type { StoreReader } from './cluster-parts.ts';
import type { JournalDisk } from './journal-disk.ts';

export interface StoreTuning {
  /** A change of attributes waits so long for others of its directory. */
  readonly attributesDelayMs: number;
  /** Of one directory, as its attribute file has them. */
  readonly attributeBytesMax: number;
  /** Attribute records in memory: some 300 bytes each. */
  readonly attributeRecordsMax: number;
  /** Acknowledged files that travel at a time. */
  readonly uploadConcurrency: number;
  /** Copies and deletes of a renamed tree at a time. */
  readonly copyConcurrency: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const DEFAULT_TUNING: StoreTuning = {
  attributesDelayMs: 1000,
  // Less than readers take: other clients write to the same file.
  attributeBytesMax: ATTRIBUTE_FILE_BYTES_MAX - 4 * 1024 * 1024,
  attributeRecordsMax: 200_000,
  uploadConcurrency: 4,
  // A worker serves each of these on a connection of its own.
  copyConcurrency: 16,
  retryFirstMs: 500,
  retryMaxMs: 30_000,
};

export interface ReadViewOptions {
  readonly reader: StoreReader;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly attributesTtlMs: number;
  /** Off: what other mounts keep beside the files is neither read nor shown. */
  readonly hasAttributes?: boolean;
  readonly tuning?: Partial<StoreTuning>;
}

export interface StoreOptions extends Omit<ReadViewOptions, 'hasAttributes'> {
  readonly writer: ClusterWriter;
  /** Of this mount alone; exists. */
  readonly stateDirectory: string;
  /** Where `Upload.stagingName` lies; exists. On a file system that survives a reboot. */
  readonly stagingDirectory: string;
  readonly writeMode: 'through' | 'back';
  /** What of the name space lies where; all of it in one place when left out. */
  readonly mounts?: {
    /** Neither removed nor renamed: all of another under store would go with it. */
    isMountedDirectory(path: ByteString): boolean;
    /** What has no place must not be journaled: it could never be finished. */
    takesChanges(path: ByteString): boolean;
  };
  /** What is equal to it is not recorded. */
  readonly defaults?: AttributeDefaults;
  /** A staging file that was handed over is gone. */
  readonly onStagingReleased?: (stagingName: string) => void;
  /** Instead of a file in the state directory. */
  readonly journalDisk?: JournalDisk;
}
