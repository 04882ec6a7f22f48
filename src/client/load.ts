/**
 * A load without a coordinator: this process reads every file through its owner, which keeps the
 * pages. Nothing is written down: what the owner holds already is asked page by page, so a load that
 * was stopped, or killed, goes on where it was when it is run again.
 */
import { RE2JS } from 're2js';
import { nameOf } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { ClusterError, type CallContext, type Worker } from '../cluster/index.ts';
import { statOf } from './changes.ts';
import type { Connection } from './connection.ts';
import { readPieces } from './content.ts';
import { asAlluxioError, hasCode, shownPath } from './errors.ts';
import { forEachOf } from './many.ts';
import type { Scope } from './scope.ts';
import { treeOf, type TreeEntry } from './tree.ts';
import type { CallOptions } from './types.ts';

export interface ClientLoadOptions extends CallOptions {
  /** Bytes a second of all files together. */
  readonly bandwidth?: number | undefined;
  /** Files at a time. */
  readonly concurrency?: number | undefined;
  /** Only status and listings. */
  readonly loadMetadataOnly?: boolean | undefined;
  /** Leave alone what the owner holds already (open source); true when left out. */
  readonly skipIfExists?: boolean | undefined;
  /** Afterwards, ask the owner for every page. */
  readonly verify?: boolean | undefined;
  /** Only files whose whole name matches, in the language of RE2: without references and look-around. */
  readonly fileFilterRegx?: string | undefined;
  readonly onProgress?: ((progress: ClientLoadProgress) => void) | undefined;
}

export interface ClientLoadFailure {
  readonly path: string;
  readonly reason: string;
}

export interface ClientLoadProgress {
  readonly jobState: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'STOPPED';
  readonly scannedFiles: number;
  readonly loadedFiles: number;
  readonly skippedFiles: number;
  readonly failedFiles: number;
  readonly loadedBytes: number;
  readonly skippedBytes: number;
  readonly elapsedMs: number;
  /** The first ones; the number of all of them is beside it. */
  readonly failures: readonly ClientLoadFailure[];
}

const FAILURES_SHOWN = 100;
/** A pattern that is tried on every name of a tree. */
const PATTERN_CHARS_MAX = 1000;
const PROBES_AT_ONCE = 8;

export async function loadByClient(
  connection: Connection,
  path: ByteString,
  options: ClientLoadOptions,
  scope: Scope,
): Promise<ClientLoadProgress> {
  const load = new ClientLoad(connection, options, scope);
  return load.run(path);
}

class ClientLoad {
  readonly #connection: Connection;
  readonly #options: ClientLoadOptions;
  readonly #scope: Scope;
  readonly #filter: RE2JS | undefined;
  readonly #throttle: Throttle;
  readonly #startMs = performance.now();
  readonly #counts = {
    scannedFiles: 0,
    loadedFiles: 0,
    skippedFiles: 0,
    failedFiles: 0,
    loadedBytes: 0,
    skippedBytes: 0,
  };
  readonly #failures: ClientLoadFailure[] = [];

  constructor(connection: Connection, options: ClientLoadOptions, scope: Scope) {
    this.#connection = connection;
    this.#options = options;
    this.#scope = scope;
    const { fileFilterRegx } = options;
    if (fileFilterRegx !== undefined && fileFilterRegx.length > PATTERN_CHARS_MAX) {
      throw new RangeError(`The pattern is longer than ${PATTERN_CHARS_MAX} characters`);
    }
    this.#filter = fileFilterRegx === undefined ? undefined : compiled(fileFilterRegx);
    this.#throttle = new Throttle(options.bandwidth);
  }

  async run(path: ByteString): Promise<ClientLoadProgress> {
    const { signal } = this.#scope;
    const atOnce = this.#options.concurrency ?? this.#connection.concurrency;
    try {
      await forEachOf(
        this.#files(path),
        atOnce,
        async (entry) => {
          await this.#loadOne(entry);
          this.#tell('RUNNING');
        },
        (error, entry) => {
          if (signal.aborted) return;
          this.#fail(entry.path, error);
          this.#tell('RUNNING');
        },
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    const isFailed = this.#counts.failedFiles > 0;
    return this.#tell(signal.aborted ? 'STOPPED' : isFailed ? 'FAILED' : 'SUCCEEDED');
  }

  async *#files(path: ByteString): AsyncGenerator<TreeEntry> {
    const node = await statOf(this.#connection, path, this.#scope);
    if (node.kind === 'file') {
      this.#counts.scannedFiles += 1;
      yield { path, node, depth: 0 };
      return;
    }
    for await (const entry of treeOf(this.#connection, path, this.#scope)) {
      this.#scope.signal.throwIfAborted();
      if (entry.node.kind !== 'file') continue;
      // The whole name, as Java's `matches` has it.
      if (this.#filter?.matches(shownPath(nameOf(entry.path))) === false) continue;
      this.#counts.scannedFiles += 1;
      yield entry;
    }
  }

  async #loadOne({ path, node }: TreeEntry): Promise<void> {
    const { loadMetadataOnly, skipIfExists, verify } = this.#options;
    const { lengthBytes } = node;
    if (loadMetadataOnly === true) {
      // Asked of the owner itself: a listing may have come from another worker.
      await this.#connection.cluster.stat(path, this.#scope.step());
      this.#counts.loadedFiles += 1;
      return;
    }
    if (skipIfExists !== false && (await this.#isHeld(path, lengthBytes))) {
      this.#counts.skippedFiles += 1;
      this.#counts.skippedBytes += lengthBytes;
      return;
    }
    const version = await this.#connection.cluster.stat(path, this.#scope.step());
    const range = { from: 0, to: version.lengthBytes };
    const pieces = readPieces(this.#connection, { path, version }, range, this.#scope, {
      atOnce: 2,
      onRead: ({ source }) => {
        if (source !== 'under-store') return;
        const message =
          'No worker could read it: it came from the under store, and no cache has it';
        throw new ClusterError('unavailable', message, { path, retryable: true });
      },
    });
    for await (const piece of pieces) {
      this.#counts.loadedBytes += piece.length;
      await this.#throttle.pass(piece.length, this.#scope.signal);
    }
    this.#counts.loadedFiles += 1;
    if (verify === true && (await this.#isHeld(path, version.lengthBytes)) === false) {
      throw new ClusterError('unavailable', 'The owner does not hold all pages that were read');
    }
  }

  /** Undefined where the worker does not tell: its page endpoint reads through. */
  async #isHeld(path: ByteString, lengthBytes: number): Promise<boolean | undefined> {
    const { worker: client, config } = this.#connection;
    const { owner, at } = await this.#connection.placed(path, this.#scope.step());
    const personality = await client.personality(owner, this.#scope.step());
    if (personality !== 'oss') return undefined;
    const pages = Math.ceil(lengthBytes / config.pageSizeBytes);
    for (let first = 0; first < pages; first += PROBES_AT_ONCE) {
      const count = Math.min(PROBES_AT_ONCE, pages - first);
      const held = await Promise.all(
        Array.from({ length: count }, (_, i) => this.#holdsPage(owner, at.ufsPath, first + i)),
      );
      if (held.includes(false)) return false;
    }
    return true;
  }

  async #holdsPage(owner: Worker, ufsPath: ByteString, pageIndex: number): Promise<boolean> {
    const request = { ufsPath, pageIndex, offsetInPage: 0, lengthBytes: 1 };
    const context: CallContext = this.#scope.step();
    const outcome = await this.#connection.worker
      .readPage(owner, request, () => undefined, context)
      .catch((error: unknown) => {
        // Names that the endpoint cannot be told are read anyhow.
        if (hasCode(error, 'inexpressible', 'protocol')) return { kind: 'miss' as const };
        throw error;
      });
    return outcome.kind === 'page';
  }

  #fail(path: ByteString, error: unknown): void {
    this.#counts.failedFiles += 1;
    if (this.#failures.length >= FAILURES_SHOWN) return;
    const { reason } = asAlluxioError(error, 'load', path);
    this.#failures.push({ path: shownPath(path), reason });
  }

  #tell(jobState: ClientLoadProgress['jobState']): ClientLoadProgress {
    const elapsedMs = Math.round(performance.now() - this.#startMs);
    const progress = { jobState, ...this.#counts, elapsedMs, failures: this.#failures };
    this.#options.onProgress?.(progress);
    return progress;
  }
}

/** RE2, which needs no longer for a hostile name: a search that runs away is deaf to Ctrl-C. */
function compiled(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (error) {
    throw new RangeError(`Not a regular expression: ${String(error)}`, { cause: error });
  }
}

/** Passes so many bytes a second, over a second's worth at a time at most. */
class Throttle {
  readonly #bytesPerMs: number | undefined;
  #freeAtMs = performance.now();

  constructor(bandwidth: number | undefined) {
    if (bandwidth !== undefined && !(bandwidth > 0)) {
      throw new RangeError(`Not a bandwidth: ${bandwidth}`);
    }
    this.#bytesPerMs = bandwidth === undefined ? undefined : bandwidth / 1000;
  }

  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerMs === undefined) return;
    const now = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now) + bytes / this.#bytesPerMs;
    const waitMs = this.#freeAtMs - now;
    if (waitMs < 1) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, waitMs);
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
    });
  }
}
