/**
 * Alluxio path → normalised UFS path: the string that the ring hashes and whose SHA-256 is the file
 * id. It must be, byte for byte, what Alluxio's own URI class prints (protocol notes 1.4, 5.3), else
 * our client looks for files at the wrong worker under the wrong id.
 *
 * One rule is left out on purpose: Alluxio turns `\` into `/`, so that the id of a file `a\b` is
 * that of another file, `a/b`. Here `\` in a path stays, and such an id never meets a foreign file;
 * callers treat the name as inexpressible.
 */
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText } from '../base/byte-string.ts';

export interface UfsRoot {
  /** What the Alluxio path `/` maps to; ends with a slash only where the root has no directory. */
  readonly uri: ByteString;
  /** Lower case; 'file' for a root without a scheme. */
  readonly scheme: string;
  /** What is put before a path that begins with a slash. */
  readonly prefix: ByteString;
  /** Directory on this machine for the scheme 'file', else undefined. */
  readonly localPath: ByteString | undefined;
}

const rootPattern = /^(?:([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/]*))?)?(.*)$/s;

/** Throws a RangeError that says what a root looks like. */
export function parseUfsRoot(text: string): UfsRoot {
  const slashed = text.trim().replaceAll('\\', '/');
  const [, scheme, authority = '', rawPath = ''] = rootPattern.exec(slashed) ?? [];
  const path = resolvePath(rawPath);
  const isLocal = scheme === undefined || scheme.toLowerCase() === 'file';
  const hasPlace = isLocal ? rawPath.startsWith('/') && authority === '' : authority !== '';
  if (!hasPlace || /[?#]/.test(slashed)) {
    throw new RangeError(`Under store root must be like file:///dir or s3://bucket/dir: "${text}"`);
  }
  const place = scheme === undefined ? '' : `${scheme}://${authority}`;
  const tail = path === '/' ? '' : path;
  const uri = tail === '' ? `${place}/` : `${place}${tail}`;
  return {
    uri: byteStringOfText(uri),
    scheme: scheme?.toLowerCase() ?? 'file',
    prefix: byteStringOfText(`${place}${tail}`),
    localPath: isLocal ? byteStringOfText(path) : undefined,
  };
}

/** The UFS path of an absolute Alluxio path. */
export function ufsPathOf(root: UfsRoot, path: ByteString): ByteString {
  const normal = normaliseAlluxioPath(path);
  if (normal === '/') return root.uri;
  return (root.prefix + normal) as ByteString;
}

/** Empty parts, `.` and `..` are resolved as POSIX does: above the root is the root. */
export function normaliseAlluxioPath(path: ByteString): ByteString {
  if (!path.startsWith('/'))
    throw new RangeError(`Alluxio path must begin with a slash: "${path}"`);
  // Nothing to resolve in nearly every path: the kernel hands out single names.
  if (path === '/' || !/\/(?:\.{0,2}(?:\/|$))/.test(path)) return path;
  return resolvePath(path) as ByteString;
}

function resolvePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
