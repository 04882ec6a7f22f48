/** Failures on their way out of the store: always a `ClusterError`, always with the reason. */
import { displayByteString } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { ClusterError } from '../cluster/index.ts';
import type { ClusterErrorCode } from '../cluster/index.ts';

export function storeError(
  code: ClusterErrorCode,
  message: string,
  path?: ByteString,
  cause?: unknown,
): ClusterError {
  const shown = path === undefined ? undefined : displayByteString(path);
  return new ClusterError(code, message, {
    path: shown,
    cause,
    retryable: code === 'unavailable' || code === 'timeout',
  });
}

export function isCode(error: unknown, ...codes: readonly ClusterErrorCode[]): boolean {
  return error instanceof ClusterError && codes.includes(error.code);
}

const HOPELESS: readonly ClusterErrorCode[] = [
  'not-found',
  'permission',
  'inexpressible',
  'unsupported',
  'is-a-directory',
  'not-a-directory',
];
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What a local file (journal, staging) failed with. */
export function localError(what: string, error: unknown): ClusterError {
  if (error instanceof ClusterError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return storeError(
    code !== undefined && DISK_FULL.has(code) ? 'no-space' : 'unavailable',
    `${what}: ${message}`,
    undefined,
    error,
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The value, or undefined where the path certainly does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isCode(error, 'not-found')) return undefined;
    throw error;
  }
}

/** Over, too, where no further try would end otherwise. */
export async function untilHopeless(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isCode(error, ...HOPELESS)) throw error;
  }
}
