/**
 * Which under store lies below which path: one name space seen as paths (`/s3/a`) and as URIs of under
 * stores (`s3://bucket/prefix/a`). The longest prefix wins, so mounts may lie in each other.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { byteStringOfText, isWithin, parentOf, textOfByteString } from '../../base/byte-string.ts';
import { ClusterError } from '../types.ts';
import { temporaryDirectoryFor } from '../write/temporary-names.ts';
import { normaliseAlluxioPath, parseUfsRoot, ufsPathOf, type UfsRoot } from '../ufs-path.ts';
import { ShownDirectories, trimmed } from './shown-directories.ts';

export interface MountPoint {
  /** Normalised; `/` for the root. */
  readonly path: ByteString;
  readonly root: UfsRoot;
}

export interface MountedPath {
  readonly mount: MountPoint;
  /** Within the mount, beginning with a slash. */
  readonly inner: ByteString;
  readonly ufsPath: ByteString;
}

/** `/s3=s3://bucket/prefix`. Throws a RangeError that says what is wrong. */
export function parseMount(text: string): MountPoint {
  const at = text.indexOf('=');
  if (at < 0 || !text.startsWith('/')) {
    throw new RangeError(`A mount is like /s3=s3://bucket/dir: "${text}"`);
  }
  const path = normaliseAlluxioPath(byteStringOfText(text.slice(0, at)));
  return { path, root: parseUfsRoot(text.slice(at + 1)) };
}

interface Rows {
  readonly byPath: readonly MountPoint[];
  /** Of two mounts of one place, that with the shorter path is its name. */
  readonly byUri: readonly MountPoint[];
  readonly directories: ShownDirectories;
}

export class MountTable {
  #rows: Rows;

  /** Throws a RangeError where two mounts have one path. */
  constructor(mounts: readonly MountPoint[]) {
    this.#rows = rowsOf(mounts);
  }

  /** The longest path first. */
  get mounts(): readonly MountPoint[] {
    return this.#rows.byPath;
  }

  /** Mount points, and the directories on the way to them. */
  get directories(): ShownDirectories {
    return this.#rows.directories;
  }

  /** For whoever follows the table of a cluster. Throws as the constructor, and changes nothing then. */
  replace(mounts: readonly MountPoint[]): void {
    this.#rows = rowsOf(mounts);
  }

  /** A cluster with one root, and nothing else. */
  static ofRoot(uri: string): MountTable {
    return new MountTable([{ path: '/' as ByteString, root: parseUfsRoot(uri) }]);
  }

  /** Undefined for a path below no mount; such a directory can only hold mount points. */
  resolve(path: ByteString): MountedPath | undefined {
    const normal = normaliseAlluxioPath(path);
    const mount = this.mounts.find((candidate) => isWithin(normal, candidate.path));
    if (mount === undefined) return undefined;
    const inner = below(normal, mount.path);
    return { mount, inner, ufsPath: ufsPathOf(mount.root, inner) };
  }

  /** Throws `not-found` for a path below no mount. */
  ufsPathOf(path: ByteString): ByteString {
    const found = this.resolve(path);
    if (found !== undefined) return found.ufsPath;
    const known = this.mounts.map((mount) => mount.path).join(', ');
    const message = `No under store is mounted above it; the mounts are ${known}`;
    throw new ClusterError('not-found', message, { path });
  }

  /**
   * The path of a URI, or undefined where no mount shows it: none reaches it, or a mount in another
   * one hides it.
   */
  pathOf(uri: ByteString): ByteString | undefined {
    const written = normaliseUri(uri);
    if (written === undefined) return undefined;
    for (const mount of this.#rows.byUri) {
      const { prefix } = mount.root;
      const isBelow = written === prefix || written.startsWith(`${prefix}/`);
      if (!isBelow) continue;
      const inner = normaliseAlluxioPath(`/${written.slice(prefix.length)}` as ByteString);
      const path = inner === '/' ? mount.path : (`${trimmed(mount.path)}${inner}` as ByteString);
      if (this.resolve(path)?.mount === mount) return path;
    }
    return undefined;
  }

  /** Whether a change of the path has a place: itself, its directory, and what its upload is called first. */
  takesChanges(path: ByteString): boolean {
    const places = [path, parentOf(path), temporaryDirectoryFor(path)];
    return places.every((place) => this.resolve(place) !== undefined);
  }

  /** Whether it is there because of the table: a mount point, or a directory on the way to one. */
  isMountedDirectory(path: ByteString): boolean {
    return this.directories.has(normaliseAlluxioPath(path));
  }
}

function rowsOf(mounts: readonly MountPoint[]): Rows {
  const paths = new Set<ByteString>();
  for (const { path } of mounts) {
    if (paths.has(path)) throw new RangeError(`Two mounts at ${textOfByteString(path) ?? path}`);
    paths.add(path);
  }
  const length = ({ path }: MountPoint): number => (path === '/' ? 0 : path.length);
  const byPath = [...mounts].sort((a, b) => length(b) - length(a));
  const byUri = [...mounts].sort(
    (a, b) => b.root.prefix.length - a.root.prefix.length || length(a) - length(b),
  );
  return { byPath, byUri, directories: new ShownDirectories(byPath.map(({ path }) => path)) };
}

function below(path: ByteString, directory: ByteString): ByteString {
  const rest = path.slice(trimmed(directory).length);
  return (rest === '' ? '/' : rest) as ByteString;
}

/** As the URIs of roots are written; undefined for what is no URI. */
function normaliseUri(uri: ByteString): ByteString | undefined {
  const [, scheme = '', authority = '', path = ''] =
    /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/]*))?(\/.*|)$/s.exec(uri) ?? [];
  if (scheme === '') return undefined;
  const inner = path === '' ? '/' : normaliseAlluxioPath(path as ByteString);
  return `${scheme}://${authority}${inner === '/' ? '' : inner}` as ByteString;
}
