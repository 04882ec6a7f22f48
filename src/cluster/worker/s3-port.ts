/**
 * The S3 port of a worker (29998). One connection per request, always: after a file the open-source
 * worker leaves the connection open and answers the next request with bare bytes.
 */
import { nameOf } from '../../base/byte-string.ts';
import type { ByteString } from '../../base/byte-string.ts';
import {
  ClusterError,
  type ByteSink,
  type CallContext,
  type FileStatus,
  type Worker,
} from '../types.ts';
import type { RangeRequest, S3Outcome } from '../worker-client.ts';
import type { ConnectionsOf } from './http-port.ts';
import type { Exchanges } from './connections.ts';
import { NotPlain } from './content-connection.ts';
import { ClosedWithoutAnswer, type ResponseReader } from './exchange.ts';
import { bucketAndKey, percentEncode, s3Target } from './names.ts';
import { headOnly, smallAnswer, type SmallAnswer } from './readers.ts';
import { rangeReader } from './s3-range.ts';
import { parseContentLength, parseS3List, parseVersionTag } from './s3-answers.ts';
import { errorOfStatus } from './status-errors.ts';

/** 1000 entries of 4096 bytes of path, each byte written as three. */
const maxListPageBytes = 16 * 1024 * 1024;
/** 10^8 entries; a server that pages for ever ends here. */
const maxListPages = 100_000;

/** etcd does not tell this port, so it is the first thing to doubt. */
const portHint =
  '; is --worker-s3-port (or the port in --worker-hosts) the S3 port of the workers, and is their ' +
  'S3 API on (alluxio.worker.s3.api.enabled)?';

/** What HEAD says; `whole` tells a file from a directory. */
export interface HeadAnswer {
  readonly status: Omit<FileStatus, 'name'>;
}

export class S3Port {
  readonly #connections: ConnectionsOf;
  readonly #contents: ConnectionsOf;

  constructor(connections: ConnectionsOf, contents: ConnectionsOf) {
    this.#connections = connections;
    this.#contents = contents;
  }

  /**
   * File, directory or undefined, for certain. With a slash at its end the key is found either
   * way, and only a file has an ETag. Where the other port has found nothing, that answer is the
   * second "no"; else it is asked for without the slash too, which finds only files.
   */
  async head(
    worker: Worker,
    path: ByteString,
    decodedTwice: boolean,
    otherPortFoundNone: boolean,
    context: CallContext,
  ): Promise<HeadAnswer | undefined> {
    const target = s3Target(path, decodedTwice);
    const found = await this.#head(worker, path, `${target}/`, context);
    if (found !== undefined || otherPortFoundNone) return found;
    return await this.#head(worker, path, target, context);
  }

  /** Of an open-source worker: the file or directory of this name. */
  async look(
    worker: Worker,
    path: ByteString,
    context: CallContext,
  ): Promise<FileStatus | undefined> {
    const found = await this.#head(worker, path, `${s3Target(path, true)}/`, context);
    return found === undefined ? undefined : { ...found.status, name: nameOf(path) };
  }

  async #head(
    worker: Worker,
    path: ByteString,
    target: string,
    context: CallContext,
  ): Promise<HeadAnswer | undefined> {
    const answer = await this.#ask(worker, 'HEAD', path, target, headOnly(), context);
    const { head } = answer;
    if (head.status === 404) return undefined;
    if (head.status !== 200) throw errorOfStatus(answer, { workerId: worker.id, path });
    const etag = head.header('etag');
    const version = parseVersionTag(etag);
    const lengthBytes = parseContentLength(head.header('content-length')) ?? 0;
    // Whole seconds, where the ETag does not say more.
    const modified = Date.parse(head.header('last-modified') ?? '');
    const mtimeMs = version?.mtimeMs ?? (Number.isSafeInteger(modified) ? modified : 0);
    if (version !== undefined && version.lengthBytes !== lengthBytes) {
      throw new ClusterError('protocol', 'ETag and Content-Length name two lengths', {
        worker: worker.id,
        path,
        retryable: true,
      });
    }
    if (etag === undefined && lengthBytes === 0) {
      return { status: { type: 'directory', lengthBytes: 0, mtimeMs } };
    }
    const contentHash = version === undefined ? etag : undefined;
    return {
      status: {
        type: 'file',
        lengthBytes,
        mtimeMs,
        ...(contentHash === undefined ? {} : { contentHash }),
      },
    };
  }

  /** Pages of up to 1000 entries, in the order of their bytes; empty also for what is not there. */
  async *list(
    worker: Worker,
    path: ByteString,
    decodedTwice: boolean,
    context: CallContext,
    onDropped: (key: string) => void,
  ): AsyncGenerator<FileStatus[]> {
    const { bucket, key } = bucketAndKey(path);
    const prefix = (key === '' ? '' : `${key}/`) as ByteString;
    // Form-encoded keys come out byte for byte; XML itself cannot hold every name.
    const query = `list-type=2&encoding-type=url&delimiter=/&prefix=${percentEncode(prefix)}`;
    const target = `${s3Target(`/${bucket}` as ByteString, decodedTwice)}?${query}`;
    let continuation: string | undefined;
    for (let page = 0; page < maxListPages; page += 1) {
      const more =
        continuation === undefined ? '' : `&continuation-token=${percentEncode(continuation)}`;
      const reader = smallAnswer(maxListPageBytes);
      const answer = await this.#ask(worker, 'GET', path, `${target}${more}`, reader, context);
      if (answer.head.status !== 200) {
        throw errorOfStatus(answer, { workerId: worker.id, path });
      }
      const parsed = parseS3List(answer.body, prefix);
      for (const dropped of parsed.dropped) onDropped(dropped);
      if (parsed.entries.length > 0) yield parsed.entries;
      if (parsed.continuation === undefined) return;
      if (parsed.continuation === continuation) {
        throw new ClusterError('protocol', 'The listing does not move on', { worker: worker.id });
      }
      continuation = parsed.continuation;
    }
    throw new ClusterError('protocol', 'The listing does not end', { worker: worker.id, path });
  }

  async read(
    worker: Worker,
    request: RangeRequest,
    decodedTwice: boolean,
    sink: ByteSink,
    context: CallContext,
  ): Promise<S3Outcome> {
    const { path, offset, lengthBytes } = request;
    const target = s3Target(path, decodedTwice);
    const range = { range: `bytes=${offset}-${offset + lengthBytes - 1}` };
    const ask = async (connections?: Exchanges): Promise<S3Outcome | SmallAnswer> => {
      const reader = rangeReader(request, worker.id, sink);
      return await this.#ask(worker, 'GET', path, target, reader, context, range, connections);
    };
    // Straight from the socket; what is no plain content is asked for again in the general way.
    const result = await ask(this.#contents(worker)).catch((error: unknown) => {
      if (error instanceof NotPlain) return ask();
      throw error;
    });
    if ('kind' in result) return result;
    if (result.head.status === 404) return { kind: 'not-found' };
    throw errorOfStatus(result, { workerId: worker.id, path });
  }

  async #ask<T>(
    worker: Worker,
    method: 'GET' | 'HEAD',
    path: ByteString,
    target: string,
    reader: ResponseReader<T>,
    context: CallContext,
    headers: Readonly<Record<string, string>> = {},
    connections: Exchanges = this.#connections(worker),
  ): Promise<T> {
    const request = { method, target, path, headers, workerId: worker.id, hint: portHint };
    try {
      return await connections.exchange(request, reader, context);
    } catch (error) {
      if (!(error instanceof ClosedWithoutAnswer)) throw error;
      const message = `The S3 port ${worker.s3Port} closed the connection${portHint}`;
      throw new ClusterError('unavailable', message, {
        worker: worker.id,
        path,
        retryable: true,
        cause: error,
      });
    }
  }
}
