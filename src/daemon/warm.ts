/**
 * Fetches files into the cache directories without anybody reading them: past the kernel and the page
 * memory, which stay with what programs read.
 */
import { displayByteString, joinPath } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { CachedContent, DiskTier } from '../cache/disk/index.ts';
import type { CallContext } from '../cluster/index.ts';
import type { NodeStatus, WritableStore } from '../store/index.ts';
import { LISTING_ENTRIES_MAX } from '../vfs/index.ts';
import { statusMessage } from './write-jobs.ts';
import { versionOf } from './versions.ts';

export const WARM_PARALLEL = 8;
const WARM_PARALLEL_MAX = 64;
/** One request to a worker; each of those at a time has memory of this size (or of one page). */
const FETCH_BYTES = 4 * 1024 * 1024;
/** Whoever waits sees that it goes on. */
const PROGRESS_MS = 500;
/** Failures that are told one by one. */
const FAILURES_MAX = 100;
/** A queue that is full gets room within milliseconds; a disk that stands still is not waited for. */
const QUEUE_WAIT_MS = 10;
const QUEUE_WAITS_MAX = 6_000;

export interface WarmParts {
  readonly tier: DiskTier;
  readonly files: Pick<WritableStore, 'stat' | 'list' | 'read'>;
  readonly pageSizeBytes: number;
  readonly requestTimeoutMs: number;
  readonly emit: (line: object) => Promise<void>;
  readonly signal: AbortSignal;
  readonly parallel?: number;
}

export interface WarmProgress {
  files: number;
  failed: number;
  /** Of the files that were looked at, as far as they are in the cache now. */
  cachedBytes: number;
  /** Of them, fetched just now. */
  fetchedBytes: number;
}

export async function warm(paths: readonly ByteString[], parts: WarmParts): Promise<void> {
  const progress: WarmProgress = { files: 0, failed: 0, cachedBytes: 0, fetchedBytes: 0 };
  const files = walk(paths, parts, progress);
  const parallel = Math.min(parts.parallel ?? WARM_PARALLEL, WARM_PARALLEL_MAX);
  await withProgress(parts.emit, progress, async () => {
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        const memory = Buffer.allocUnsafeSlow(Math.max(FETCH_BYTES, parts.pageSizeBytes));
        for await (const file of oneByOne(files)) {
          if (parts.signal.aborted) return;
          await tried(file.path, parts, progress, () => warmFile(file, memory, parts, progress));
        }
      }),
    );
  });
  await parts.tier.settled();
  await parts.emit({ kind: 'warmed', ...progress });
}

/** Tells how far it is, again and again while the work goes on. */
export async function withProgress(
  emit: WarmParts['emit'],
  progress: object,
  work: () => Promise<void>,
): Promise<void> {
  const timer = setInterval(() => void emit({ kind: 'progress', ...progress }), PROGRESS_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
}

/** Several take from one generator; leaving the loop must not end it for the others. */
async function* oneByOne<T>(generator: AsyncGenerator<T>): AsyncGenerator<T> {
  for (;;) {
    const next = await generator.next();
    if (next.done === true) return;
    yield next.value;
  }
}

interface WarmFile {
  readonly path: ByteString;
  readonly status: NodeStatus;
}

const contextOf = ({ signal, requestTimeoutMs }: WarmParts): CallContext => ({
  signal,
  deadlineMs: performance.now() + requestTimeoutMs,
});

async function* walk(
  paths: readonly ByteString[],
  parts: WarmParts,
  progress: WarmProgress,
): AsyncGenerator<WarmFile> {
  for (const path of paths.length === 0 ? ['/' as ByteString] : paths) {
    const status = await tried(path, parts, progress, () =>
      parts.files.stat(path, contextOf(parts)),
    );
    if (status?.kind === 'file') yield { path, status };
    else if (status?.kind === 'directory') yield* walkDirectory(path, parts, progress);
  }
}

async function* walkDirectory(
  root: ByteString,
  parts: WarmParts,
  progress: WarmProgress,
): AsyncGenerator<WarmFile> {
  const directories = [root];
  for (;;) {
    const path = directories.pop();
    if (path === undefined || parts.signal.aborted) return;
    const listed: NodeStatus[] = [];
    await tried(path, parts, progress, () => readListing(path, parts, listed));
    for (const status of listed) {
      const child = joinPath(path, status.name);
      if (status.kind === 'directory') directories.push(child);
      else if (status.kind === 'file') yield { path: child, status };
    }
  }
}

/**
 * To its end, before anything of it is fetched: a listing has a deadline, and a worker that is not read from
 * gives up on it; fetching takes as long as it takes. What came before a failure is in `listed`.
 */
async function readListing(
  path: ByteString,
  parts: WarmParts,
  listed: NodeStatus[],
): Promise<void> {
  for await (const batch of parts.files.list(path, contextOf(parts))) {
    for (const status of batch) listed.push(status);
    if (listed.length > LISTING_ENTRIES_MAX) {
      throw new Error(`The directory has more than ${LISTING_ENTRIES_MAX} entries`);
    }
  }
}

/** A failure is told, and does not stop the others. */
async function tried<T>(
  path: ByteString,
  { emit, signal }: WarmParts,
  progress: WarmProgress,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return undefined;
    if (++progress.failed <= FAILURES_MAX) {
      const reason = (error as Error).message;
      await emit({ kind: 'failed', path: displayByteString(path), reason });
    }
    return undefined;
  }
}

async function warmFile(
  { path, status }: WarmFile,
  memory: Buffer,
  parts: WarmParts,
  progress: WarmProgress,
): Promise<void> {
  const { pageSizeBytes, tier } = parts;
  const { lengthBytes, mtimeMs, contentHash } = statusMessage(status);
  const version = { lengthBytes, mtimeMs, contentHash };
  const content = tier.contentOf(path, version);
  const pages = Math.ceil(lengthBytes / pageSizeBytes);
  const pagesMax = Math.max(1, Math.floor(FETCH_BYTES / pageSizeBytes));
  if (content === undefined) {
    if (pages > 0) throw new Error('No cache directory can take it');
    progress.files++;
    return;
  }
  for (let first = 0; first < pages && !parts.signal.aborted;) {
    let end = first;
    while (end < pages && end - first < pagesMax && !content.has(end)) end++;
    if (end === first) {
      progress.cachedBytes += Math.min(pageSizeBytes, lengthBytes - first * pageSizeBytes);
      first++;
      continue;
    }
    const offset = first * pageSizeBytes;
    const bytes = Math.min(end * pageSizeBytes, lengthBytes) - offset;
    await fetchInto(memory.subarray(0, bytes), { path, offset, version }, parts);
    await keepAll(content, first, memory.subarray(0, bytes), parts);
    progress.cachedBytes += bytes;
    progress.fetchedBytes += bytes;
    first = end;
  }
  progress.files++;
}

async function fetchInto(
  memory: Buffer,
  range: {
    readonly path: ByteString;
    readonly offset: number;
    readonly version: Parameters<typeof versionOf>[0];
  },
  parts: WarmParts,
): Promise<void> {
  const { path, offset, version } = range;
  const sink = (chunk: Uint8Array, offsetInRange: number): void => {
    memory.set(chunk, offsetInRange);
  };
  const direct = {
    memoryAt: (at: number) => memory.subarray(at),
    received: () => undefined,
  };
  await parts.files.read(
    { path, offset, lengthBytes: memory.length, version: versionOf(version) },
    Object.assign(sink, { direct }),
    contextOf(parts),
  );
}

async function keepAll(
  content: CachedContent,
  firstPage: number,
  bytes: Buffer,
  { pageSizeBytes, signal }: WarmParts,
): Promise<void> {
  for (let at = 0, page = firstPage; at < bytes.length; at += pageSizeBytes, page++) {
    const piece = bytes.subarray(at, at + pageSizeBytes);
    let copy = content.copy(page, [piece]);
    for (let waits = 0; copy === undefined && waits < QUEUE_WAITS_MAX && !signal.aborted; waits++) {
      await new Promise((resolve) => setTimeout(resolve, QUEUE_WAIT_MS));
      copy = content.copy(page, [piece]);
    }
    if (copy === undefined) throw new Error('The cache directory does not take it');
    content.keep([copy]);
  }
}
