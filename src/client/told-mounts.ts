/** The mounts that a cluster itself tells (/v1/ufsInfo, Enterprise), and what they become while it runs. */
import { byteStringOfText, isWithin, textOfByteString } from '../base/byte-string.ts';
import type { Logger } from '../base/logger.ts';
import { ClusterError, parseUfsRoot } from '../cluster/index.ts';
import type { CallContext, MountPoint, UfsRoot, Worker } from '../cluster/index.ts';
import { normaliseAlluxioPath } from '../cluster/ufs-path.ts';
import type { WorkerClient } from '../cluster/worker-client.ts';
import type { ToldMount } from '../cluster/worker-extras.ts';
import { describeMounts, type ConfiguredMount } from '../config/index.ts';

/** A well worker answers at once; there are others to ask. */
const MOUNTS_OF_ONE_MS = 5_000;
/** All of them, before the next time. */
const ASK_MS = 20_000;
/** After a worker contradicted the table: it may go on to do so, in every answer. */
const HURRY_MS = 1_000;

/** As the first worker that answers tells them. Throws with the reason where none does. */
export async function askForMounts(
  client: WorkerClient,
  workers: readonly Worker[],
  context: CallContext,
): Promise<readonly ConfiguredMount[]> {
  let last: unknown;
  for (const worker of workers) {
    try {
      const deadlineMs = Math.min(context.deadlineMs, performance.now() + MOUNTS_OF_ONE_MS);
      const told = (await client.extras?.mounts(worker, { ...context, deadlineMs })) ?? [];
      return told.map(normalisedMount);
    } catch (error) {
      last = error;
      // What one worker is, all are.
      if (error instanceof ClusterError && error.code === 'unsupported') break;
    }
  }
  const reason = last instanceof Error ? last.message : 'no worker is known';
  throw new ClusterError(
    'unavailable',
    `The cluster does not tell its mounts (--map cluster): ${reason}. Give --ufs, or --map for each`,
    { cause: last },
  );
}

export function mountPointOf({ path, ufs }: ConfiguredMount): MountPoint {
  return { path: byteStringOfText(path), root: parseUfsRoot(ufs) };
}

/** Told URIs may be odd, or hold a key: no message repeats one. */
function normalisedMount({ path, ufs }: ToldMount): ConfiguredMount {
  const root = /^[^/]*\/\/[^/]*:[^/]*@/.test(ufs) ? undefined : usableRoot(ufs);
  if (root === undefined) {
    const message = 'The worker tells a mount whose URI cannot be used';
    throw new ClusterError('protocol', message, { path });
  }
  return {
    path: textOfByteString(normaliseAlluxioPath(byteStringOfText(path))) ?? path,
    ufs: textOfByteString(root.uri) ?? ufs,
  };
}

function usableRoot(uri: string): UfsRoot | undefined {
  try {
    return parseUfsRoot(uri);
  } catch {
    return undefined;
  }
}

export interface MountsChange {
  readonly mounts: readonly ConfiguredMount[];
  /** No path that was below a mount lies anywhere else than before. */
  readonly isAdditionOnly: boolean;
}

export interface MountFollowerParts {
  readonly mounts: readonly ConfiguredMount[];
  readonly refreshMs: number;
  readonly ask: (context: CallContext) => Promise<readonly ConfiguredMount[]>;
  readonly onChange: (change: MountsChange) => void;
  readonly logger: Logger;
}

/** Asks again and again, and tells of every change once. Keeps no process. */
export class MountFollower {
  readonly #parts: MountFollowerParts;
  readonly #closing = new AbortController();
  #mounts: readonly ConfiguredMount[];
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #asking: Promise<void> | undefined;
  #wasAnswered = true;

  constructor(parts: MountFollowerParts) {
    this.#parts = parts;
    this.#mounts = parts.mounts;
    this.#askIn(parts.refreshMs);
  }

  /** There is reason to think that the table is another one by now. */
  hurry(): void {
    if (performance.now() + HURRY_MS < this.#dueMs) this.#askIn(HURRY_MS);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#asking;
  }

  #askIn(ms: number): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#dueMs = performance.now() + ms;
    this.#timer = setTimeout(() => {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined;
        this.#askIn(this.#parts.refreshMs);
      });
    }, ms).unref();
  }

  async #ask(): Promise<void> {
    const { ask, logger, onChange } = this.#parts;
    const { signal } = this.#closing;
    try {
      const mounts = await ask({ signal, deadlineMs: performance.now() + ASK_MS });
      this.#wasAnswered = true;
      // A worker that has only just started tells none; and a cluster without any serves nobody.
      if (mounts.length === 0 || signal.aborted) return;
      const [before, now] = [this.#mounts, mounts].map(describeMounts);
      if (before === now) return;
      const isAdditionOnly = isAddition(this.#mounts, mounts);
      this.#mounts = mounts;
      logger.info({ before, now }, 'The cluster mounts other under stores than before');
      onChange({ mounts, isAdditionOnly });
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      // Once for each time that nobody answers.
      const level = this.#wasAnswered ? 'warn' : 'debug';
      this.#wasAnswered = false;
      logger[level]({ reason }, 'The mounts of the cluster stay as they were last told');
    }
  }
}

export function isAddition(
  before: readonly ConfiguredMount[],
  now: readonly ConfiguredMount[],
): boolean {
  const ufsOf = new Map(now.map(({ path, ufs }) => [path, ufs]));
  if (before.some(({ path, ufs }) => ufsOf.get(path) !== ufs)) return false;
  const old = new Set(before.map(({ path }) => path));
  const bytes = byteStringOfText;
  return now
    .filter(({ path }) => !old.has(path))
    .every(({ path }) => !before.some((mount) => isWithin(bytes(path), bytes(mount.path))));
}
