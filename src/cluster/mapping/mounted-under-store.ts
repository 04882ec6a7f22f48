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
  readonly #mounts: MountTable;
  readonly #stores: ReadonlyMap<MountPoint, UnderStore>;
  readonly names?: NonNullable<UnderStore['names']>;

  /** `stores`: of mounts of the table; those that are missing cannot be asked. */
  constructor(mounts: MountTable, stores: ReadonlyMap<MountPoint, UnderStore>) {
    this.#mounts = mounts;
    this.#stores = stores;
    // Else every listing of a store without them would ask whether the others answer.
    const isCheap = [...stores.values()].every((store) => store.names !== undefined);
    if (isCheap) this.names = (path, context) => this.#names(path, context);
  }

  /** Whether any of them is: one that is away says so itself. */
  async isReachable(context: CallContext): Promise<boolean> {
    const asked = [...this.#stores.values()].map(async (store) => {
      if (!(await store.isReachable(context))) throw new Error(store.problem);
    });
    // The first that is there decides: another one may hang.
    return await Promise.any(asked).then(
      () => true,
      () => false,
    );
  }

  get problem(): string | undefined {
    const problems = [...this.#stores]
      .filter(([, { problem }]) => problem !== undefined)
      .map(([{ path }, { problem }]) => `${path}: ${problem}`);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  covers(path: ByteString): boolean {
    const found = this.#mounts.resolve(path);
    return found !== undefined && this.#stores.has(found.mount);
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
    await Promise.all([...this.#stores.values()].map((store) => store.close()));
  }

  async *#names(path: ByteString, context: CallContext): AsyncGenerator<ByteString[]> {
    const { store, inner } = this.#at(path);
    yield* store.names?.(inner, context) ?? [];
  }

  #at(path: ByteString): Place {
    const found = this.#mounts.resolve(path);
    const store = found === undefined ? undefined : this.#stores.get(found.mount);
    if (found !== undefined && store !== undefined) return { store, inner: found.inner };
    const message = 'No under store of this mount can be asked from here';
    throw new ClusterError('unavailable', message, { path });
  }
}
