/**
 * Where the files of the name space lie: one directory for all of it, or, as an Enterprise cluster has
 * them, one for each mount point below a root that holds nothing else.
 */
import type { AlluxioPath } from './alluxio-uri.ts';
import { parseAlluxioPath } from './alluxio-uri.ts';

export interface Root {
  /** Where it is mounted: `/`, or a name behind a slash. */
  readonly path: string;
  readonly dir: string;
  /** What the workers call the directory; no slash at its end. */
  readonly uri: string;
}

/** Nothing is there: a path below no mount. */
const NOWHERE = '/dev/null/nowhere';

export class Roots {
  /** Exchanged as a whole where the cluster gets other mounts. */
  all: readonly Root[];

  constructor(all: readonly Root[]) {
    this.all = all;
  }

  /** Whether `/` is no directory of an under store, but holds the mount points. */
  get isOfMounts(): boolean {
    return this.#at('/') === undefined;
  }

  filePathOf(path: string): string {
    const root = this.#at(path);
    if (root === undefined) return NOWHERE;
    const inner = innerOf(path, root);
    return inner === '/' ? root.dir : (root.dir === '/' ? '' : root.dir) + inner;
  }

  /** `text`: a path, maybe with a query. */
  uriOf(text: string): string {
    const root = this.#at(text.split('?', 1)[0] ?? text);
    if (root === undefined) return text;
    const inner = innerOf(text, root);
    if (inner !== '/') return `${root.uri.replace(/\/$/, '')}${inner}`;
    // As Alluxio prints the root of a bucket.
    return /^(?!file:)[^/]+:\/\/[^/]+$/.test(root.uri) ? `${root.uri}/` : root.uri;
  }

  /** `path` of HTTP requests: an Alluxio path, or a full UFS path under a root. */
  pathOfParameter(value: string): AlluxioPath | undefined {
    for (const root of this.all) {
      const { uri, path } = root;
      if (uri.startsWith('file:') || (value !== uri && !value.startsWith(`${uri}/`))) continue;
      return parseAlluxioPath(`${path}/${value.slice(uri.length)}`);
    }
    if (!value.startsWith('file:')) return parseAlluxioPath(value);
    const full = parseAlluxioPath(value.slice('file:'.length));
    if (full === undefined) return undefined;
    for (const { dir, path } of this.all) {
      const prefix = dir === '/' ? '' : dir;
      if (full.path !== dir && !full.path.startsWith(`${prefix}/`)) continue;
      const query = full.text.slice(full.path.length);
      return parseAlluxioPath(`${path}/${full.path.slice(prefix.length)}${query}`);
    }
    return undefined;
  }

  #at(path: string): Root | undefined {
    return this.all.find(
      (root) => root.path === '/' || path === root.path || path.startsWith(`${root.path}/`),
    );
  }
}

function innerOf(text: string, { path }: Root): string {
  if (path === '/') return text;
  const rest = text.slice(path.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
