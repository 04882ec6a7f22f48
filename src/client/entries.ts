/** One file of many that a call is about: its failure names it, and need not be the end of the others. */
import { byteStringOfBytes, type ByteString } from '../base/byte-string.ts';
import { asAlluxioError, hasCode, type AlluxioError } from './errors.ts';
import { hasErrno } from './local-path.ts';

export interface Entry {
  /** Of the call: `copy`, `upload`, … */
  readonly operation: string;
  readonly path: ByteString;
  /** Its name on this machine, which is what failures of this machine are about. */
  readonly local?: Buffer;
  /** Told of what is left out, where the others are to go on. */
  readonly onError?: ((error: AlluxioError) => void) | undefined;
}

export async function ofEntry(entry: Entry, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const named = namedError(entry, error);
    if (entry.onError === undefined || !isOwn(named)) throw named;
    entry.onError(asAlluxioError(named, entry.operation));
  }
}

function namedError({ path, local }: Entry, error: unknown): AlluxioError {
  const isLocal = local !== undefined && asAlluxioError(error).code === 'local';
  return asAlluxioError(error, undefined, isLocal ? byteStringOfBytes(local) : path);
}

/** A disk that is full, or a process that may open no more, will not do better with the next file. */
const OF_ALL = ['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE'] as const;

/** Whether it says nothing of the other entries. */
function isOwn(error: AlluxioError): boolean {
  if (error.code === 'local') return !hasErrno(error.cause, ...OF_ALL);
  return hasCode(
    error,
    'not-found',
    'not-a-directory',
    'is-a-directory',
    'exists',
    'permission',
    'inexpressible',
    'unsupported',
    'version-changed',
  );
}
