/** What the disk tier says of itself. */

/** Absolute path of a backing file, and what shows that nobody touched it since it was checked. */
export interface BackingMessage {
  readonly file: string;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

/** Why a page was not kept. */
export const NOT_KEPT = ['queue-full', 'no-room', 'failed', 'not-ready', 'too-new'] as const;
export type NotKept = (typeof NOT_KEPT)[number];

export type DiskOperation = 'read' | 'write' | 'index' | 'remove';

/** Counted since the tier was opened. */
export interface DiskFigures {
  readBytes: number;
  hitPages: number;
  /** Asked for and not there. */
  missedPages: number;
  writtenBytes: number;
  readonly notKeptPages: Record<NotKept, number>;
  evictedBytes: number;
  evictedFiles: number;
  /** Files that were not what was written, and were removed. */
  corruptFiles: number;
  readonly failures: Record<DiskOperation, number>;
}

export interface DiskDirectoryStatus {
  readonly directory: string;
  readonly state: 'loading' | 'serving' | 'retired';
  /** Why it is retired, or why nothing is written to it at present. */
  readonly reason?: string;
  /** Backing files and index. */
  readonly usedBytes: number;
  readonly limitBytes: number;
  /** What is kept free of its file system; 0 while not known. */
  readonly freeFloorBytes: number;
  readonly files: number;
  readonly pages: number;
  readonly indexBytes: number;
}

export interface DiskEvents {
  failed(directory: string, operation: DiskOperation, error: Error): void;
  corrupt(file: string, reason: string): void;
  retired(directory: string, reason: string): void;
}

export function newFigures(): DiskFigures {
  return {
    readBytes: 0,
    hitPages: 0,
    missedPages: 0,
    writtenBytes: 0,
    notKeptPages: { 'queue-full': 0, 'no-room': 0, failed: 0, 'not-ready': 0, 'too-new': 0 },
    evictedBytes: 0,
    evictedFiles: 0,
    corruptFiles: 0,
    failures: { read: 0, write: 0, index: 0, remove: 0 },
  };
}
