/** What stands in the journal, by kind. Plain JSON; byte strings survive as they are. */
import type { ByteString } from '../base/byte-string.ts';
import type { FileVersion } from '../cluster/index.ts';
import type { UploadedContent } from '../cluster/write/cluster-writer.ts';
import type { RecordJson } from './attribute-json.ts';
import type { UploadSegment } from './types.ts';

export interface TemporaryEntry {
  /** Where the bytes are going. */
  readonly path: ByteString;
  readonly token: string;
  readonly lengthBytes: number;
  /** It failed, and its name is only to be cleared away. */
  readonly isAbandoned?: boolean;
  /** Once the upload is known to be complete under the temporary name. */
  readonly content?: UploadedContent;
}

export interface AttributeEntry {
  readonly directory: ByteString;
  readonly name: ByteString;
  /** null: to be removed. */
  readonly record: RecordJson | null;
}

export interface UploadEntry {
  readonly path: ByteString;
  readonly stagingName: string;
  readonly segments: readonly UploadSegment[];
  readonly mtimeMs: number;
  readonly record: RecordJson | null;
  /** The cluster had nothing under the path when it was acknowledged. */
  readonly isNew: boolean;
}

/** The bytes of an uploaded `staged-<id>` version, as the cluster calls them. */
export interface AliasEntry {
  readonly path: ByteString;
  readonly stagedMtimeMs: number;
  readonly version: FileVersion;
}

export interface RenameEntry {
  readonly from: ByteString;
  readonly to: ByteString;
  readonly isDirectory: boolean;
  /** The source, as the cluster has it, and the time that programs see. */
  readonly source: {
    readonly lengthBytes: number;
    readonly mtimeMs: number;
    readonly shownMtimeMs: number;
  };
  /** copying: `from` is true; switched: `to` is true, and `from` is being deleted. */
  readonly phase: 'copying' | 'switched';
  /** One step of the under store: never half done. */
  readonly isAtomic: boolean;
  /** What was at `to` before: a file's bytes are lost as soon as copying begins. */
  readonly replaced: 'nothing' | 'file' | 'directory';
}

export interface KeptEntry {
  /** The bytes lie in the staging directory, not in the cluster. */
  readonly stagingName?: string;
}

export interface JournalEntries {
  /** Id: the temporary path. */
  temporary: TemporaryEntry;
  /** Id: directory and name. */
  attribute: AttributeEntry;
  upload: UploadEntry;
  alias: AliasEntry;
  rename: RenameEntry;
  /** Id: the path of a file that is gone for this mount and must go in the cluster. */
  removal: Record<string, never>;
  /** Id: the kept path. */
  kept: KeptEntry;
  /** Id: a directory that workers may list as it was. */
  listing: Record<string, never>;
}

export type JournalKind = keyof JournalEntries;
