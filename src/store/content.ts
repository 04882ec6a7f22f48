/** A file's new content, composed of what was written, what was there before, and holes. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { ByteSink, CallContext } from '../cluster/index.ts';
import type { FileContent } from './cluster-parts.ts';
import { localError, storeError } from './errors.ts';
import type { UploadSegment } from './types.ts';

/** Large enough for a request's overhead not to count; twice this is in memory per upload. */
const CHUNK_BYTES = 1024 * 1024;

export interface ComposedContent {
  /** Of the staging file. */
  readonly stagingPath: string;
  readonly segments: readonly UploadSegment[];
  /** A range of the base version. */
  readonly readBase: (offset: number, into: Buffer, context: CallContext) => Promise<void>;
  /** Throws where the base is not the file's version any more: pages tell no version. */
  readonly assertBase: (context: CallContext) => Promise<void>;
}

export function lengthOf(segments: readonly UploadSegment[]): number {
  return segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
}

interface Piece {
  readonly from: UploadSegment['from'];
  readonly offset: number;
  readonly lengthBytes: number;
}

function* piecesOf(segments: readonly UploadSegment[]): Generator<Piece> {
  let offset = 0;
  for (const { from, lengthBytes } of segments) {
    const end = offset + lengthBytes;
    while (offset < end) {
      const size = Math.min(CHUNK_BYTES, end - offset);
      yield { from, offset, lengthBytes: size };
      offset += size;
    }
  }
}

async function readStaging(file: FileHandle, offset: number, into: Buffer): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, offset + done);
    // Never zeros in place of bytes that were promised.
    if (bytesRead === 0) throw storeError('protocol', 'The staging file is shorter than its file');
    done += bytesRead;
  }
}

/** Remembers what a read of it failed with: the reason of an upload that was cut off by it. */
export class StagedContent implements FileContent {
  readonly lengthBytes: number;
  readonly #content: ComposedContent;
  readonly #context: CallContext;
  #failure: unknown;

  constructor(content: ComposedContent, context: CallContext) {
    this.#content = content;
    this.#context = context;
    this.lengthBytes = lengthOf(content.segments);
  }

  get failure(): unknown {
    return this.#failure;
  }

  async *open(): AsyncGenerator<Uint8Array> {
    this.#failure = undefined;
    let file: FileHandle | undefined;
    let next: Promise<Buffer> | undefined;
    try {
      if (this.#content.segments.some(({ from }) => from === 'staging')) {
        file = await open(this.#content.stagingPath, 'r');
      }
      // The next piece is read while the last one travels.
      for (const piece of piecesOf(this.#content.segments)) {
        const reading = this.#read(piece, file);
        // Awaited a turn later, or never when the upload is cut off.
        reading.catch(() => undefined);
        if (next !== undefined) yield await next;
        next = reading;
      }
      const last = await next;
      // Before the end: what is composed of two versions must not get under the name.
      await this.#content.assertBase(this.#context);
      if (last !== undefined) yield last;
    } catch (error) {
      this.#failure = localError('The staging file cannot be read', error);
      throw this.#failure;
    } finally {
      // The file must not be closed under a read.
      await next?.catch(() => undefined);
      await file?.close();
    }
  }

  async #read(piece: Piece, file: FileHandle | undefined): Promise<Buffer> {
    if (piece.from === 'staging' && file !== undefined) {
      // Filled to its end, or not used.
      const staged = Buffer.allocUnsafe(piece.lengthBytes);
      await readStaging(file, piece.offset, staged);
      return staged;
    }
    const buffer = Buffer.alloc(piece.lengthBytes);
    if (piece.from === 'base') {
      await this.#content.readBase(piece.offset, buffer, this.#context);
    }
    return buffer;
  }
}

/** A range of a staged file, for a reader. */
export async function readStagedRange(
  stagingPath: string,
  segments: readonly UploadSegment[],
  range: { readonly offset: number; readonly lengthBytes: number },
  sink: ByteSink,
): Promise<void> {
  const end = range.offset + range.lengthBytes;
  let start = 0;
  const file = await open(stagingPath, 'r');
  try {
    for (const segment of segments) {
      const from = Math.max(start, range.offset);
      const until = Math.min(start + segment.lengthBytes, end);
      start += segment.lengthBytes;
      for (let at = from; at < until; at += CHUNK_BYTES) {
        const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, until - at));
        if (segment.from === 'staging') await readStaging(file, at, buffer);
        sink(buffer, at - range.offset);
      }
    }
  } finally {
    await file.close();
  }
  if (start < end) throw storeError('protocol', 'The range ends behind the end of the file');
}
