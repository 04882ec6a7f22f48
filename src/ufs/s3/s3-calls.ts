/**
 * The few requests of S3 that an under store takes, each within its deadline. The only file that
 * knows the SDK, which is loaded with the first request: it takes a fifth of a second and some 25 MB.
 */
import type { GetObjectCommandOutput, S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { byteStringOfText, textOfByteString, type ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext } from '../../cluster/types.ts';
import { boundedCall } from '../bounded-call.ts';
import { errorOfS3, isNoSuchBucket, statusOf } from './s3-errors.ts';
import type { S3Options, S3Place } from './s3-place.ts';

type Sdk = typeof import('@aws-sdk/client-s3');

/** What is under a key. */
export interface S3Object {
  readonly lengthBytes: number;
  /** Whole seconds: HEAD and GET tell no finer times. */
  readonly mtimeMs: number;
  /** Undefined where the server has none. */
  readonly etag: string | undefined;
}

export interface S3Page {
  readonly objects: readonly (S3Object & { readonly key: ByteString })[];
  /** With their slash. */
  readonly prefixes: readonly ByteString[];
  readonly continuation: string | undefined;
}

export interface S3Listing {
  readonly prefix: ByteString;
  /** Whole names below the prefix where it is not given. */
  readonly delimiter?: '/' | undefined;
  readonly max: number;
  readonly startAfter?: string | undefined;
  readonly continuation?: string | undefined;
}

/** A request of the caller: where to, and for which path of the name space it is. */
export interface S3Call {
  readonly path: ByteString;
  readonly context: CallContext;
}

/** Of one request; the SDK waits up to a second between them, and the deadline bounds all of it. */
const ATTEMPTS = 3;
/** One that cannot be reached is not worth the whole deadline. */
const CONNECT_MS = 5_000;

export class S3Calls {
  readonly #place: S3Place;
  readonly #options: S3Options;
  #loaded: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined;
  #isClosed = false;

  constructor(place: S3Place, options: S3Options) {
    this.#place = place;
    this.#options = options;
  }

  /** Undefined where there is no such object. */
  async head(key: ByteString, call: S3Call): Promise<S3Object | undefined> {
    const text = textOfByteString(key);
    // No server has a key that is not UTF-8.
    if (text === undefined) return undefined;
    try {
      return await this.#send(call, async (sdk, client, signal) => {
        const input = { Bucket: this.#place.bucket, Key: text };
        const found = await client.send(new sdk.HeadObjectCommand(input), { abortSignal: signal });
        return objectOf(found.ContentLength, found.LastModified, found.ETag, call.path);
      });
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  async list(listing: S3Listing, call: S3Call): Promise<S3Page> {
    const { delimiter, max, startAfter, continuation } = listing;
    const prefix = textOfByteString(listing.prefix);
    if (prefix === undefined) return { objects: [], prefixes: [], continuation: undefined };
    return this.#send(call, async (sdk, client, signal) => {
      const command = new sdk.ListObjectsV2Command({
        Bucket: this.#place.bucket,
        Prefix: prefix,
        Delimiter: delimiter,
        MaxKeys: max,
        StartAfter: startAfter,
        ContinuationToken: continuation,
        // XML cannot hold every key.
        EncodingType: 'url',
      });
      const page = await client.send(command, { abortSignal: signal });
      // Not every server does as it was asked.
      const decode = page.EncodingType === 'url' ? formDecode : (text: string): string => text;
      const next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (page.IsTruncated === true && (next === undefined || next === continuation)) {
        throw protocol('a listing does not move on', call.path);
      }
      return {
        objects: (page.Contents ?? []).map((entry) => ({
          ...objectOf(entry.Size, entry.LastModified, entry.ETag, call.path),
          key: byteStringOfText(decode(entry.Key ?? '')),
        })),
        prefixes: (page.CommonPrefixes ?? []).map(({ Prefix }) =>
          byteStringOfText(decode(Prefix ?? '')),
        ),
        continuation: next,
      };
    });
  }

  /**
   * Gives bytes to `onChunk`, in order, as many as the object has of the range; undefined where it
   * has none at that place. `ifMatch`: of this very object, else `version-changed`.
   */
  async get(
    key: ByteString,
    range: { readonly offset: number; readonly lengthBytes: number; readonly ifMatch?: string },
    onChunk: (chunk: Uint8Array, object: S3Object) => void,
    call: S3Call,
  ): Promise<S3Object | undefined> {
    const text = textOfByteString(key);
    if (text === undefined) throw notFound(call.path);
    const { offset, lengthBytes, ifMatch } = range;
    return this.#send(call, async (sdk, client, signal) => {
      const command = new sdk.GetObjectCommand({
        Bucket: this.#place.bucket,
        Key: text,
        Range: `bytes=${offset}-${offset + lengthBytes - 1}`,
        IfMatch: ifMatch,
      });
      let answer: GetObjectCommandOutput;
      try {
        answer = await client.send(command, { abortSignal: signal });
      } catch (error) {
        if (statusOf(error) === 416) return undefined;
        throw error;
      }
      const body = answer.Body as unknown as Readable;
      const stop = (): void => void body.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        const object = rangeObjectOf(answer, range, call.path);
        let received = 0;
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
          received += chunk.length;
          onChunk(chunk, object);
        }
        const expected = Math.min(lengthBytes, object.lengthBytes - offset);
        if (received !== expected) {
          throw protocol(`${received} of ${expected} bytes came`, call.path);
        }
        return object;
      } finally {
        signal.removeEventListener('abort', stop);
        body.destroy();
      }
    });
  }

  /** Whole and checked by the server before it is seen under its key. */
  put(key: ByteString, bytes: Uint8Array, call: S3Call): Promise<void> {
    return this.#onKey(key, call, async (target, sdk, client, abortSignal) => {
      const input = { ...target, Body: bytes, ContentMD5: md5Of(bytes) };
      await client.send(new sdk.PutObjectCommand(input), { abortSignal });
    });
  }

  /** What is there keeps its bytes until `completeUpload`. */
  beginUpload(key: ByteString, call: S3Call): Promise<string> {
    return this.#onKey(key, call, async (target, sdk, client, abortSignal) => {
      const command = new sdk.CreateMultipartUploadCommand(target);
      const { UploadId } = await client.send(command, { abortSignal });
      if (UploadId === undefined) throw protocol('an upload without an id', call.path);
      return UploadId;
    });
  }

  /** Resolves with the part's ETag. */
  putPart(
    key: ByteString,
    part: { readonly uploadId: string; readonly number: number; readonly bytes: Uint8Array },
    call: S3Call,
  ): Promise<string> {
    const { uploadId: UploadId, number: PartNumber, bytes: Body } = part;
    return this.#onKey(key, call, async (target, sdk, client, abortSignal) => {
      const input = { ...target, UploadId, PartNumber, Body, ContentMD5: md5Of(Body) };
      const { ETag } = await client.send(new sdk.UploadPartCommand(input), { abortSignal });
      if (ETag === undefined) throw protocol('a part without an ETag', call.path);
      return ETag;
    });
  }

  completeUpload(
    key: ByteString,
    uploadId: string,
    etags: readonly string[],
    call: S3Call,
  ): Promise<void> {
    const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
    return this.#onKey(key, call, async (target, sdk, client, abortSignal) => {
      const input = { ...target, UploadId: uploadId, MultipartUpload: { Parts } };
      await client.send(new sdk.CompleteMultipartUploadCommand(input), { abortSignal });
    });
  }

  abortUpload(key: ByteString, uploadId: string, call: S3Call): Promise<void> {
    return this.#onKey(key, call, async (target, sdk, client, abortSignal) => {
      const input = { ...target, UploadId: uploadId };
      await client.send(new sdk.AbortMultipartUploadCommand(input), { abortSignal });
    });
  }

  /** Within the bucket, by the server, of this very object. */
  copy(from: ByteString, to: ByteString, object: S3Object, call: S3Call): Promise<void> {
    const source = textOfByteString(from);
    if (source === undefined) throw notFound(call.path);
    return this.#onKey(to, call, async (target, sdk, client, abortSignal) => {
      const path = `${this.#place.bucket}/${source}`;
      const CopySource = path.split('/').map(encodeURIComponent).join('/');
      const CopySourceIfMatch = object.etag === undefined ? undefined : `"${object.etag}"`;
      const input = { ...target, CopySource, CopySourceIfMatch };
      await client.send(new sdk.CopyObjectCommand(input), { abortSignal });
    });
  }

  /** No error where there is none. */
  remove(key: ByteString, call: S3Call): Promise<void> {
    return this.#onKey(key, call, async (target, sdk, client, abortSignal) => {
      await client.send(new sdk.DeleteObjectCommand(target), { abortSignal });
    });
  }

  /** Never loads anything, and forgets idle connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const loaded = await this.#loaded?.catch(() => undefined);
    loaded?.client.destroy();
  }

  #onKey<T>(
    key: ByteString,
    call: S3Call,
    run: (
      target: { readonly Bucket: string; readonly Key: string },
      sdk: Sdk,
      client: S3Client,
      signal: AbortSignal,
    ) => Promise<T>,
  ): Promise<T> {
    const text = textOfByteString(key);
    if (text === undefined) throw inexpressible(call.path);
    const target = { Bucket: this.#place.bucket, Key: text };
    return this.#send(call, (sdk, client, signal) => run(target, sdk, client, signal));
  }

  async #send<T>(
    { path, context }: S3Call,
    run: (sdk: Sdk, client: S3Client, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await boundedCall(path, context, async (signal) => {
        const { sdk, client } = await this.#load();
        return run(sdk, client, signal);
      });
    } catch (error) {
      if (isNoSuchBucket(error)) {
        const { code, message, cause } = errorOfS3(error, path);
        const named = message.replace('NoSuchBucket:', `NoSuchBucket ${this.#place.bucket}:`);
        throw new ClusterError(code, named, { path, cause });
      }
      throw errorOfS3(error, path);
    }
  }

  #load(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    if (this.#isClosed) throw new ClusterError('cancelled', 'The under store was closed');
    this.#loaded ??= loadSdk().then((sdk) => ({
      sdk,
      client: new sdk.S3Client(configOf(this.#place, this.#options)),
    }));
    return this.#loaded;
  }
}

async function loadSdk(): Promise<Sdk> {
  // It would warn on every start of Node 20, which this version of it supports, on standard error.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return import('@aws-sdk/client-s3');
}

function configOf(place: S3Place, options: S3Options): S3ClientConfig {
  const { endpoint, region, pathStyle } = place;
  const { anonymous, profile, credentials } = options;
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(profile === undefined ? {} : { profile }),
    ...(credentials === undefined ? {} : { credentials: withoutUndefined(credentials) }),
    ...(anonymous === true ? unsigned : {}),
    forcePathStyle: pathStyle,
    followRegionRedirects: endpoint === undefined,
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS },
    // Most servers that are not AWS refuse the checksums that AWS takes.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    disableS3ExpressSessionAuth: true,
  };
}

const unsigned: S3ClientConfig = {
  credentials: { accessKeyId: '', secretAccessKey: '' },
  signer: { sign: (request) => Promise.resolve(request) },
};

function withoutUndefined({
  accessKeyId,
  secretAccessKey,
  sessionToken,
}: NonNullable<S3Options['credentials']>): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function objectOf(
  length: number | undefined,
  modified: Date | undefined,
  etag: string | undefined,
  path: ByteString,
): S3Object {
  if (length === undefined || !Number.isSafeInteger(length) || length < 0) {
    throw protocol('an object without a length', path);
  }
  const ms = modified?.getTime() ?? Number.NaN;
  const plain = etag?.replace(/^"|"$/g, '');
  return {
    lengthBytes: length,
    // Some list finer times than HEAD tells: then every second look would be another version.
    mtimeMs: Number.isFinite(ms) ? Math.floor(ms / 1000) * 1000 : 0,
    etag: plain === '' ? undefined : plain,
  };
}

/** Of the whole object, from the answer for a part of it. */
function rangeObjectOf(
  answer: GetObjectCommandOutput,
  { offset, lengthBytes }: { readonly offset: number; readonly lengthBytes: number },
  path: ByteString,
): S3Object {
  const { ContentRange, ContentLength, LastModified, ETag } = answer;
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(ContentRange ?? '') ?? [];
  if (first !== undefined && total !== undefined) {
    if (Number(first) !== offset) throw protocol('bytes of another range came', path);
    return objectOf(Number(total), LastModified, ETag, path);
  }
  // A server without ranges answers with all of it, which may be what was asked for.
  if (ContentRange === undefined && offset === 0 && (ContentLength ?? 0) <= lengthBytes) {
    return objectOf(ContentLength, LastModified, ETag, path);
  }
  throw protocol('an answer without a usable Content-Range', path);
}

/** `+` is a space and %XX a byte of UTF-8. */
function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new ClusterError('protocol', 'The S3 server: a key in a listing is badly encoded');
  }
}

function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

export function notFound(path: ByteString): ClusterError {
  return new ClusterError('not-found', 'There is no such object', { path });
}

function inexpressible(path: ByteString): ClusterError {
  return new ClusterError('inexpressible', 'S3 has no names that are not UTF-8', { path });
}

function protocol(what: string, path: ByteString): ClusterError {
  return new ClusterError('protocol', `The S3 server: ${what}`, { path, retryable: true });
}
