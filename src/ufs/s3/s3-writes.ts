/**
 * Changes in a bucket. An object is there as a whole or not at all, whatever is cut; but there is no
 * rename: a copy and a removal stand for it, between which both names are there.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext } from '../../cluster/types.ts';
import type { StoredFile, UnderStoreUpload, UnderStoreWrites } from '../../cluster/under-store.ts';
import type { S3Call, S3Calls, S3Object } from './s3-calls.ts';
import { notFound } from './s3-calls.ts';

export interface S3WritesParts {
  readonly calls: S3Calls;
  readonly keyOf: (path: ByteString) => ByteString;
  readonly isDirectory: (key: ByteString, call: S3Call) => Promise<boolean>;
  readonly statusOf: (path: ByteString, object: S3Object) => StoredFile['status'];
}

/** In memory, one for each upload; what fits in is one request. S3 wants at least 5 MiB. */
const PART_BYTES = 16 * 1024 * 1024;
/** What S3 takes of them. */
const PARTS_MAX = 10_000;
/** A part over a line of 2 Mbit/s, and room for the tries of the SDK. */
const PART_MS = 120_000;
/** Of a copy by the server in one request. */
const COPY_BYTES_MAX = 5 * 1024 ** 3;
/** Whoever gave up does not wait for long. */
const ABORT_MS = 5_000;

export class S3Writes implements UnderStoreWrites {
  readonly isRenameAtomic = false;
  readonly #parts: S3WritesParts;

  constructor(parts: S3WritesParts) {
    this.#parts = parts;
  }

  /** `temporary` is not needed: nothing shows before the last request. */
  async putFile(upload: UnderStoreUpload, context: CallContext): Promise<StoredFile> {
    const { path, lengthBytes } = upload;
    const { calls, keyOf, statusOf } = this.#parts;
    const key = keyOf(path);
    const step = (): S3Call => ({ path, context: within(context, PART_MS) });
    const old = await calls.head(key, step());
    if (old === undefined) await this.#mustBeNoDirectory(path, key, step());
    const bytes = new Parts(upload, Math.max(PART_BYTES, Math.ceil(lengthBytes / PARTS_MAX)));
    if (lengthBytes <= PART_BYTES) await calls.put(key, await bytes.whole(), step());
    else await this.#putParts(key, bytes, step);
    const object = await calls.head(key, step());
    if (object?.lengthBytes !== lengthBytes) {
      const message = `The bucket has ${object?.lengthBytes ?? 0} of the ${lengthBytes} bytes written`;
      throw new ClusterError('protocol', message, { path, retryable: true });
    }
    const isNew = old === undefined;
    return { status: statusOf(path, object), isNew, synced: Promise.resolve() };
  }

  async makeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const { calls, keyOf, isDirectory } = this.#parts;
    const [key, call] = [keyOf(path), { path, context }];
    if ((await calls.head(key, call)) !== undefined || (await isDirectory(key, call))) {
      throw new ClusterError('exists', 'The name is taken', { path });
    }
    await calls.put(markerOf(key), new Uint8Array(), call);
  }

  async removeDirectory(path: ByteString, context: CallContext): Promise<void> {
    const { calls, keyOf, isDirectory } = this.#parts;
    const [key, call] = [keyOf(path), { path, context }];
    const marker = markerOf(key);
    const { objects } = await calls.list({ prefix: marker, max: 2 }, call);
    if (objects.some((object) => object.key !== marker)) {
      throw new ClusterError('not-empty', 'The directory is not empty', { path });
    }
    if (objects.length === 0 && !(await isDirectory(key, call))) {
      if ((await calls.head(key, call)) === undefined) throw notFound(path);
      throw new ClusterError('not-a-directory', 'It is a file', { path });
    }
    await calls.remove(marker, call);
  }

  async deleteFile(path: ByteString, context: CallContext): Promise<void> {
    const { calls, keyOf } = this.#parts;
    const [key, call] = [keyOf(path), { path, context }];
    await this.#object(path, key, call);
    await calls.remove(key, call);
  }

  async renameFile(from: ByteString, to: ByteString, context: CallContext): Promise<void> {
    const { calls, keyOf } = this.#parts;
    const [source, target] = [keyOf(from), keyOf(to)];
    const call = { path: from, context };
    const object = await this.#object(from, source, call);
    if (source === target) return;
    await this.#mustBeNoDirectory(to, target, { path: to, context });
    if (object.lengthBytes > COPY_BYTES_MAX) {
      const message = 'S3 copies no object of more than 5 GiB in one step, so it cannot be renamed';
      throw new ClusterError('unsupported', message, { path: from });
    }
    await calls.copy(source, target, object, call);
    await calls.remove(source, call);
  }

  async #object(path: ByteString, key: ByteString, call: S3Call): Promise<S3Object> {
    const object = await this.#parts.calls.head(key, call);
    if (object !== undefined) return object;
    await this.#mustBeNoDirectory(path, key, call);
    throw notFound(path);
  }

  async #mustBeNoDirectory(path: ByteString, key: ByteString, call: S3Call): Promise<void> {
    if (!(await this.#parts.isDirectory(key, call))) return;
    throw new ClusterError('is-a-directory', 'It is a directory', { path });
  }

  async #putParts(key: ByteString, bytes: Parts, step: () => S3Call): Promise<void> {
    const { calls } = this.#parts;
    const uploadId = await calls.beginUpload(key, step());
    try {
      const etags: string[] = [];
      for await (const part of bytes.all()) {
        const number = etags.length + 1;
        etags.push(await calls.putPart(key, { uploadId, number, bytes: part }, step()));
      }
      await calls.completeUpload(key, uploadId, etags, step());
    } catch (error) {
      // Not the caller's signal, which may be what ended it. What stays is paid for, but never shows.
      const signal = new AbortController().signal;
      const context = { signal, deadlineMs: performance.now() + ABORT_MS };
      await calls.abortUpload(key, uploadId, { ...step(), context }).catch(ignore);
      throw error;
    }
  }
}

/** The bytes of an upload in pieces of one size, and not one byte more or less than was said. */
class Parts {
  readonly #upload: UnderStoreUpload;
  readonly #partBytes: number;

  constructor(upload: UnderStoreUpload, partBytes: number) {
    this.#upload = upload;
    this.#partBytes = partBytes;
  }

  async whole(): Promise<Uint8Array> {
    for await (const part of this.all()) return part;
    return new Uint8Array();
  }

  async *all(): AsyncGenerator<Uint8Array, void, undefined> {
    const { chunks, lengthBytes } = this.#upload;
    let left = lengthBytes;
    let part = Buffer.alloc(Math.min(this.#partBytes, left));
    let filled = 0;
    for await (const chunk of chunks) {
      if (chunk.length > left) throw this.#wrong(lengthBytes - left + chunk.length);
      left -= chunk.length;
      for (let at = 0; at < chunk.length;) {
        const taken = chunk.subarray(at, at + part.length - filled);
        part.set(taken, filled);
        at += taken.length;
        filled += taken.length;
        if (filled < part.length || (at === chunk.length && left === 0)) continue;
        yield part;
        part = Buffer.alloc(Math.min(this.#partBytes, left + chunk.length - at));
        filled = 0;
      }
    }
    if (left > 0) throw this.#wrong(lengthBytes - left);
    yield part;
  }

  #wrong(given: number): ClusterError {
    const { path, lengthBytes } = this.#upload;
    const message = `The source gave ${given} of ${lengthBytes} bytes`;
    return new ClusterError('protocol', message, { path });
  }
}

function markerOf(key: ByteString): ByteString {
  return `${key}/` as ByteString;
}

function within(context: CallContext, ms: number): CallContext {
  const deadlineMs = Math.min(context.deadlineMs, performance.now() + ms);
  return { signal: context.signal, deadlineMs };
}

function ignore(): void {
  // The first failure counts.
}
