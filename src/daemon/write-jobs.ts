/** Jobs that change the name space or a file, as calls of the store. */
import type { CallContext } from '../cluster/index.ts';
import type { KeptFile, NodeStatus, Upload, WritableStore } from '../store/index.ts';
import type { Job, JobResult, KeptMessage, StatusMessage } from '../vfs/index.ts';
import { versionOf } from './versions.ts';

const WRITE_KINDS = [
  'make-directory',
  'make-node',
  'set-attributes',
  'upload',
  'remove-file',
  'remove-kept',
  'remove-directory',
  'touch-directory',
  'rename',
  'sync-directory',
] as const;

export type WriteJob = Extract<Job, { kind: (typeof WRITE_KINDS)[number] }>;

export function isWriteJob(job: Job): job is WriteJob {
  return (WRITE_KINDS as readonly string[]).includes(job.kind);
}

/** Slower than any network worth a mount; what stands still is noticed long before. */
const SLOWEST_BYTES_PER_MS = 100;
/** A directory of millions of files moves one by one; each of them has a deadline of its own. */
const LONGEST_MS = 24 * 3600 * 1000;

/** Deadline of the job in milliseconds from now. */
export function writeTimeoutMs(job: WriteJob, requestTimeoutMs: number): number {
  switch (job.kind) {
    case 'upload': {
      const bytes = job.segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
      return requestTimeoutMs + bytes / SLOWEST_BYTES_PER_MS;
    }
    case 'rename':
    case 'remove-file':
      // Both may copy what they move.
      return LONGEST_MS;
    case 'sync-directory':
      // Uploads that were acknowledged before they began.
      return LONGEST_MS;
    default:
      return requestTimeoutMs;
  }
}

export async function runWriteJob(
  store: WritableStore,
  job: WriteJob,
  context: CallContext,
): Promise<JobResult> {
  const { id } = job;
  switch (job.kind) {
    case 'make-directory':
      return status(id, await store.makeDirectory(job.path, job.attributes, context));
    case 'make-node':
      return status(id, await store.makeNode(job.path, job.nodeKind, job.attributes, context));
    case 'set-attributes':
      return status(id, await store.setAttributes(job.path, job.change, context));
    case 'upload':
      return status(id, await store.upload(uploadOf(job), context));
    case 'remove-file': {
      const { kept } = await store.removeFile(job.path, job.mustKeep, context);
      return { kind: 'removed', id, kept: keptMessage(kept) };
    }
    case 'remove-kept':
      await store.removeKept(job.path, context);
      return { kind: 'done', id };
    case 'remove-directory':
      await store.removeDirectory(job.path, context);
      return { kind: 'done', id };
    case 'touch-directory':
      await store.touchDirectory(job.path, context);
      return { kind: 'done', id };
    case 'rename': {
      const { path, to, isExclusive, watched, keepsTarget } = job;
      const options = { isExclusive, watched, keepsTarget };
      const { statuses, kept } = await store.rename(path, to, options, context);
      return {
        kind: 'renamed',
        id,
        statuses: statuses.map((each) => (each === undefined ? undefined : statusMessage(each))),
        kept: keptMessage(kept),
      };
    }
    case 'sync-directory':
      await store.sync(job.path, context, job.file);
      return { kind: 'done', id };
    default: {
      const unknown: never = job;
      throw new Error(`A job of no known kind: ${JSON.stringify(unknown)}`);
    }
  }
}

function status(id: JobResult['id'], node: NodeStatus): JobResult {
  return { kind: 'status', id, status: statusMessage(node) };
}

function keptMessage(kept: KeptFile | undefined): KeptMessage | undefined {
  if (kept === undefined) return undefined;
  const { lengthBytes, mtimeMs, contentHash } = kept.version;
  return { path: kept.path, version: { lengthBytes, mtimeMs, contentHash } };
}

function uploadOf(job: Extract<WriteJob, { kind: 'upload' }>): Upload {
  const { path, stagingName, segments, base, attributes, isHandedOver } = job;
  return {
    path,
    stagingName,
    segments,
    base: base === undefined ? undefined : { path: base.path, version: versionOf(base.version) },
    attributes,
    isHandedOver,
  };
}

export function statusMessage(node: NodeStatus): StatusMessage {
  const { kind, lengthBytes, mtimeMs, contentHash, posix } = node;
  const message = { kind, lengthBytes, mtimeMs, mode: posix.mode, contentHash };
  return hasMoreThanMode(posix) ? { ...message, posix } : message;
}

function hasMoreThanMode(posix: NodeStatus['posix']): boolean {
  for (const key in posix) if (key !== 'mode') return true;
  return false;
}
