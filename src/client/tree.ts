/** Trees, in memory that does not grow with them: entries are handed on as listings bring them. */
import { byteStringOfText, joinPath, type ByteString } from '../base/byte-string.ts';
import type { NodeStatus } from '../store/index.ts';
import type { Connection } from './connection.ts';
import { AlluxioError, hasCode, shownPath } from './errors.ts';
import { expandBraces, hasMagic, matchesParts, mayMatchBelow } from './glob.ts';
import type { Scope } from './scope.ts';

export interface TreeEntry {
  readonly path: ByteString;
  readonly node: NodeStatus;
  /** 1 for what is directly in the directory. */
  readonly depth: number;
}

export async function* entriesOf(
  connection: Connection,
  directory: ByteString,
  scope: Scope,
): AsyncGenerator<NodeStatus, void, undefined> {
  const names = await connection.names();
  // A listing may be long, and each part of it has its own deadline.
  for await (const batch of names.list(directory, scope.long())) yield* batch;
}

/**
 * Of a directory that was listed a moment ago: nothing where it is gone, or where it never was (a worker
 * lists a file `a\b` as a directory `a`).
 */
export async function* entriesStillIn(
  connection: Connection,
  directory: ByteString,
  scope: Scope,
): AsyncGenerator<NodeStatus, void, undefined> {
  try {
    yield* entriesOf(connection, directory, scope);
  } catch (error) {
    if (!hasCode(error, 'not-found')) throw error;
  }
}

export interface TreeOptions {
  readonly maxDepth?: number | undefined;
  /** Directories that need not be looked into. */
  readonly mayEnter?: (path: ByteString) => boolean;
}

/** Directories listed before their turn, each of which is a round trip to a worker. */
const AHEAD_NEAREST = 8;
/** With those that what was found meanwhile has put behind it. */
const AHEAD_MAX = 64;
/** More are listed at their turn, as they are taken: some 30 MB for all of them. */
const AHEAD_ENTRIES_MAX = 2000;

/** The whole listing; undefined where it is long or fails: its turn comes. */
async function listAhead(
  connection: Connection,
  directory: ByteString,
  scope: Scope,
): Promise<readonly NodeStatus[] | undefined> {
  const entries: NodeStatus[] = [];
  try {
    for await (const node of entriesOf(connection, directory, scope)) {
      if (entries.push(node) > AHEAD_ENTRIES_MAX) return undefined;
    }
  } catch {
    return undefined;
  }
  return entries;
}

/**
 * Everything below a directory, a directory before what is in it. Held are the names of directories
 * still to be listed, of one branch at a time, and short listings of the next of them. Links are
 * entries, and not followed.
 */
export async function* treeOf(
  connection: Connection,
  root: ByteString,
  scope: Scope,
  { maxDepth = Infinity, mayEnter = () => true }: TreeOptions = {},
): AsyncGenerator<TreeEntry, void, undefined> {
  const pending: { path: ByteString; depth: number }[] = [{ path: root, depth: 0 }];
  const ahead = new Map<ByteString, ReturnType<typeof listAhead>>();
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.depth >= maxDepth) continue;
    for (const { path, depth } of pending.slice(-AHEAD_NEAREST).toReversed()) {
      if (depth >= maxDepth || ahead.has(path) || ahead.size >= AHEAD_MAX) continue;
      ahead.set(path, listAhead(connection, path, scope));
    }
    const listed = await ahead.get(next.path);
    ahead.delete(next.path);
    const found: { path: ByteString; depth: number }[] = [];
    const depth = next.depth + 1;
    const entries = next.depth === 0 ? entriesOf : entriesStillIn;
    for await (const node of listed ?? entries(connection, next.path, scope)) {
      const path = joinPath(next.path, node.name);
      yield { path, node, depth };
      if (node.kind === 'directory' && mayEnter(path)) found.push({ path, depth });
    }
    for (const directory of found.toReversed()) pending.push(directory);
  }
}

/** What the pattern stands for; a pattern without magic stands for itself, where it exists. */
export async function* globOf(
  connection: Connection,
  pattern: string,
  scope: Scope,
): AsyncGenerator<TreeEntry, void, undefined> {
  if (!pattern.startsWith('/')) {
    throw new AlluxioError('invalid', 'A pattern begins with a slash', { path: pattern });
  }
  const seen = new Set<ByteString>();
  for (const expanded of expandBraces(pattern)) {
    const parts = expanded.split('/').filter((part) => part !== '');
    const firstMagic = parts.findIndex(hasMagic);
    const fixed = firstMagic < 0 ? parts : parts.slice(0, firstMagic);
    const base = byteStringOfText(`/${fixed.join('/')}`);
    const names = await connection.names();
    const node = await names.stat(base, scope.step()).catch(unlessMissing);
    if (node === undefined) continue;
    if (firstMagic < 0) {
      if (!seen.has(base)) yield { path: base, node, depth: 0 };
      seen.add(base);
      continue;
    }
    if (node.kind !== 'directory') continue;
    const rest = parts.slice(firstMagic);
    const partsBelow = (path: ByteString): string[] =>
      shownPath(path.slice(base === '/' ? 1 : base.length + 1) as ByteString).split('/');
    const maxDepth = rest.includes('**') ? Infinity : rest.length;
    const mayEnter = (path: ByteString): boolean => mayMatchBelow(rest, partsBelow(path));
    for await (const entry of treeOf(connection, base, scope, { maxDepth, mayEnter })) {
      if (seen.has(entry.path) || !matchesParts(rest, partsBelow(entry.path))) continue;
      seen.add(entry.path);
      yield entry;
    }
  }
}

function unlessMissing(error: unknown): undefined {
  if (hasCode(error, 'not-found')) return undefined;
  throw error;
}
