/** The attribute files of directories, read at most once per lifetime of attributes and kept in memory within a bound. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import { displayByteString, isWithin } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { CallContext, FileVersion } from '../cluster/index.ts';
import { decodeAttributeFile } from './attribute-json.ts';
import type { AttributeRecords } from './attribute-json.ts';
import { readBytes } from './cluster-parts.ts';
import type { StoreReader } from './cluster-parts.ts';
import { contextFor, waitWithin } from './contexts.ts';
import { isCode, messageOf, storeError } from './errors.ts';
import { attributesPathOf } from './paths.ts';

export interface LoadedAttributes {
  readonly records: AttributeRecords;
  /** Of the attribute file; undefined where there is none. */
  readonly version: FileVersion | undefined;
  /** What is wrong with the file. */
  readonly damage: string | undefined;
}

export interface AttributeCacheOptions {
  readonly reader: StoreReader;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ttlMs: number;
  /** Of all directories together; a directory without any counts as one. */
  readonly maxRecords: number;
  /** The file may hold a beginning of itself: what is known of it is better. */
  readonly isUnfinished?: (file: ByteString) => boolean;
}

interface Cached extends LoadedAttributes {
  readonly checkedAtMs: number;
}

/** Those who wait have their own deadlines; this one ends what nobody waits for any more. */
const LOAD_TIMEOUT_MS = 30_000;
/** Some 500,000 records. What is longer was not written by this program. */
export const ATTRIBUTE_FILE_BYTES_MAX = 64 * 1024 * 1024;
/** The file is replaced while it is read: once is likely in a busy directory, three times in a row is not. */
const ATTEMPTS = 3;

const NOTHING: LoadedAttributes = { records: new Map(), version: undefined, damage: undefined };
const never = new AbortController().signal;

function isSame(a: FileVersion | undefined, b: FileVersion | undefined): boolean {
  return (
    a?.lengthBytes === b?.lengthBytes &&
    a?.mtimeMs === b?.mtimeMs &&
    a?.contentHash === b?.contentHash
  );
}

export class AttributeCache {
  readonly #options: AttributeCacheOptions;
  readonly #cached: LRUCache<ByteString, Cached>;
  readonly #loading = new Map<ByteString, Promise<LoadedAttributes>>();
  /** By this mount: while a file is replaced, workers say that it does not exist. */
  readonly #writing = new Set<ByteString>();

  constructor(options: AttributeCacheOptions) {
    this.#options = options;
    this.#cached = new LRUCache({
      maxSize: options.maxRecords,
      sizeCalculation: ({ records }) => records.size + 1,
    });
  }

  /** `fresh`: as the cluster has it now. */
  load(directory: ByteString, context: CallContext, fresh = false): Promise<LoadedAttributes> {
    const cached = this.#cached.get(directory);
    const ageMs = this.#options.clock.nowMs() - (cached?.checkedAtMs ?? 0);
    const isFresh = ageMs < this.#options.ttlMs || this.#writing.has(directory);
    if (!fresh && cached !== undefined && isFresh) {
      return Promise.resolve(cached);
    }
    let loading = this.#loading.get(directory);
    // A load under way may have looked before the caller's own change: not fresh.
    if (loading === undefined || fresh) {
      const isNewest = (): boolean =>
        this.#loading.get(directory) === started && !this.#writing.has(directory);
      const started = this.#load(directory, fresh, isNewest).finally(() => {
        if (this.#loading.get(directory) === started) this.#loading.delete(directory);
      });
      loading = started;
      this.#loading.set(directory, started);
    }
    return waitWithin(loading, context, 'reading attributes');
  }

  /** What is known now, however old. */
  current(directory: ByteString): LoadedAttributes | undefined {
    return this.#cached.peek(directory);
  }

  /** The directory's file is being replaced until the result is called. */
  beginWrite(directory: ByteString): () => void {
    this.#writing.add(directory);
    return () => {
      this.#writing.delete(directory);
      // A load that looked meanwhile may have missed the file.
      this.#loading.delete(directory);
    };
  }

  /** After a write of ours. */
  put(directory: ByteString, records: AttributeRecords, version: FileVersion | undefined): void {
    this.#keep(directory, { records, version, damage: undefined });
  }

  forget(directory: ByteString): void {
    this.#cached.delete(directory);
    this.#loading.delete(directory);
  }

  forgetWithin(directory: ByteString): void {
    for (const known of [this.#cached, this.#loading]) {
      for (const path of Array.from(known.keys())) if (isWithin(path, directory)) this.forget(path);
    }
  }

  async #load(
    directory: ByteString,
    fresh: boolean,
    isNewest: () => boolean,
  ): Promise<LoadedAttributes> {
    // Nothing of it may be kept before those who asked are known.
    await Promise.resolve();
    const before = this.#cached.peek(directory);
    const loaded = await this.#look(directory, before, fresh);
    if (isNewest()) this.#keep(directory, loaded);
    else return this.#cached.peek(directory) ?? loaded;
    return loaded;
  }

  async #look(
    directory: ByteString,
    before: Cached | undefined,
    fresh: boolean,
  ): Promise<LoadedAttributes> {
    const path = attributesPathOf(directory);
    const context = contextFor(LOAD_TIMEOUT_MS, never);
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#options.isUnfinished?.(path) === true) {
          throw storeError('unavailable', 'The attribute file is being repaired', directory);
        }
        const version: FileVersion = await this.#options.reader.stat(path, context);
        if (before !== undefined && isSame(before.version, version)) return before;
        return await this.#read(directory, path, version, context);
      } catch (error) {
        if (isCode(error, 'version-changed') && attempt < ATTEMPTS) continue;
        // Who is about to write must not build on what may be old.
        return this.#withoutFile(directory, fresh ? undefined : before, error);
      }
    }
  }

  async #read(
    directory: ByteString,
    path: ByteString,
    { lengthBytes, mtimeMs, contentHash }: FileVersion,
    context: CallContext,
  ): Promise<LoadedAttributes> {
    const version = { lengthBytes, mtimeMs, ...(contentHash === undefined ? {} : { contentHash }) };
    if (lengthBytes > ATTRIBUTE_FILE_BYTES_MAX) {
      return this.#damaged(directory, { ...NOTHING, version, damage: 'it is too long' });
    }
    const range = { path, offset: 0, lengthBytes, version };
    const bytes = await readBytes(this.#options.reader, range, context);
    const decoded = decodeAttributeFile(bytes);
    const loaded = { ...decoded, version };
    return decoded.damage === undefined ? loaded : this.#damaged(directory, loaded);
  }

  #damaged(directory: ByteString, loaded: LoadedAttributes): LoadedAttributes {
    this.#options.logger.error(
      { directory: displayByteString(directory), damage: loaded.damage },
      'An attribute file is damaged: modes, owners and links of its directory may be missing',
    );
    return loaded;
  }

  /** Files must stay readable whatever becomes of their attributes; but a link must not look absent. */
  #withoutFile(
    directory: ByteString,
    before: Cached | undefined,
    error: unknown,
  ): LoadedAttributes {
    if (isCode(error, 'not-found', 'not-a-directory')) return NOTHING;
    const fields = { directory: displayByteString(directory), reason: messageOf(error) };
    if (isCode(error, 'is-a-directory', 'permission', 'inexpressible', 'unsupported')) {
      this.#options.logger.warn(fields, 'The attributes of a directory cannot be read');
      return NOTHING;
    }
    if (before !== undefined) {
      this.#options.logger.debug(fields, 'Older attributes are used, new ones cannot be read');
      return before;
    }
    if (isCode(error, 'version-changed')) {
      throw storeError('unavailable', 'The attribute file changes while it is read', directory);
    }
    throw error;
  }

  #keep(directory: ByteString, loaded: LoadedAttributes): void {
    const checkedAtMs = this.#options.clock.nowMs();
    const { records, version, damage } = loaded;
    this.#cached.set(directory, { records, version, damage, checkedAtMs });
  }
}
