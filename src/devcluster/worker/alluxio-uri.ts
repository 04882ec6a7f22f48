/**
 * Alluxio's reading of a path text, with what it gets wrong: `\` is a separator and `?` begins a
 * query, which stays in the identity of the path and is ignored when the file is looked up. So the
 * name `c?y` reads the file `c`, and `?` alone reads the directory.
 */
import { createHash } from 'node:crypto';

export interface AlluxioPath {
  /** Normalised, begins with '/', no trailing slash; what the under store is asked for. */
  readonly path: string;
  /** With its query; what is hashed, cached and printed. */
  readonly text: string;
}

export function parseAlluxioPath(input: string): AlluxioPath | undefined {
  const question = input.indexOf('?');
  const rawPath = question < 0 ? input : input.slice(0, question);
  const query = question < 0 ? '' : input.slice(question);
  if (!/^[/\\]/.test(rawPath)) return undefined;
  const parts: string[] = [];
  for (const part of rawPath.split(/[/\\]/)) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  const path = `/${parts.join('/')}`;
  return { path, text: path + query };
}

export function fileIdOf(ufsUri: string): string {
  return createHash('sha256').update(ufsUri, 'utf8').digest('hex');
}

export function lastPartOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}
