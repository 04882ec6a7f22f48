/** Local paths as bytes: names of the cluster need not be UTF-8. */
import type { ByteString } from '../base/byte-string.ts';

export function localPath(path: string | Buffer): Buffer {
  return typeof path === 'string' ? Buffer.from(path, 'utf8') : path;
}

export function joinLocal(directory: Buffer, name: ByteString | string): Buffer {
  const last = directory.at(-1) === 0x2f ? '' : '/';
  return Buffer.concat([directory, Buffer.from(last), Buffer.from(name, 'latin1')]);
}

export function parentOfLocal(path: Buffer): Buffer {
  const slash = path.lastIndexOf(0x2f);
  if (slash < 0) return Buffer.from('.');
  return slash === 0 ? Buffer.from('/') : path.subarray(0, slash);
}

export function isMissing(error: unknown): boolean {
  return hasErrno(error, 'ENOENT');
}

export function unlessMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}

export function hasErrno(error: unknown, ...errnos: readonly string[]): boolean {
  return errnos.includes(String((error as NodeJS.ErrnoException | undefined)?.code));
}
