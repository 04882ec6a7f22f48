/**
 * The name space as programs see it: the cluster's names, the attributes beside them, and over both
 * what this mount has changed already but the cluster does not show yet. A read-only mount has the
 * first two.
 */
import type { ByteString } from '../base/byte-string.ts';
import { joinPath, nameOf } from '../base/byte-string.ts';
import type { Mutable } from '../base/mutable.ts';
import type { CallContext, FileStatus } from '../cluster/index.ts';
import { isShadowed, posixOf, specialStatus } from './attribute-record.ts';
import type { AttributeRecord } from './attribute-record.ts';
import type { AttributeView } from './attribute-store.ts';
import type { StoreReader } from './cluster-parts.ts';
import { isCode, storeError } from './errors.ts';
import type { ListingUnderWay } from './listings.ts';
import { Listings } from './listings.ts';
import { isReservedName, isReservedPath, recordPlaceOf } from './paths.ts';
import type { NodeStatus } from './types.ts';

export interface Overlay {
  /** Gone, or not there yet, for this mount. */
  isHidden(path: ByteString): boolean;
  /** The cluster still has an object there that this mount has removed. */
  isRemoved(path: ByteString): boolean;
  /** Listed without entries: the target of a rename that has not come yet. */
  isEmptied(directory: ByteString): boolean;
  /** What the path is, whatever the cluster says. */
  replacement(path: ByteString): NodeStatus | undefined;
  replacementsIn(directory: ByteString): Iterable<NodeStatus>;
  /** What the cluster got or lost a short while ago: a listing may be older. */
  unheardIn(directory: ByteString): Set<ByteString>;
  present(path: ByteString, status: NodeStatus): NodeStatus;
  /** The cluster is certain that the record has no object (or has one where it should not). */
  noteGone(directory: ByteString, name: ByteString): void;
}

export const noOverlay: Overlay = {
  isHidden: () => false,
  isRemoved: () => false,
  isEmptied: () => false,
  replacement: () => undefined,
  replacementsIn: () => [],
  unheardIn: () => new Set(),
  present: (_path, status) => status,
  noteGone: () => undefined,
};

export interface AttributeSource {
  load(directory: ByteString, context: CallContext): Promise<AttributeView>;
}

/** Field by field: a listing of 100,000 entries spends as much on copying the rest of an object as on all else. */
export function nodeOf(status: FileStatus, record: AttributeRecord | undefined): NodeStatus {
  const { type: kind, name, lengthBytes, mtimeMs, mode, owner, group, contentHash } = status;
  const posix = posixOf(record, { kind, lengthBytes, mtimeMs });
  const own = mode === undefined || posix.mode !== undefined ? posix : { ...posix, mode };
  const node: Mutable<NodeStatus> = { name, kind, lengthBytes, mtimeMs, posix: own };
  if (owner !== undefined) node.owner = owner;
  if (group !== undefined) node.group = group;
  if (contentHash !== undefined) node.contentHash = contentHash;
  return node;
}

export class NameSpaceView {
  readonly #reader: StoreReader;
  readonly #attributes: AttributeSource;
  readonly #overlay: Overlay;
  readonly #listings: Listings;

  constructor(
    reader: StoreReader,
    attributes: AttributeSource,
    overlay: Overlay,
    listings = new Listings(),
  ) {
    this.#reader = reader;
    this.#attributes = attributes;
    this.#overlay = overlay;
    this.#listings = listings;
  }

  async stat(path: ByteString, context: CallContext): Promise<NodeStatus> {
    if (isReservedPath(path) || this.#overlay.isHidden(path)) {
      throw storeError('not-found', 'No such file', path);
    }
    const replacement = this.#overlay.replacement(path);
    if (replacement !== undefined) return replacement;
    const { directory, name } = recordPlaceOf(path);
    const [status, view] = await Promise.all([
      this.#statusOf(path, context),
      this.#attributes.load(directory, context),
    ]);
    // While the answers travelled, a change of ours may have come to its end.
    if (this.#overlay.isHidden(path)) throw storeError('not-found', 'No such file', path);
    const record = view.get(name);
    const isRemoved = this.#overlay.isRemoved(path);
    if (status !== undefined && !isRemoved) {
      if (record !== undefined && isShadowed(record, status.type)) {
        this.#overlay.noteGone(directory, name);
      }
      return this.#overlay.replacement(path) ?? this.#overlay.present(path, nodeOf(status, record));
    }
    if (record?.kind !== undefined) return specialStatus(name, record);
    if (record !== undefined && !isRemoved) this.#overlay.noteGone(directory, name);
    throw storeError('not-found', 'No such file', path);
  }

  async *list(path: ByteString, context: CallContext): AsyncGenerator<readonly NodeStatus[]> {
    const listing = this.#listings.begin(path);
    try {
      yield* this.#list(path, listing, context);
    } finally {
      listing.end();
    }
  }

  async *#list(
    path: ByteString,
    listing: ListingUnderWay,
    context: CallContext,
  ): AsyncGenerator<readonly NodeStatus[]> {
    const overlay = this.#overlay;
    if (isReservedPath(path) || overlay.isHidden(path)) {
      throw storeError('not-found', 'No such directory', path);
    }
    if (overlay.isEmptied(path)) return;
    const loading = this.#attributes.load(path, context);
    // Awaited with the first entries; a listing that fails before must not leave it unhandled.
    loading.catch(() => undefined);
    const special = new Set<ByteString>();
    const replaced = new Set<ByteString>();
    for (const { name } of overlay.replacementsIn(path)) replaced.add(name);
    const unheard = overlay.unheardIn(path);
    let isAnswered = true;
    // A worker that does not answer, for which the listing is old maybe, keeps nobody from other names.
    const askAbout = async (
      child: ByteString,
      listed: NodeStatus | undefined,
    ): Promise<NodeStatus | undefined> => {
      if (!isAnswered) return listed;
      return this.exists(child, context).catch(() => {
        isAnswered = false;
        return listed;
      });
    };
    const mustBeThere = (): void => {
      if (!listing.isOvertaken) return;
      throw storeError('not-found', 'The directory was moved or removed while it was listed', path);
    };
    for await (const batch of this.#reader.list(path, context)) {
      const view = await loading;
      mustBeThere();
      const shown: NodeStatus[] = [];
      for (const status of batch) {
        const { name } = status;
        if (isReservedName(path, name)) continue;
        const child = joinPath(path, name);
        if (overlay.isHidden(child) || overlay.isRemoved(child)) continue;
        const record = view.get(name);
        if (record?.kind !== undefined) special.add(name);
        const replacement = overlay.replacement(child);
        // The listing may be older than the file that has arrived since.
        if (replacement === undefined && replaced.has(name)) continue;
        replaced.delete(name);
        const listed = replacement ?? overlay.present(child, nodeOf(status, record));
        const isUnheard = unheard.delete(child);
        let seen: NodeStatus | undefined = listed;
        if (listing.hasGone(name)) seen = await this.exists(child, context);
        else if (isUnheard) seen = await askAbout(child, listed);
        if (seen !== undefined) shown.push(seen);
      }
      if (shown.length > 0) yield shown;
    }
    const rest: NodeStatus[] = [];
    for (const name of replaced) {
      special.add(name);
      const child = joinPath(path, name);
      unheard.delete(child);
      // It may have arrived in the cluster, or been renamed, while the listing ran.
      const status = await this.exists(child, context);
      if (status !== undefined) rest.push(status);
    }
    for (const child of unheard) {
      special.add(nameOf(child));
      const status = await askAbout(child, undefined);
      if (status !== undefined) rest.push(status);
    }
    for (const [name, record] of (await loading).entries()) {
      if (record.kind === undefined || special.has(name)) continue;
      if (!overlay.isHidden(joinPath(path, name))) rest.push(specialStatus(name, record));
    }
    mustBeThere();
    if (rest.length > 0) yield rest;
  }

  async #statusOf(path: ByteString, context: CallContext): Promise<FileStatus | undefined> {
    try {
      return await this.#reader.stat(path, context);
    } catch (error) {
      if (isCode(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Whether nothing is in the directory that anybody can see. */
  async isEmpty(path: ByteString, context: CallContext): Promise<boolean> {
    for await (const batch of this.list(path, context)) {
      for (const { name } of batch) {
        // A listing may be older than the removal of what it shows.
        if ((await this.exists(joinPath(path, name), context)) !== undefined) return false;
      }
    }
    return true;
  }

  async exists(path: ByteString, context: CallContext): Promise<NodeStatus | undefined> {
    try {
      return await this.stat(path, context);
    } catch (error) {
      if (isCode(error, 'not-found')) return undefined;
      throw error;
    }
  }
}
