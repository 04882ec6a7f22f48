/** A file that is open: for reading at any place, or for writing from the start. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { once } from 'node:events';
import type { ByteString } from '../base/byte-string.ts';
import type { NodeStatus } from '../store/index.ts';
import { putLocalFile } from './changes.ts';
import type { Connection } from './connection.ts';
import { readPiece, readPieces } from './content.ts';
import { AlluxioError, asAlluxioError, shownPath } from './errors.ts';
import { rangeOf } from './numbers.ts';
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
    return this.#version.posix.mtimeMs ?? this.#version.mtimeMs;
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

/**
 * What is written waits on this machine's disk; `close` uploads it as a whole and says whether that
 * worked. Without `close`, nothing is under the name.
 */
export class AlluxioWriteFile extends OpenFile {
  readonly #stagingPath: string;
  readonly #stream: WriteStream;
  #position: number;
  #failure: unknown;

  constructor(parts: FileParts, stagingPath: string, startBytes: number) {
    super(parts);
    this.#stagingPath = stagingPath;
    this.#position = startBytes;
    this.#stream = createWriteStream(stagingPath, { flags: 'a', mode: 0o600 });
    this.#stream.on('error', (error) => {
      this.#failure = error;
    });
  }

  tell(): number {
    return this.#position;
  }

  async write(data: string | Uint8Array): Promise<number> {
    return this.run('write', undefined, async () => {
      const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
      await this.#put(bytes);
      this.#position += bytes.length;
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

  async close(options?: CallOptions): Promise<void> {
    if (this.isClosed) return;
    await this.run('close', options, async (scope) => {
      this.isClosed = true;
      try {
        await this.#end();
        const { connection, path } = this.parts;
        await putLocalFile(connection, this.#stagingPath, path, {}, scope);
      } finally {
        await rm(this.#stagingPath, { force: true });
      }
    });
  }

  /** Forgets what was written. */
  async abort(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#stream.destroy();
    await rm(this.#stagingPath, { force: true });
  }

  /** As `abort`: where nobody said `close`, something went wrong before the last byte. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  async #put(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // The caller may use its memory again.
    if (!this.#stream.write(Buffer.from(bytes))) await once(this.#stream, 'drain');
  }

  async #end(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#stream.once('error', reject);
      this.#stream.end(resolve);
    });
  }
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
