/**
 * A part of a listing on its way from one thread to the other. Plain entries go column by column: as
 * objects they take the receiving thread longer to read than to use.
 */
import type { ByteString } from '../base/byte-string.ts';
import { codes } from './entry-columns.ts';
import type { StatusMessage } from './types.ts';

/** No name holds it. */
const SEPARATOR = '/';

export interface ListBatch {
  readonly count: number;
  /** All names, between separators. */
  readonly names: string;
  readonly lengths: Float64Array;
  readonly mtimes: Float64Array;
  readonly modes: Uint16Array;
  readonly kinds: Uint8Array;
  /** By place in the batch: what the columns cannot hold. */
  readonly others: ReadonlyMap<number, StatusMessage>;
}

export function batchOf(
  names: readonly ByteString[],
  statuses: readonly StatusMessage[],
): ListBatch {
  const count = names.length;
  const lengths = new Float64Array(count);
  const mtimes = new Float64Array(count);
  const modes = new Uint16Array(count);
  const kinds = new Uint8Array(count);
  const others = new Map<number, StatusMessage>();
  for (const [index, status] of statuses.entries()) {
    const { kind, lengthBytes, mtimeMs, mode, contentHash, posix } = status;
    const isPlain = kind === 'file' || kind === 'directory';
    if (!isPlain || contentHash !== undefined || posix !== undefined) others.set(index, status);
    lengths[index] = lengthBytes;
    mtimes[index] = mtimeMs;
    modes[index] = codes.ofMode(mode);
    kinds[index] = codes.ofKind(kind);
  }
  return { count, names: names.join(SEPARATOR), lengths, mtimes, modes, kinds, others };
}

export function* entriesOf(batch: ListBatch): Generator<[ByteString, StatusMessage]> {
  const { count, lengths, mtimes, modes, kinds, others } = batch;
  const names = batch.names.split(SEPARATOR) as ByteString[];
  for (let index = 0; index < count; index++) {
    const status = others.get(index) ?? {
      kind: codes.kind(kinds[index]),
      lengthBytes: lengths[index] as number,
      mtimeMs: mtimes[index] as number,
      mode: codes.mode(modes[index]),
      contentHash: undefined,
    };
    yield [names[index] as ByteString, status];
  }
}
