/**
 * Whether our root of the name space is the one that the workers have. With another one owners and
 * page ids come out wrong, which costs speed only, but the under store would be read at a place that
 * has nothing to do with the cluster. Workers say of every entry where it lies in the under store.
 */
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText, displayByteString, textOfByteString } from '../base/byte-string.ts';
import type { Logger } from '../base/logger.ts';
import type { ClusterEvents } from './cluster-events.ts';
import type { MountPoint, MountTable } from './mapping/mount-table.ts';
import type { Worker } from './types.ts';
import type { UfsRoot } from './ufs-path.ts';
import { parseUfsRoot } from './ufs-path.ts';

export class UfsRootCheck {
  readonly #mounts: MountTable;
  readonly #logger: Logger;
  readonly #events: Pick<ClusterEvents, 'ufsRootMismatch'>;
  #mismatch: string | undefined;

  constructor(parts: {
    readonly mounts: MountTable;
    readonly logger: Logger;
    readonly events: Pick<ClusterEvents, 'ufsRootMismatch'>;
  }) {
    this.#mounts = parts.mounts;
    this.#logger = parts.logger;
    this.#events = parts.events;
  }

  /** What is wrong and what to do, once a worker has contradicted us: for good, as a root is. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  /** The table was replaced: what was said of the one before says nothing of this one. */
  forget(): void {
    this.#mismatch = undefined;
  }

  /** `said`: where `path` lies in the under store, in the worker's own words. */
  note(worker: Worker, path: ByteString, said: string): void {
    if (this.#mismatch !== undefined || said === '') return;
    const theirs = byteStringOfText(said);
    const place = this.#mounts.resolve(path);
    if (place === undefined || theirs === place.ufsPath) return;
    const root = rootWithin(theirs, place.inner);
    if (root === undefined || isSame(root, place.mount.root)) return;
    const [ours, right] = [place.mount.root.uri, root.uri].map(displayByteString);
    this.#mismatch =
      `The under store ${whatOf(place.mount)} of ${worker.id} (${worker.host}) is ${right}, ` +
      `ours ${ours}; ${adviceFor(place.mount)}${right}`;
    this.#logger.error(
      { worker: worker.id, ours, theirs: right },
      `${this.#mismatch}. Until then files are read more slowly, and never from the under store`,
    );
    this.#events.ufsRootMismatch(this.#mismatch);
  }
}

function whatOf({ path }: MountPoint): string {
  return path === '/' ? 'root' : `at ${displayByteString(path)}`;
}

function adviceFor({ path }: MountPoint): string {
  if (path === '/') return 'set --ufs (alluxio.dora.client.ufs.root) to ';
  return `give --map ${displayByteString(path)}=`;
}

function isSame(one: UfsRoot, other: UfsRoot): boolean {
  if (one.uri === other.uri) return true;
  // Without a scheme it is the same place all the same.
  return one.localPath !== undefined && one.localPath === other.localPath;
}

/**
 * The root, where the under store path is a root and our path behind it. Others are told of nested
 * mounts, which say nothing about the root.
 */
function rootWithin(ufsPath: ByteString, path: ByteString): UfsRoot | undefined {
  const tail = path === '/' ? '' : path;
  const text = textOfByteString(ufsPath.slice(0, ufsPath.length - tail.length) as ByteString);
  if (!ufsPath.endsWith(tail) || text === undefined) return undefined;
  try {
    return parseUfsRoot(`${text}/`);
  } catch {
    // Nothing that could be given as --ufs: not a statement about it.
    return undefined;
  }
}
