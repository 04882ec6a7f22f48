/** A file that is open: for reading at any place, or for writing from the start. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { once } from 'node:events';
import type { ByteString } from '../base/byte-string.ts';
import type { FileVersion } from '../cluster/index.ts';
import { isSameVersion } from '../cluster/path-choice.ts';
import type { NodeStatus } from '../store/index.ts';
import { destroyed, lookUp, putLocalFile } from './changes.ts';
import type { Connection } from './connection.ts';
import { readPiece, readPieces } from './content.ts';
import { mustBeBytes } from './data.ts';
import { AlluxioError, asAlluxioError, shownPath } from './errors.ts';
import { rangeOf } from './numbers.ts';
import { shownTime } from './paths.ts';
import type { Scope } from './scope.ts';
import type { CallOptions } from './types.ts';

export interface FileParts {
  readonly connection: Connection;
  readonly path: ByteString;
  /** Of every call on it that names none of its own. */
  readonly signal: AbortSignal | undefined;
}

export interface StreamOptions extends CallOptions {
  readonly length?: number | undefined;
}

/** Shared by both directions. */
abstract class OpenFile {
  protected readonly parts: FileParts;
  protected isClosed = false;

  constructor(parts: FileParts) {
    this.parts = parts;
  }

  get path(): string {
    return shownPath(this.parts.path);
  }

  protected options(given: CallOptions | undefined): CallOptions {
    return { signal: this.parts.signal, ...given };
  }

  protected async run<T>(
    operation: string,
    options: CallOptions | undefined,
    work: (scope: Scope) => Promise<T>,
  ): Promise<T> {
    const scope = this.parts.connection.scope(this.options(options));
    try {
      if (this.isClosed) throw new AlluxioError('invalid', 'The file is closed');
      scope.signal.throwIfAborted();
      return await work(scope);
    } catch (error) {
      throw asAlluxioError(scope.endOf(error), operation, this.parts.path);
    } finally {
      scope.end();
    }
  }
}

/** One version: when the file changes, reads fail with `version-changed`. */
export class AlluxioReadFile extends OpenFile {
  readonly #version: NodeStatus;
  readonly #blockBytes: number;
  #position = 0;
  /** The block that was read last: small reads in a row ask once. */
  #block: { readonly offset: number; readonly bytes: Buffer } | undefined;

  constructor(parts: FileParts, version: NodeStatus, blockBytes: number) {
    super(parts);
    this.#version = version;
    this.#blockBytes = blockBytes;
  }

  get size(): number {
    return this.#version.lengthBytes;
  }

  get mtimeMs(): number {
    return shownTime(this.#version);
  }

  tell(): number {
    return this.#position;
  }

  /** From the start (0), from here (1) or from the end (2), as in Python. Behind the end is allowed. */
  seek(offset: number, whence: 0 | 1 | 2 = 0): number {
    const base = whence === 0 ? 0 : whence === 1 ? this.#position : this.size;
    const position = base + offset;
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new AlluxioError('invalid', `Not a position: ${position}`, { path: this.path });
    }
    this.#position = position;
    return position;
  }

  /** So many bytes, fewer only at the end; all that is left when none are named. */
  async read(lengthBytes?: number, options?: CallOptions): Promise<Buffer> {
    return this.run('read', options, async (scope) => {
      const { from, to } = rangeOf(this.#position, lengthBytes ?? Infinity, this.size);
      const bytes = await this.#range(from, to - from, scope);
      this.#position += bytes.length;
      return bytes;
    });
  }

  /** At a place; the position stays. */
  async readRange(offset: number, lengthBytes: number, options?: CallOptions): Promise<Buffer> {
    return this.run('readRange', options, (scope) => {
      const { from, to } = rangeOf(offset, lengthBytes, this.size);
      return this.#range(from, to - from, scope);
    });
  }

  /** From the position on, to the end or so many bytes; the position stays. */
  stream(options?: StreamOptions): ReadableStream<Uint8Array> {
    return webStream(this.chunks(options));
  }

  async *chunks(options?: StreamOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { connection, path } = this.parts;
    const scope = connection.scope(this.options(options));
    try {
      const range = rangeOf(this.#position, options?.length ?? Infinity, this.size);
      yield* readPieces(connection, { path, version: this.#version }, range, scope);
    } catch (error) {
      throw asAlluxioError(scope.endOf(error), 'read', path);
    } finally {
      scope.end();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.chunks();
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.#block = undefined;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #range(offset: number, length: number, scope: Scope): Promise<Buffer> {
    const { connection, path } = this.parts;
    const source = { path, version: this.#version };
    const held = this.#block;
    if (held !== undefined && offset >= held.offset) {
      const at = offset - held.offset;
      if (at + length <= held.bytes.length)
        return Buffer.from(held.bytes.subarray(at, at + length));
    }
    if (length < this.#blockBytes) {
      const whole = Math.min(this.#blockBytes, this.size - offset);
      const bytes = await readPiece(connection, source, offset, whole, scope);
      this.#block = { offset, bytes };
      return Buffer.from(bytes.subarray(0, length));
    }
    const pieces: Buffer[] = [];
    const range = { from: offset, to: offset + length };
    for await (const piece of readPieces(connection, source, range, scope)) pieces.push(piece);
    return Buffer.concat(pieces, length);
  }
}

/** What must be under the name when the file is published; else others' data would go without a word. */
export interface WriteBase {
  readonly mode: 'w' | 'a' | 'x';
  /** As it was opened; undefined where nothing was there. */
  readonly version: NodeStatus | undefined;
}

/**
 * What is written waits on this machine's disk; `close` uploads it as a whole and says whether that
 * worked. Without `close`, nothing is under the name. After a failure `close` may be tried again, until
 * `abort`, or the end of the client, gives up what was written.
 */
export class AlluxioWriteFile extends OpenFile {
  readonly #stagingPath: string;
  readonly #base: WriteBase;
  readonly #stream: WriteStream;
  #position: number;
  #failure: unknown;
  #ended: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** A close came so far, and failed. */
  #mayBePublished = false;

  constructor(parts: FileParts, stagingPath: string, base: WriteBase) {
    super(parts);
    this.#stagingPath = stagingPath;
    this.#base = base;
    this.#position = (base.mode === 'a' ? base.version?.lengthBytes : undefined) ?? 0;
    this.#stream = createWriteStream(stagingPath, { flags: 'a', mode: 0o600 });
    this.#stream.on('error', (error) => {
      this.#failure = error;
    });
  }

  tell(): number {
    return this.#position;
  }

  async write(data: string | Uint8Array, options?: CallOptions): Promise<number> {
    return this.run('write', options, async (scope) => {
      if (this.#ended !== undefined) {
        throw new AlluxioError('invalid', 'The file ended with the first close');
      }
      const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
      mustBeBytes(bytes);
      await this.#put(bytes, scope.signal);
      return bytes.length;
    });
  }

  /** Its `close` closes the file, its `abort` gives it up. */
  stream(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      write: async (chunk) => {
        await this.write(chunk);
      },
      close: () => this.close(),
      abort: () => this.abort(),
    });
  }

  close(options?: CallOptions): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.#closing ??= this.run('close', options, (scope) => this.#publish(scope)).finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  /** Forgets what was written. */
  async abort(): Promise<void> {
    await this.#closing?.catch(ignore);
    if (this.isClosed) return;
    this.isClosed = true;
    await destroyed(this.#stream);
    await rm(this.#stagingPath, { force: true });
  }

  /** As `abort`: where nobody said `close`, something went wrong before the last byte. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  async #put(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // The caller may use its memory again.
    const isTakenUp = this.#stream.write(Buffer.from(bytes));
    this.#position += bytes.length;
    if (!isTakenUp) await once(this.#stream, 'drain', { signal });
  }

  async #publish(scope: Scope): Promise<void> {
    const { connection, path } = this.parts;
    this.#ended ??= this.#end();
    await this.#ended;
    const mayPublish = async (): Promise<void> => {
      await this.#mustFollowBase(scope);
      this.#mayBePublished = true;
    };
    await putLocalFile(connection, this.#stagingPath, path, {}, scope, { mayPublish });
    this.isClosed = true;
    await rm(this.#stagingPath, { force: true });
  }

  async #mustFollowBase(scope: Scope): Promise<void> {
    const { mode, version } = this.#base;
    if (mode === 'w') return;
    const { connection, path } = this.parts;
    const now = await lookUp(connection, path, scope);
    if (now === undefined && version === undefined) return;
    if (mode === 'a' && isSame(now, version)) return;
    if (this.#mayBePublished) {
      // By an earlier close that did not hear of it: what is there is this very file, or a part of it.
      if (now?.lengthBytes === this.#position) return;
      const message = 'An earlier close may still be publishing the file';
      throw new AlluxioError('unavailable', message, { retryable: true });
    }
    if (mode === 'x') throw new AlluxioError('exists', 'The name was taken meanwhile');
    // One worker may remember what was there before: the store knows better, where it can be asked.
    const { signal } = scope;
    const stored = await connection.routed.writer.statStored(path, { signal });
    if (isSame(stored, version)) return;
    throw new AlluxioError('version-changed', 'The file changed since it was opened to append');
  }

  async #end(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // What was written last may be refused only now.
    await new Promise<void>((resolve, reject) => {
      this.#stream.end((error?: Error | null) =>
        error instanceof Error ? reject(error) : resolve(),
      );
    });
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function isSame(now: FileVersion | undefined, base: FileVersion | undefined): boolean {
  return now !== undefined && base !== undefined && isSameVersion(now, base);
}

function ignore(): void {
  // Whoever called close was told.
}

/** Pulled as the reader takes it. */
export function webStream(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await chunks.return();
      },
    },
    { highWaterMark: 0 },
  );
}
