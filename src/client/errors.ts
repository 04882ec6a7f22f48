/** The one class of errors of the library: what was asked, of which path, who said no, and why. */
import { textOfByteString, type ByteString } from '../base/byte-string.ts';
import { ClusterError, type ClusterErrorCode } from '../cluster/index.ts';

export type AlluxioErrorCode =
  | ClusterErrorCode
  /** The options do not say which cluster, or contradict each other. */
  | 'configuration'
  /** A file of this machine cannot be read or written. */
  | 'local';

export interface AlluxioErrorDetails {
  readonly operation?: string | undefined;
  readonly path?: string | undefined;
  readonly worker?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
}

export class AlluxioError extends Error {
  readonly code: AlluxioErrorCode;
  /** What was called: `ls`, `upload`, … */
  readonly operation: string | undefined;
  readonly path: string | undefined;
  /** Id of the worker that said so, where one did. */
  readonly worker: string | undefined;
  /** Without the operation and the path, which `message` has as well. */
  readonly reason: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;

  constructor(code: AlluxioErrorCode, reason: string, details: AlluxioErrorDetails = {}) {
    const about = [details.operation, details.path].filter((part) => part !== undefined).join(' ');
    super(about === '' ? reason : `${about}: ${reason}`, { cause: details.cause });
    this.name = 'AlluxioError';
    this.code = code;
    this.operation = details.operation;
    this.path = details.path;
    this.worker = details.worker;
    this.reason = reason;
    this.retryable = details.retryable ?? false;
  }
}

/** Text where the bytes are UTF-8, else with replacement characters. */
export function shownPath(path: ByteString): string {
  return textOfByteString(path) ?? Buffer.from(path, 'latin1').toString('utf8');
}

/**
 * Whatever a call failed with, as an error of the library. Without the operation it is on its way to the call
 * that knows it, and keeps the path that it was first given.
 */
export function asAlluxioError(
  error: unknown,
  operation?: string,
  path?: ByteString,
): AlluxioError {
  if (error instanceof AlluxioError) {
    if (error.operation !== undefined) return error;
    const { code, reason, worker, retryable, cause } = error;
    const about = error.path ?? (path === undefined ? undefined : shownPath(path));
    return new AlluxioError(code, reason, { operation, path: about, worker, retryable, cause });
  }
  const shown = path === undefined ? undefined : shownPath(path);
  if (error instanceof ClusterError) {
    const { code, message, worker, retryable } = error;
    const details = { operation, path: shown ?? error.path, worker, retryable, cause: error };
    return new AlluxioError(code, message, details);
  }
  const failure = error as NodeJS.ErrnoException;
  const message = error instanceof Error ? error.message : String(error);
  const details = { operation, path: shown, cause: error };
  if (failure.name === 'AbortError') return new AlluxioError('cancelled', message, details);
  if (typeof failure.code === 'string' && failure.syscall !== undefined) {
    return new AlluxioError('local', message, details);
  }
  const code = error instanceof RangeError ? 'invalid' : 'protocol';
  return new AlluxioError(code, message, details);
}

/** Whether an error of the library or below has one of these codes. */
export function hasCode(error: unknown, ...codes: readonly AlluxioErrorCode[]): boolean {
  const isOurs = error instanceof AlluxioError || error instanceof ClusterError;
  return isOurs && codes.includes(error.code);
}
