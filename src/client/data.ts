/** What callers give as the content of a file, as chunks. */
import type { Data } from './types.ts';

export async function* chunksOf(data: Data): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof data === 'string') yield Buffer.from(data, 'utf8');
  else if (data instanceof Uint8Array) yield data;
  else yield* data;
}

/** Undefined where only the last byte tells how many there are. */
export function lengthOf(data: Data): number | undefined {
  if (typeof data === 'string') return Buffer.byteLength(data, 'utf8');
  return data instanceof Uint8Array ? data.length : undefined;
}
