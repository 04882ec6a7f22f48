/**
 * Whether our root of the name space is the one that the workers have. With another one owners and
 * page ids come out wrong, which costs speed only, but the under store would be read at a place that
 * has nothing to do with the cluster. Workers say of every entry where it lies in the under store.
 */
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText, displayByteString, textOfByteString } from '../base/byte-string.ts';
import type { Logger } from '../base/logger.ts';
import type { ClusterEvents } from './cluster-events.ts';
import type { Worker } from './types.ts';
import type { UfsRoot } from './ufs-path.ts';
import { parseUfsRoot, ufsPathOf } from './ufs-path.ts';

export class UfsRootCheck {
  readonly #root: UfsRoot;
  readonly #logger: Logger;
  readonly #events: Pick<ClusterEvents, 'ufsRootMismatch'>;
  #mismatch: string | undefined;

  constructor(parts: {
    readonly root: UfsRoot;
    readonly logger: Logger;
    readonly events: Pick<ClusterEvents, 'ufsRootMismatch'>;
  }) {
    this.#root = parts.root;
    this.#logger = parts.logger;
    this.#events = parts.events;
  }

  /** What is wrong and what to do, once a worker has contradicted us: for good, as the root is. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  /** `said`: where `path` lies in the under store, in the worker's own words. */
  note(worker: Worker, path: ByteString, said: string): void {
    if (this.#mismatch !== undefined || said === '') return;
    const theirs = byteStringOfText(said);
    if (theirs === ufsPathOf(this.#root, path)) return;
    const root = rootWithin(theirs, path);
    if (root === undefined || this.#isOurs(root)) return;
    const [ours, right] = [this.#root.uri, root.uri].map(displayByteString);
    this.#mismatch =
      `The under store root of ${worker.id} (${worker.host}) is ${right}, ours ${ours}; ` +
      `set --ufs (alluxio.dora.client.ufs.root) to ${right}`;
    this.#logger.error(
      { worker: worker.id, ours, theirs: right },
      `${this.#mismatch}. Until then files are read more slowly, and never from the under store`,
    );
    this.#events.ufsRootMismatch(this.#mismatch);
  }

  #isOurs(root: UfsRoot): boolean {
    if (root.uri === this.#root.uri) return true;
    // Without a scheme it is the same place all the same.
    return root.localPath !== undefined && root.localPath === this.#root.localPath;
  }
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
