/** What the commands ask of a cache: in the daemon that has it, or by themselves where none has. */
import { displayByteString, isWithin } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { DiskTier } from '../cache/disk/index.ts';
import { findMissing, warm, withProgress } from './warm.ts';
import type { WarmParts } from './warm.ts';

export interface CacheRequest {
  /** `missing`: what of them the cache does not hold, where `warm` said that something was lost. */
  readonly verb: 'ls' | 'stat' | 'verify' | 'drop' | 'warm' | 'missing';
  /** Of the name space: files, or directories with all that is in them. Of none: all. */
  readonly paths: readonly ByteString[];
  /** `warm`: files at a time. */
  readonly parallel?: number;
}

export interface CacheRequestParts {
  readonly tier: DiskTier | undefined;
  /** Absent where there is no cluster. */
  readonly warm?: Omit<WarmParts, 'tier' | 'emit' | 'signal'>;
  readonly emit: (line: object) => Promise<void>;
  /** Its reason is told to people where somebody still listens. */
  readonly signal: AbortSignal;
}

/** Emits lines of results and of progress; rejects with what is to be told to people. */
export async function runCacheRequest(
  request: CacheRequest,
  parts: CacheRequestParts,
): Promise<void> {
  const { tier, emit, signal } = parts;
  if (tier === undefined) throw new Error('This mount has no cache directory (--cache-dir)');
  await tier.loaded();
  const { paths } = request;
  const isMeant = (path: ByteString): boolean =>
    paths.length === 0 || paths.some((root) => isWithin(path, root));
  switch (request.verb) {
    case 'ls':
      await list(tier, isMeant, emit, signal);
      return;
    case 'stat':
      await emit({ kind: 'stat', ...tier.status(), ...(await sums(tier, isMeant, signal)) });
      return;
    case 'drop':
      await emit({ kind: 'dropped', ...(await tier.drop(isMeant)) });
      return;
    case 'verify': {
      const progress = { files: 0, checked: 0, corrupt: 0 };
      await withProgress(emit, progress, () => tier.verify(isMeant, progress, signal));
      signal.throwIfAborted();
      await emit({ kind: 'verified', ...progress });
      return;
    }
    case 'warm':
    case 'missing': {
      if (parts.warm === undefined) throw new Error('Only a mount can fetch what is to be cached');
      const { parallel } = request;
      const options = { ...parts.warm, tier, emit, signal };
      if (request.verb === 'missing') await findMissing(paths, options);
      else await warm(paths, parallel === undefined ? options : { ...options, parallel });
      return;
    }
    default: {
      const unknown: never = request.verb;
      throw new Error(`Nothing that a cache can do: ${String(unknown)}`);
    }
  }
}

async function list(
  tier: DiskTier,
  isMeant: (path: ByteString) => boolean,
  emit: (line: object) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let waiting: Promise<void>[] = [];
  await tier.list(
    ({ path, ...file }) => {
      if (signal.aborted || !isMeant(path)) return;
      waiting.push(emit({ kind: 'file', path: displayByteString(path), ...file }));
    },
    async () => {
      await Promise.all(waiting);
      waiting = [];
    },
  );
  await Promise.all(waiting);
  signal.throwIfAborted();
}

async function sums(
  tier: DiskTier,
  isMeant: (path: ByteString) => boolean,
  signal: AbortSignal,
): Promise<object> {
  const meant = { files: 0, completeFiles: 0, cachedBytes: 0 };
  await tier.list(({ path, cachedBytes, isComplete }) => {
    if (signal.aborted || !isMeant(path)) return;
    meant.files++;
    if (isComplete) meant.completeFiles++;
    meant.cachedBytes += cachedBytes;
  });
  signal.throwIfAborted();
  return { meant };
}
