/** Trees of the cluster, copied by the workers file by file, and deleted. The caller holds the locks. */
import type { ByteString } from '../base/byte-string.ts';
import { joinPath } from '../base/byte-string.ts';
import type { CallContext, FileStatus } from '../cluster/index.ts';
import type { AttributeDefaults, AttributeRecord } from './attribute-record.ts';
import { isShadowed, movedRecord } from './attribute-record.ts';
import type { AttributeStore } from './attribute-store.ts';
import { isBeginning } from './beginnings.ts';
import type { FileAt } from './beginnings.ts';
import type { BoundedWriter, StoreReader } from './cluster-parts.ts';
import { isCode, storeError, unlessMissing, untilHopeless } from './errors.ts';
import { allSettled, Limiter } from './limiter.ts';
import { isReservedName } from './paths.ts';

export interface TreeCopyParts {
  readonly reader: StoreReader;
  readonly writer: BoundedWriter;
  readonly attributes: AttributeStore;
  readonly defaults: AttributeDefaults;
  /** Files that workers may not list yet, though the under store has them. */
  readonly unlistedWithin: (path: ByteString) => Iterable<ByteString>;
  /** As programs see it: an acknowledged file keeps the time of its acknowledgement. */
  readonly shownMtimeMs: (path: ByteString, status: FileStatus) => number;
  /** Calls at a time, of all trees together. */
  readonly concurrency: number;
}

/** Directories of one directory worked on at a time: listings are held meanwhile. */
const DIRECTORIES_AT_A_TIME = 4;
/** Something new may come into a directory while it is emptied; more often than this it is in use. */
const DELETE_ROUNDS = 3;
/** Copies of a file that somebody else writes to meanwhile. */
const COPIES_MAX = 3;

interface Listing {
  readonly files: FileStatus[];
  readonly directories: ByteString[];
  /** Of ours: attribute files, uploads. */
  readonly hidden: FileStatus[];
}

export class TreeCopy {
  readonly #parts: TreeCopyParts;
  readonly #limiter: Limiter;

  constructor(parts: TreeCopyParts) {
    this.#parts = parts;
    this.#limiter = new Limiter(parts.concurrency);
  }

  /** Of a file; verified. Its status at the target. */
  async copyFile(from: ByteString, to: ByteString, context: CallContext): Promise<FileStatus> {
    return (await this.#copyFile(from, to, context)).is;
  }

  /** `was`: as a status says, for a listing may be an old one. */
  async #copyFile(
    from: ByteString,
    to: ByteString,
    context: CallContext,
  ): Promise<{ readonly was: FileStatus; readonly is: FileStatus }> {
    const { reader, writer } = this.#parts;
    return this.#limiter.run(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          const was = await reader.stat(from, context);
          const is = await writer.copyFile(from, to, context);
          if (is.lengthBytes === was.lengthBytes) return { was, is };
          throw storeError('version-changed', 'The file changed while it was copied', from);
        } catch (error) {
          // Another client writes to it, or the workers knew an older version until now.
          if (!isCode(error, 'version-changed') || attempt === COPIES_MAX) throw error;
        }
      }
    });
  }

  async copyTree(
    from: ByteString,
    to: ByteString,
    context: CallContext,
    onFile: () => void,
  ): Promise<void> {
    const { writer, attributes, defaults } = this.#parts;
    const [listing, view] = await Promise.all([
      this.#list(from, context),
      attributes.load(from, context),
    ]);
    await this.#limiter.run(() => makeDirectory(writer, to, context));
    const records = new Map<ByteString, AttributeRecord>();
    for (const [name, record] of view.entries()) {
      if (record.kind !== undefined) records.set(name, record);
    }
    await allSettled(
      listing.files.map(async ({ name }) => {
        const paths = [joinPath(from, name), joinPath(to, name)] as const;
        const { was, is } = await this.#copyFile(...paths, context);
        const record = movedRecord(
          view.get(name),
          { ...was, kind: 'file' },
          { ...is, kind: 'file' },
          this.#parts.shownMtimeMs(joinPath(from, name), was),
          defaults,
        );
        if (record === undefined) records.delete(name);
        else records.set(name, record);
        onFile();
      }),
    );
    for (const name of listing.directories) {
      const record = view.get(name);
      if (record === undefined || isShadowed(record, 'directory')) records.delete(name);
      else records.set(name, record);
    }
    await attributes.writeNew(to, records, context);
    await this.#eachDirectory(listing.directories, (name) =>
      this.copyTree(joinPath(from, name), joinPath(to, name), context, onFile),
    );
  }

  /**
   * Deletes a tree that was copied; what came into it since is copied first. Only a status says whether
   * it did: by a listing from before the copy all of it would be copied again, and be of a version that
   * the times kept beside it are not of.
   */
  async deleteCopied(from: ByteString, to: ByteString, context: CallContext): Promise<void> {
    await this.#makeListed(from, context);
    await this.#deleteListed(from, to, context);
  }

  async #deleteListed(from: ByteString, to: ByteString, context: CallContext): Promise<void> {
    for (let round = 1; ; round++) {
      const listing = await this.#listOrNothing(from, context);
      if (listing === undefined) return;
      await allSettled(
        listing.files.map(async ({ name }) => {
          const path = joinPath(from, name);
          const target = joinPath(to, name);
          const [status, copy] = await Promise.all(
            [path, target].map((each) => unlessMissing(this.#parts.reader.stat(each, context))),
          );
          if (status?.type !== 'file') return;
          const source = { path, status };
          const isCopied =
            copy?.type === 'file' &&
            (await this.#isCopied(source, { path: target, status: copy }, context));
          if (!isCopied) await this.copyFile(path, target, context);
          await this.#delete(path, context);
        }),
      );
      await this.#eachDirectory(listing.directories, (name) =>
        this.#deleteListed(joinPath(from, name), joinPath(to, name), context),
      );
      await this.#deleteHidden(from, listing.hidden, context);
      if (await this.#removeDirectory(from, context, round)) return;
    }
  }

  /** Or another client has written there since. */
  async #isCopied(source: FileAt, copy: FileAt, context: CallContext): Promise<boolean> {
    // Written after it was copied.
    if (source.status.mtimeMs > copy.status.mtimeMs) return false;
    const { reader } = this.#parts;
    return this.#limiter.run(
      async () => !(await isBeginning(reader, copy, source, context.signal)),
    );
  }

  /** Deletes at `to` what has its like at `from`. */
  async undoCopy(
    from: ByteString,
    to: ByteString,
    keepsDirectory: boolean,
    context: CallContext,
  ): Promise<void> {
    await this.#makeListed(to, context);
    await this.#undoListed(from, to, keepsDirectory, context);
  }

  async #undoListed(
    from: ByteString,
    to: ByteString,
    keepsDirectory: boolean,
    context: CallContext,
  ): Promise<void> {
    const there = await this.#listOrNothing(to, context);
    if (there === undefined) return;
    const listing = await this.#list(from, context);
    const names = new Set(there.files.map(({ name }) => name));
    await allSettled(
      listing.files
        .filter(({ name }) => names.has(name))
        .map(({ name }) => this.#delete(joinPath(to, name), context)),
    );
    await this.#eachDirectory(listing.directories, (name) =>
      this.#undoListed(joinPath(from, name), joinPath(to, name), false, context),
    );
    await this.#deleteHidden(to, there.hidden, context);
    if (keepsDirectory) return;
    try {
      await unlessMissing(this.#parts.writer.removeDirectory(to, context));
    } catch (error) {
      // Another client put something there: it stays, with its directory.
      if (!isCode(error, 'not-empty')) throw error;
    }
  }

  /** Attribute files and what uploads left, so that the directory can be removed. */
  async emptyHidden(directory: ByteString, context: CallContext): Promise<void> {
    await this.#makeListed(directory, context);
    const listing = await this.#listOrNothing(directory, context);
    if (listing !== undefined) await this.#deleteHidden(directory, listing.hidden, context);
  }

  /** What is to be deleted must be listed, and not come to light afterwards. */
  async #makeListed(directory: ByteString, context: CallContext): Promise<void> {
    const { writer, unlistedWithin } = this.#parts;
    for (const path of unlistedWithin(directory)) {
      await untilHopeless(writer.tellWorkers(path, undefined, context));
    }
  }

  async #deleteHidden(
    directory: ByteString,
    hidden: readonly FileStatus[],
    context: CallContext,
  ): Promise<void> {
    for (const { name, type } of hidden) {
      const path = joinPath(directory, name);
      if (type === 'file') {
        await this.#delete(path, context);
        continue;
      }
      const uploads = await this.#listOrNothing(path, context);
      for (const upload of uploads?.files ?? []) {
        await this.#delete(joinPath(path, upload.name), context);
      }
      await unlessMissing(this.#parts.writer.removeDirectory(path, context));
    }
  }

  async #delete(path: ByteString, context: CallContext): Promise<void> {
    await this.#limiter.run(() => unlessMissing(this.#parts.writer.deleteFile(path, context)));
  }

  async #removeDirectory(path: ByteString, context: CallContext, round: number): Promise<boolean> {
    try {
      await unlessMissing(this.#parts.writer.removeDirectory(path, context));
      return true;
    } catch (error) {
      if (!isCode(error, 'not-empty') || round >= DELETE_ROUNDS) throw error;
      return false;
    }
  }

  async #eachDirectory(
    names: readonly ByteString[],
    work: (name: ByteString) => Promise<void>,
  ): Promise<void> {
    const limiter = new Limiter(DIRECTORIES_AT_A_TIME);
    await allSettled(names.map((name) => limiter.run(() => work(name))));
  }

  #listOrNothing(path: ByteString, context: CallContext): Promise<Listing | undefined> {
    return unlessMissing(this.#list(path, context));
  }

  async #list(path: ByteString, context: CallContext): Promise<Listing> {
    const listing: Listing = { files: [], directories: [], hidden: [] };
    for await (const batch of this.#parts.reader.list(path, context)) {
      for (const status of batch) {
        const { name } = status;
        if (isReservedName(path, name)) listing.hidden.push(status);
        else if (status.type === 'file') listing.files.push(status);
        else listing.directories.push(name);
      }
    }
    return listing;
  }
}

async function makeDirectory(
  writer: BoundedWriter,
  path: ByteString,
  context: CallContext,
): Promise<void> {
  try {
    await writer.makeDirectory(path, context);
  } catch (error) {
    if (!isCode(error, 'exists')) throw error;
  }
}
