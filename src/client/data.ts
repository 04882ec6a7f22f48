/** What callers give as the content of a file, as chunks. */
import { AlluxioError } from './errors.ts';
import type { Data } from './types.ts';

export async function* chunksOf(data: Data): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof data === 'string') yield Buffer.from(data, 'utf8');
  else if (data instanceof Uint8Array) yield data;
  else {
    for await (const chunk of data) {
      mustBeBytes(chunk);
      yield chunk;
    }
  }
}

/** Callers without types give anything. */
export function mustBeData(data: unknown): void {
  if (typeof data === 'string' || data instanceof Uint8Array) return;
  const isIterable =
    typeof data === 'object' &&
    data !== null &&
    (Symbol.asyncIterator in data || Symbol.iterator in data);
  if (!isIterable) throw notBytes(data);
}

export function mustBeBytes(chunk: unknown): void {
  // Of a stream that was told an encoding.
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) throw notBytes(chunk);
}

function notBytes(given: unknown): AlluxioError {
  const what = given === null ? 'null' : typeof given;
  return new AlluxioError('invalid', `Neither bytes nor text to write: ${what}`);
}

/** Undefined where only the last byte tells how many there are. */
export function lengthOf(data: Data): number | undefined {
  if (typeof data === 'string') return Buffer.byteLength(data, 'utf8');
  return data instanceof Uint8Array ? data.length : undefined;
}
