/**
 * Fetches files into the cache directories without anybody reading them: past the kernel and the page
 * memory, which stay with what programs read.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runBounded } from '../base/bounded-run.ts';
import { displayByteString, joinPath } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { CachedContent, DiskTier } from '../cache/disk/index.ts';
import type { CallContext } from '../cluster/index.ts';
import { formatSize } from '../config/index.ts';
import type { NodeStatus, WritableStore } from '../store/index.ts';
import { LISTING_ENTRIES_MAX } from '../vfs/index.ts';
import { noteArrival } from './fetcher.ts';
import { isName } from './listed-name.ts';
import { statusMessage } from './write-jobs.ts';
import { versionOf } from './versions.ts';
import type { WarmMemory } from './warm-memory.ts';

export const WARM_PARALLEL = 8;
const WARM_PARALLEL_MAX = 64;
/** One request to a worker, or one page where that is more. */
const FETCH_BYTES = 4 * 1024 * 1024;
/** Whoever waits sees that it goes on. */
const PROGRESS_MS = 500;
/** Failures that are told one by one. */
const FAILURES_MAX = 100;
/** Files that are cached already wait for nothing: so often, what else the daemon does gets its turn. */
const TURN_ENTRIES = 1000;
/** Of paths that are given: a long list of files would else take a round trip after the other. */
const STATS_AT_ONCE = 16;
/** A queue that is full gets room within milliseconds; a disk that stands still is not waited for. */
const QUEUE_WAIT_MS = 10;
const QUEUE_WAIT_MS_MAX = 60_000;

export interface WarmParts {
  readonly tier: DiskTier;
  readonly files: Pick<WritableStore, 'stat' | 'list' | 'read'>;
  readonly pageSizeBytes: number;
  readonly requestTimeoutMs: number;
  /** For all that the daemon fetches so. */
  readonly memory: WarmMemory;
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

export interface Missing {
  files: number;
  bytes: number;
  /** Of them, those of which the cache does not hold every page. */
  missingFiles: number;
  /** Directories and files that could not be looked at. */
  failed: number;
}

export async function warm(paths: readonly ByteString[], parts: WarmParts): Promise<void> {
  const progress: WarmProgress = { files: 0, failed: 0, cachedBytes: 0, fetchedBytes: 0 };
  const files = walk(paths, parts, progress);
  const parallel = Math.min(parts.parallel ?? WARM_PARALLEL, WARM_PARALLEL_MAX);
  const lossesBefore = lossesOf(parts.tier);
  const unwritten = new Set<Promise<void>>();
  const work = async (): Promise<void> => {
    for await (const file of oneByOne(files)) {
      if (parts.signal.aborted) return;
      await tried(file.path, parts, progress, () => warmFile(file, parts, progress, unwritten));
    }
  };
  await withProgress(parts.emit, progress, () =>
    parts.memory.during(async () => {
      await Promise.all(Array.from({ length: parallel }, work));
    }),
  );
  await written(unwritten, parts.signal);
  const losses = lossesOf(parts.tier) - lossesBefore;
  await parts.emit({ kind: 'warmed', ...progress, losses });
}

async function written(unwritten: ReadonlySet<Promise<void>>, signal: AbortSignal): Promise<void> {
  const bounds = {
    signal,
    timeoutMs: QUEUE_WAIT_MS_MAX,
    cancelled: () => signal.reason as Error,
    timedOut: () => new Error('The cache directories do not take what was fetched'),
  };
  await runBounded(bounds, async () => await Promise.all(unwritten));
}

/**
 * Rises with whatever may keep a fetched page out of the cache, or take it from there. Eviction makes room for
 * new files, so that it alone is nothing wrong: only `findMissing` tells whose files they were.
 */
function lossesOf(tier: DiskTier): number {
  const { directories, figures } = tier.status();
  // Only readers' pages: ours wait for room.
  const { 'queue-full': _, ...notKept } = figures.notKeptPages;
  const counts = [...Object.values(notKept), ...Object.values(figures.failures)];
  const retired = directories.filter(({ state }) => state === 'retired').length;
  return (
    counts.reduce((sum, each) => sum + each, 0) +
    figures.evictedFiles +
    figures.corruptFiles +
    retired
  );
}

/**
 * Looks at everything again: to remember each file, of any number, would take memory without bound. It asks
 * for the listings alone, and is only run where something was lost.
 */
export async function findMissing(paths: readonly ByteString[], parts: WarmParts): Promise<void> {
  const { emit, pageSizeBytes, signal, tier } = parts;
  const found: Missing = { files: 0, bytes: 0, missingFiles: 0, failed: 0 };
  // Failures were told when they were to be fetched.
  const quiet = { ...parts, emit: async () => await Promise.resolve() };
  await withProgress(emit, found, async () => {
    for await (const { path, status } of walk(paths, quiet, found)) {
      if (signal.aborted) return;
      const { lengthBytes, mtimeMs, contentHash } = statusMessage(status);
      const content = tier.contentOf(path, { lengthBytes, mtimeMs, contentHash });
      found.files++;
      found.bytes += lengthBytes;
      for (let page = 0; page * pageSizeBytes < lengthBytes; page++) {
        if (content?.isKept(page) === true) continue;
        found.missingFiles++;
        break;
      }
    }
  });
  signal.throwIfAborted();
  await emit({ kind: 'missing', ...found, directories: tier.status().directories });
}

/** Tells how far it is, again and again while the work goes on. */
export async function withProgress(
  emit: WarmParts['emit'],
  progress: object,
  work: () => Promise<void>,
): Promise<void> {
  // Who does not read gets no more of it: unread lines would gather.
  let isTelling = false;
  const tell = async (): Promise<void> => {
    if (isTelling) return;
    isTelling = true;
    await emit({ kind: 'progress', ...progress });
    isTelling = false;
  };
  const timer = setInterval(() => void tell(), PROGRESS_MS);
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

type Failures = Pick<WarmProgress, 'failed'>;

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
  progress: Failures,
): AsyncGenerator<WarmFile> {
  const roots = paths.length === 0 ? ['/' as ByteString] : paths;
  for (let first = 0; first < roots.length && !parts.signal.aborted; first += STATS_AT_ONCE) {
    const some = roots.slice(first, first + STATS_AT_ONCE);
    const statuses = await Promise.all(
      some.map((path) =>
        tried(path, parts, progress, () => parts.files.stat(path, contextOf(parts))),
      ),
    );
    for (const [order, path] of some.entries()) {
      const status = statuses[order];
      if (status?.kind === 'file') yield { path, status };
      else if (status?.kind === 'directory') yield* walkDirectory(path, parts, progress);
      else if (status !== undefined) {
        const reason = 'It is neither a file nor a directory';
        await tried(path, parts, progress, () => Promise.reject(new Error(reason)));
      }
    }
  }
}

async function* walkDirectory(
  root: ByteString,
  parts: WarmParts,
  progress: Failures,
): AsyncGenerator<WarmFile> {
  const directories = [root];
  for (;;) {
    const path = directories.pop();
    if (path === undefined || parts.signal.aborted) return;
    const listed: NodeStatus[] = [];
    await tried(path, parts, progress, () => readListing(path, parts, listed));
    for (const [index, status] of listed.entries()) {
      if (index % TURN_ENTRIES === 0) await nextTurn();
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
    for (const status of batch) if (isName(status.name)) listed.push(status);
    if (listed.length > LISTING_ENTRIES_MAX) {
      throw new Error(`The directory has more than ${LISTING_ENTRIES_MAX} entries`);
    }
  }
}

/** A failure is told, and does not stop the others. */
async function tried<T>(
  path: ByteString,
  { emit, signal }: WarmParts,
  progress: Failures,
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
  parts: WarmParts,
  progress: WarmProgress,
  unwritten: Set<Promise<void>>,
): Promise<void> {
  const { pageSizeBytes, tier } = parts;
  const { lengthBytes, mtimeMs, contentHash } = statusMessage(status);
  const version = { lengthBytes, mtimeMs, contentHash };
  const content = tier.contentOf(path, version);
  const pages = Math.ceil(lengthBytes / pageSizeBytes);
  const pagesMax = Math.max(1, Math.floor(FETCH_BYTES / pageSizeBytes));
  for (let first = 0; first < pages && !parts.signal.aborted;) {
    let end = first;
    while (end < pages && end - first < pagesMax && content?.isKept(end) !== true) end++;
    if (end === first) {
      progress.cachedBytes += Math.min(pageSizeBytes, lengthBytes - first * pageSizeBytes);
      first++;
      continue;
    }
    checkKeepable(tier, content, lengthBytes);
    const offset = first * pageSizeBytes;
    const bytes = Math.min(end * pageSizeBytes, lengthBytes) - offset;
    const firstPage = first;
    await parts.memory.use(bytes, async (memory) => {
      await fetchInto(memory, { path, offset, version }, parts);
      await keepAll(content, firstPage, memory, parts, unwritten);
    });
    progress.cachedBytes += bytes;
    progress.fetchedBytes += bytes;
    first = end;
  }
  progress.files++;
}

/** Throws where all of a file cannot be kept: then none of it is fetched. */
function checkKeepable(
  tier: DiskTier,
  content: CachedContent | undefined,
  lengthBytes: number,
): asserts content is CachedContent {
  const alive = tier.status().directories.filter(({ state }) => state !== 'retired');
  if (alive.length === 0) throw new Error('No cache directory is in use any more');
  if (content === undefined) {
    throw new Error('It has more pages than the cache takes of one file');
  }
  // A directory gives no file more, since it would push out all others.
  const limitBytes = Math.max(...alive.map((directory) => directory.limitBytes));
  if (lengthBytes <= limitBytes / 2) return;
  const limit = `half of --cache-limit (${formatSize(limitBytes)})`;
  throw new Error(`It is larger than ${limit}, the most that is kept of one file`);
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
  const { pageSizeBytes } = parts;
  const arrived = Array.from({ length: Math.ceil(memory.length / pageSizeBytes) }, () => 0);
  const note = (start: number, end: number): void =>
    noteArrival(arrived, pageSizeBytes, start, end);
  const sink = (chunk: Uint8Array, offsetInRange: number): void => {
    memory.set(chunk, offsetInRange);
    note(offsetInRange, offsetInRange + chunk.length);
  };
  const direct = {
    memoryAt: (at: number) => memory.subarray(at),
    received: (at: number, bytes: number): void => note(at, at + bytes),
  };
  await parts.files.read(
    { path, offset, lengthBytes: memory.length, version: versionOf(version) },
    Object.assign(sink, { direct }),
    contextOf(parts),
  );
  // What lay here before must not be kept as the content of this file.
  const arrivedBytes = arrived.reduce((sum, bytes) => sum + bytes, 0);
  if (arrivedBytes < memory.length) throw new Error('A read ended without all of its bytes');
}

async function keepAll(
  content: CachedContent,
  firstPage: number,
  bytes: Buffer,
  parts: WarmParts,
  unwritten: Set<Promise<void>>,
): Promise<void> {
  const { pageSizeBytes } = parts;
  for (let at = 0, page = firstPage; at < bytes.length; at += pageSizeBytes, page++) {
    const piece = bytes.subarray(at, at + pageSizeBytes);
    await queueRoom(piece.length, parts);
    const copy = content.copy(page, [piece]);
    if (copy === undefined) throw new Error('The cache directory does not take it');
    const kept = content.keep([copy]);
    unwritten.add(kept);
    void kept.finally(() => unwritten.delete(kept));
  }
}

/** Asked for before a copy is made: one that finds no room counts as a page that was not kept. */
async function queueRoom(bytes: number, { tier, signal }: WarmParts): Promise<void> {
  const hasRoom = (): boolean => {
    const { queuedBytes, queueLimitBytes } = tier.status();
    return bytes <= queueLimitBytes - queuedBytes;
  };
  const waitsMax = QUEUE_WAIT_MS_MAX / QUEUE_WAIT_MS;
  for (let waits = 0; waits < waitsMax && !signal.aborted && !hasRoom(); waits++) {
    await new Promise((resolve) => setTimeout(resolve, QUEUE_WAIT_MS));
  }
}
