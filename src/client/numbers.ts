/** Numbers that callers give, checked where they come in: a wrong one must not become other bytes. */
import { AlluxioError } from './errors.ts';

/** A file under way holds up to 16 MB in pieces: 4 GB for this many. */
const CONCURRENCY_MAX = 256;

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Of bytes; infinite means all that there are. */
function isLength(value: number): boolean {
  return value === Infinity || (Number.isSafeInteger(value) && value >= 0);
}

/** So many bytes from there on, as far as the file has them. */
export function rangeOf(offset: number, length: number, size: number): Range {
  if (!Number.isSafeInteger(offset) || offset < 0 || !isLength(length)) {
    throw new AlluxioError('invalid', `Not a range: ${offset}+${length}`);
  }
  const from = Math.min(offset, size);
  return { from, to: Math.min(from + length, size) };
}

/** From the start, or from the end where it is negative, as in Python; within the file. */
export function placeOf(offset: number, size: number): number {
  if (!Number.isSafeInteger(offset) && Math.abs(offset) !== Infinity) {
    throw new AlluxioError('invalid', `Not a place in a file: ${offset}`);
  }
  return offset < 0 ? Math.max(0, size + offset) : Math.min(offset, size);
}

/** As Python's clients take them: `length` bytes from a place on; without one, or with -1, the rest. */
export function pythonRange(offset: number, length: number | undefined, size: number): Range {
  const from = placeOf(offset, size);
  return length === undefined || length === -1 ? { from, to: size } : rangeOf(from, length, size);
}

/** How many at a time. */
export function checkConcurrency(value: number | undefined): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && value >= 1 && value <= CONCURRENCY_MAX) return;
  const reason = `concurrency is a number from 1 to ${CONCURRENCY_MAX}, not ${value}`;
  throw new AlluxioError('invalid', reason);
}
