/** The under stores of all mounts as one: each is asked for what lies below its mount, as its own root. */
import type { ByteString } from '../../base/byte-string.ts';
import type { ByteSink, CallContext, FileStatus } from '../types.ts';
import { ClusterError } from '../types.ts';
import type { UnderStore, UnderStoreRead } from '../under-store.ts';
import type { MountPoint, MountTable } from './mount-table.ts';

interface Place {
  readonly store: UnderStore;
  readonly inner: ByteString;
}

/** Reads only: changes of such a cluster go through its workers. */
export class MountedUnderStore implements UnderStore {
  readonly #table: MountTable;
  readonly #create: (mount: MountPoint) => UnderStore | undefined;
  /** For these rows of the table. Undefined: of a kind that cannot be asked. */
  #stores: ReadonlyMap<MountPoint, UnderStore | undefined> = new Map();
  #rows: readonly MountPoint[] = [];

  /** `create`: for each mount, also for those that the table gets later. */
  constructor(table: MountTable, create: (mount: MountPoint) => UnderStore | undefined) {
    this.#table = table;
    this.#create = create;
  }

  /** Undefined where a store lacks them: every listing would ask whether the others answer. */
  get names(): UnderStore['names'] {
    const isCheap = this.#known.every((store) => store.names !== undefined);
    return isCheap ? (path, context) => this.#names(path, context) : undefined;
  }

  /** Whether any of them is: one that is away says so itself. */
  async isReachable(context: CallContext): Promise<boolean> {
    const asked = this.#known.map(async (store) => {
      if (!(await store.isReachable(context))) throw new Error(store.problem);
    });
    // The first that is there decides: another one may hang.
    return await Promise.any(asked).then(
      () => true,
      () => false,
    );
  }

  get problem(): string | undefined {
    const problems = [...this.#current()].flatMap(([{ path }, store]) =>
      store?.problem === undefined ? [] : [`${path}: ${store.problem}`],
    );
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  covers(path: ByteString): boolean {
    const found = this.#table.resolve(path);
    return found !== undefined && this.#current().get(found.mount) !== undefined;
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    const { store, inner } = this.#at(path);
    return await store.stat(inner, context);
  }

  async *list(path: ByteString, context: CallContext): AsyncGenerator<FileStatus[]> {
    const { store, inner } = this.#at(path);
    yield* store.list(inner, context);
  }

  async read(request: UnderStoreRead, sink: ByteSink, context: CallContext) {
    const { store, inner } = this.#at(request.path);
    return await store.read({ ...request, path: inner }, sink, context);
  }

  async close(): Promise<void> {
    const stores = [...this.#stores.values()].filter((store) => store !== undefined);
    await Promise.all(stores.map((store) => store.close()));
  }

  get hasStores(): boolean {
    return this.#known.length > 0;
  }

  get #known(): readonly UnderStore[] {
    return [...this.#current().values()].filter((store) => store !== undefined);
  }

  /** Follows the table: what it has no more is closed, for calls under way to fail rather than mislead. */
  #current(): ReadonlyMap<MountPoint, UnderStore | undefined> {
    const { mounts } = this.#table;
    if (mounts === this.#rows) return this.#stores;
    const before = new Map([...this.#stores].map(([{ root }, store]) => [root.uri, store]));
    const next = new Map<MountPoint, UnderStore | undefined>();
    for (const mount of mounts) {
      const { uri } = mount.root;
      next.set(mount, before.has(uri) ? before.get(uri) : this.#create(mount));
    }
    const kept = new Set(next.values());
    for (const store of before.values()) if (!kept.has(store)) void store?.close().catch(ignore);
    [this.#stores, this.#rows] = [next, mounts];
    return next;
  }

  async *#names(path: ByteString, context: CallContext): AsyncGenerator<ByteString[]> {
    const { store, inner } = this.#at(path);
    yield* store.names?.(inner, context) ?? [];
  }

  #at(path: ByteString): Place {
    const found = this.#table.resolve(path);
    const store = found === undefined ? undefined : this.#current().get(found.mount);
    if (found !== undefined && store !== undefined) return { store, inner: found.inner };
    const message = 'No under store of this mount can be asked from here';
    throw new ClusterError('unavailable', message, { path });
  }
}

function ignore(): void {
  // Nobody asks it any more.
}
