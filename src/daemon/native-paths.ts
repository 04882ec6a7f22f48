/**
 * From libfuse's paths to the core's inodes: a walk, name by name, as the kernel does it for the
 * other driver, with a cache of names that keeps each for as long as the core allows.
 *
 * INVARIANT: a node stands for exactly one lookup of its inode, given back once when nobody uses the
 * node and the cache has dropped it.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import { ROOT_INODE } from '../vfs/index.ts';
import type { Attributes, Core, InodeId } from '../vfs/index.ts';
import type { NativeReplies } from './native-replies.ts';

/**
 * Some 300 bytes each with the inode that it holds. It saves asking for every directory on the way,
 * so it need not hold all files.
 */
const NODES_MAX = 10_000;

export interface PathNode {
  readonly ino: InodeId;
  /** As told by the look-up that this walk ended with; undefined where the cache knew the name. */
  attributes: Attributes | undefined;
}

interface Node {
  readonly ino: InodeId;
  readonly expiresAtMs: number;
  users: number;
  isCached: boolean;
}

/** A name within a directory, told apart by inode: a directory that was replaced has none of these. */
type NodeKey = `${InodeId}/${string}`;

export interface NativePathsParts {
  readonly core: Core;
  readonly replies: NativeReplies;
  readonly clock: Clock;
}

export class NativePaths {
  readonly #parts: NativePathsParts;
  readonly #nodes: LRUCache<NodeKey, Node>;
  readonly #toForget: InodeId[] = [];

  constructor(parts: NativePathsParts) {
    this.#parts = parts;
    this.#nodes = new LRUCache<NodeKey, Node>({
      max: NODES_MAX,
      dispose: (node) => {
        node.isCached = false;
        this.#giveBack(node);
      },
    });
  }

  /** Runs `use` with the path's inode, which stays known for as long as that takes. */
  async with<Result>(path: ByteString, use: (node: PathNode) => Promise<Result>): Promise<Result> {
    const root: Node = { ino: ROOT_INODE, expiresAtMs: Infinity, users: 1, isCached: true };
    let node = root;
    let attributes: Attributes | undefined;
    try {
      for (const name of path.split('/')) {
        if (name === '') continue;
        const parent = node;
        ({ node, attributes } = await this.#child(parent, name as ByteString));
        this.#leave(parent);
      }
      return await use({ ino: node.ino, attributes });
    } finally {
      this.#leave(node);
    }
  }

  async #child(
    parent: Node,
    name: ByteString,
  ): Promise<{ node: Node; attributes: Attributes | undefined }> {
    const { core, replies, clock } = this.#parts;
    const key: NodeKey = `${parent.ino}/${name}`;
    const known = this.#nodes.get(key);
    if (known !== undefined && known.expiresAtMs > clock.nowMs()) {
      known.users++;
      return { node: known, attributes: undefined };
    }
    const startedMs = clock.nowMs();
    const { attributes, entryTtlMs } = await replies.ask('entry', (id) =>
      core.lookup(id, parent.ino, name),
    );
    const node: Node = {
      ino: attributes.ino,
      expiresAtMs: startedMs + entryTtlMs,
      users: 1,
      isCached: true,
    };
    this.#nodes.set(key, node);
    return { node, attributes };
  }

  #leave(node: Node): void {
    node.users--;
    this.#giveBack(node);
  }

  #giveBack(node: Node): void {
    if (node.users > 0 || node.isCached) return;
    this.giveBack(node.ino);
  }

  /** A look-up that an answer told of and nobody asked for. */
  giveBack(ino: InodeId): void {
    this.#toForget.push(ino);
    // The core may be at work: it drops names while it does.
    if (this.#toForget.length === 1) queueMicrotask(() => this.#forgetAll());
  }

  #forgetAll(): void {
    for (const ino of this.#toForget.splice(0)) this.#parts.core.forget(ino, 1);
  }

  /** As `with`, for a name that need not be there: `use` gets its directory. */
  async within<Result>(
    path: ByteString,
    use: (directory: InodeId, name: ByteString) => Promise<Result>,
  ): Promise<Result> {
    const cut = path.lastIndexOf('/');
    const name = path.slice(cut + 1) as ByteString;
    return await this.with(path.slice(0, cut) as ByteString, async ({ ino }) => {
      try {
        return await use(ino, name);
      } finally {
        // Whatever came of it: the next look asks.
        this.drop(ino, name);
      }
    });
  }

  /** The name means something else from now on. */
  drop(parent: InodeId, name: ByteString): void {
    this.#nodes.delete(`${parent}/${name}`);
  }

  clear(): void {
    this.#nodes.clear();
  }
}
