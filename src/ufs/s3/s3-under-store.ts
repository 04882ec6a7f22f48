/**
 * A bucket as under store. Objects are files; a directory is what keys begin with, or a key of its
 * own that ends with a slash, as Alluxio makes them. Where there is both `a` and `a/…`, the name is
 * the file, as it is for Alluxio.
 */
import {
  type ByteString,
  byteStringOfText,
  NAME_BYTES_MAX,
  nameOf,
  textOfByteString,
} from '../../base/byte-string.ts';
import {
  ClusterError,
  type ByteSink,
  type CallContext,
  type FileStatus,
  type FileVersion,
} from '../../cluster/types.ts';
import type { UnderStore, UnderStoreRead, UnderStoreWrites } from '../../cluster/under-store.ts';
import { notFound, S3Calls, type S3Call, type S3Object } from './s3-calls.ts';
import { placeOf, type S3Options } from './s3-place.ts';
import { S3Writes } from './s3-writes.ts';

export interface S3UnderStoreOptions extends S3Options {
  /** `s3://bucket/dir`, without a slash at its end. */
  readonly root: ByteString;
}

/** What servers give at most. */
const PAGE_KEYS = 1000;
/** 10^8 entries; a server that pages for ever ends here. */
const PAGES_MAX = 100_000;
/** Connections break in the middle of large objects; the SDK repeats only what has no answer yet. */
const READ_TRIES = 3;
/** Last-Modified, in HEAD and GET. */
const TIME_RESOLUTION_MS = 1000;

export class S3UnderStore implements UnderStore {
  readonly #calls: S3Calls;
  readonly #prefix: ByteString;
  readonly writes: UnderStoreWrites;
  #problem: string | undefined;

  /** Throws where the options do not tell where the bucket is. */
  constructor(options: S3UnderStoreOptions) {
    const place = placeOf(options.root, options);
    this.#prefix = byteStringOfText(place.prefix);
    this.#calls = new S3Calls(place, options);
    this.writes = new S3Writes({
      calls: this.#calls,
      keyOf: (path) => this.#keyOf(path),
      isDirectory: async (key, call) =>
        key === this.#prefix || (await this.#isDirectory(key, call)),
      statusOf: (path, object) => fileNamed(nameOf(path), object),
    });
  }

  /** Not HEAD of the bucket: many who may read a directory of it may not do that. */
  async #check(context: CallContext): Promise<void> {
    const path = '/' as ByteString;
    await this.#calls.list({ prefix: this.#prefix, max: 1 }, { path, context });
  }

  async isReachable(context: CallContext): Promise<boolean> {
    try {
      await this.#check(context);
      this.#problem = undefined;
      return true;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      return false;
    }
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    const call = { path, context };
    const name = nameOf(path);
    const key = this.#keyOf(path);
    if (key === this.#prefix) {
      await this.#check(context);
      return directoryNamed(name);
    }
    const object = await this.#calls.head(key, call);
    if (object !== undefined) return fileNamed(name, object);
    if (await this.#isDirectory(key, call)) return directoryNamed(name);
    throw notFound(path);
  }

  async *list(
    path: ByteString,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    const call = { path, context };
    const key = this.#keyOf(path);
    const prefix = (key === this.#prefix ? key : `${key}/`) as ByteString;
    /** Names of files that a directory of the same name may follow. */
    let files: ByteString[] = [];
    let continuation: string | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const listing = { prefix, delimiter: '/', max: PAGE_KEYS, continuation } as const;
      const found = await this.#calls.list(listing, call);
      const isEmpty = found.objects.length === 0 && found.prefixes.length === 0;
      if (page === 0 && isEmpty) await this.#assertDirectory(path, key, call);
      const batch: FileStatus[] = [];
      for (const { key: at, ...object } of found.objects) {
        const name = nameBelow(prefix, at);
        if (name === undefined) continue;
        files.push(name);
        batch.push(fileNamed(name, object));
      }
      const taken = new Set(files);
      for (const at of found.prefixes) {
        const name = nameBelow(prefix, at.slice(0, -1));
        if (name !== undefined && !taken.has(name)) batch.push(directoryNamed(name));
      }
      if (batch.length > 0) yield batch;
      if (found.continuation === undefined) return;
      continuation = found.continuation;
      const last = lastOf(found.objects.at(-1)?.key, found.prefixes.at(-1));
      files = files.filter((name) => `${prefix}${name}/` > last);
    }
    throw new ClusterError('protocol', 'The listing does not end', { path });
  }

  async read(
    request: UnderStoreRead,
    sink: ByteSink,
    context: CallContext,
  ): Promise<{ readonly lengthBytes: number; readonly version: FileVersion }> {
    const { path, offset, lengthBytes } = request;
    const call = { path, context };
    const key = this.#keyOf(path);
    const progress = new Progress(path, sink);
    for (let tries = 1; progress.delivered < lengthBytes; tries += 1) {
      const { delivered, first } = progress;
      const range = {
        offset: offset + delivered,
        lengthBytes: lengthBytes - delivered,
        // What was begun goes on with the same object or not at all.
        ...(first?.etag === undefined ? {} : { ifMatch: `"${first.etag}"` }),
      };
      try {
        const object = await this.#calls.get(key, range, progress.take, call);
        if (object === undefined) break;
        return { lengthBytes: progress.delivered, version: versionOf(object) };
      } catch (error) {
        progress.throwRefusal();
        if (!(error instanceof ClusterError)) throw error;
        if (error.code === 'not-found') await this.#throwDirectory(path, key, call);
        if (!error.retryable || error.code === 'timeout' || tries >= READ_TRIES) throw error;
      }
    }
    // Nothing there, at the end of it: which object that is true of, only HEAD tells.
    const object = await this.#calls.head(key, call);
    if (object === undefined) await this.#throwDirectory(path, key, call);
    if (object === undefined) throw notFound(path);
    progress.assertSame(object);
    const { delivered } = progress;
    if (offset + delivered < object.lengthBytes && delivered < lengthBytes) {
      const message = 'The S3 server refuses a range that the object has';
      throw new ClusterError('protocol', message, { path, retryable: true });
    }
    return { lengthBytes: delivered, version: versionOf(object) };
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  /** Without a slash at its end; the prefix itself for the root. */
  #keyOf(path: ByteString): ByteString {
    if (path === '/') return this.#prefix;
    // Keys may well be so; paths are not.
    if (!path.startsWith('/') || /\0|\/\.{0,2}(?:\/|$)/.test(path)) throw notFound(path);
    return `${this.#prefix}${path.slice(1)}` as ByteString;
  }

  async #isDirectory(key: ByteString, call: S3Call): Promise<boolean> {
    const prefix = `${key}/` as ByteString;
    const { objects, prefixes } = await this.#calls.list({ prefix, max: 1 }, call);
    if (objects.length > 0 || prefixes.length > 0) return true;
    return this.#isListed(key, call);
  }

  /**
   * Servers over a file system list nothing in a directory that is empty, but show it in the one
   * above. What could be sorted between the name and the slash at its end is passed over.
   */
  async #isListed(key: ByteString, call: S3Call): Promise<boolean> {
    const text = textOfByteString(key);
    const startAfter = text === undefined ? undefined : `${text}.\u{10ffff}`;
    const listing = { prefix: key, delimiter: '/', max: 1, startAfter } as const;
    const { prefixes } = await this.#calls.list(listing, call);
    return prefixes[0] === `${key}/`;
  }

  /** Throws what is wrong with listing a path below which there is nothing. */
  async #assertDirectory(path: ByteString, key: ByteString, call: S3Call): Promise<void> {
    if (key === this.#prefix) return;
    if (await this.#isListed(key, call)) return;
    if ((await this.#calls.head(key, call)) !== undefined) {
      throw new ClusterError('not-a-directory', 'It is a file', { path });
    }
    throw notFound(path);
  }

  async #throwDirectory(path: ByteString, key: ByteString, call: S3Call): Promise<void> {
    if (key === this.#prefix || (await this.#isDirectory(key, call))) {
      throw new ClusterError('is-a-directory', 'It is a directory', { path });
    }
  }
}

/** What of a range has come so far, over all tries. */
class Progress {
  readonly #path: ByteString;
  readonly #sink: ByteSink;
  #refusal: { readonly error: unknown } | undefined;
  delivered = 0;
  first: S3Object | undefined;

  constructor(path: ByteString, sink: ByteSink) {
    this.#path = path;
    this.#sink = sink;
  }

  readonly take = (chunk: Uint8Array, object: S3Object): void => {
    this.assertSame(object);
    try {
      this.#sink(chunk, this.delivered);
    } catch (error) {
      this.#refusal = { error };
      throw error;
    }
    this.delivered += chunk.length;
  };

  assertSame(object: S3Object): void {
    this.first ??= object;
    const { lengthBytes, mtimeMs, etag } = this.first;
    const isSame =
      lengthBytes === object.lengthBytes && mtimeMs === object.mtimeMs && etag === object.etag;
    if (isSame) return;
    const message = 'The object changed while it was read';
    throw new ClusterError('version-changed', message, { path: this.#path });
  }

  /** The reader's own failure is none of the server. */
  throwRefusal(): void {
    if (this.#refusal !== undefined) throw this.#refusal.error;
  }
}

/** Undefined for what is not a name of the directory: its own marker, or nothing a kernel could show. */
function nameBelow(prefix: ByteString, key: string): ByteString | undefined {
  const name = key.slice(prefix.length);
  const isName =
    key.startsWith(prefix) &&
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    name.length <= NAME_BYTES_MAX &&
    !name.includes('/') &&
    !name.includes('\0');
  return isName ? (name as ByteString) : undefined;
}

function lastOf(a: string | undefined, b: string | undefined): string {
  if (a === undefined) return b ?? '';
  return b === undefined || a > b ? a : b;
}

function fileNamed(name: ByteString, { lengthBytes, mtimeMs, etag }: S3Object): FileStatus {
  return { name, type: 'file', lengthBytes, mtimeMs, ...(etag && { contentHash: etag }) };
}

/** Of directories S3 knows no time; 0 stands for it, as in the listings of workers. */
function directoryNamed(name: ByteString): FileStatus {
  return { name, type: 'directory', lengthBytes: 0, mtimeMs: 0 };
}

function versionOf({ lengthBytes, mtimeMs, etag }: S3Object): FileVersion {
  const mtimeResolutionMs = TIME_RESOLUTION_MS;
  return { lengthBytes, mtimeMs, mtimeResolutionMs, ...(etag && { contentHash: etag }) };
}
