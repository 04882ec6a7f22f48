/** File content in pieces: ranges that travel side by side and arrive in order. */
import type { ByteString } from '../base/byte-string.ts';
import type { FileVersion, ReadResult } from '../cluster/index.ts';
import type { Connection } from './connection.ts';
import type { Scope } from './scope.ts';

/** Real workers collect a whole range before they answer, so not too much; less wastes connections. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** One being consumed, the others under way. */
const PIECES_AT_ONCE = 4;

export interface Source {
  readonly path: ByteString;
  readonly version: FileVersion;
}

/** Exactly these bytes, which lie within the version. */
export async function readPiece(
  connection: Connection,
  source: Source,
  offset: number,
  lengthBytes: number,
  scope: Scope,
  onRead?: (result: ReadResult) => void,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(lengthBytes);
  if (lengthBytes === 0) return buffer;
  const sink = (chunk: Uint8Array, at: number): void => buffer.set(chunk, at);
  const direct = {
    memoryAt: (at: number) => buffer.subarray(at),
    received: () => undefined,
  };
  const request = { ...source, offset, lengthBytes };
  const into = Object.assign(sink, { direct });
  const result = await connection.cluster.read(request, into, scope.step());
  onRead?.(result);
  return buffer;
}

export interface PieceOptions {
  readonly pieceBytes?: number;
  readonly atOnce?: number;
  /** Told who gave each piece; what it throws ends the reading. */
  readonly onRead?: (result: ReadResult) => void;
}

/** The range [from, to) of the version, in order. */
export async function* readPieces(
  connection: Connection,
  source: Source,
  range: { readonly from: number; readonly to: number },
  scope: Scope,
  { pieceBytes = PIECE_BYTES, atOnce = PIECES_AT_ONCE, onRead }: PieceOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const waiting: Promise<Buffer>[] = [];
  let next = range.from;
  const ask = (): void => {
    if (next >= range.to) return;
    const lengthBytes = Math.min(pieceBytes, range.to - next);
    const piece = readPiece(connection, source, next, lengthBytes, scope, onRead);
    // Awaited in its turn, or never where the consumer leaves.
    piece.catch(() => undefined);
    waiting.push(piece);
    next += lengthBytes;
  };
  for (let i = 0; i < atOnce; i += 1) ask();
  for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift()) {
    const bytes = await piece;
    ask();
    yield bytes;
  }
}
