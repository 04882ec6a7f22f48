/**
 * The calls that change something at one worker. Open source knows them on its S3 port only, one
 * connection each; Enterprise has endpoints of its own for all but the bytes of a file.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext, type FileStatus, type Worker } from '../types.ts';
import type { Personality } from '../worker-client.ts';
import type { UploadBody, WorkerWrites, WriteAnswer, WritePath } from '../worker-writes.ts';
import { UPLOADS_DIRECTORY } from '../write/temporary-names.ts';
import type { Connections } from './connections.ts';
import { ClosedWithoutAnswer } from './exchange.ts';
import { bucketAndKey, fileId, percentEncode, s3Target } from './names.ts';
import { smallAnswer, type SmallAnswer } from './readers.ts';
import { errorOfStatus, maxErrorBytes } from './status-errors.ts';
import { childText, parseXml } from './xml.ts';

export interface WriteCallsParts {
  readonly s3: (worker: Worker) => Connections;
  readonly http: (worker: Worker) => Connections;
  readonly personalityOf: (worker: Worker, context: CallContext) => Promise<Personality>;
  /** With one request where that is possible. */
  readonly look: (
    worker: Worker,
    path: ByteString,
    context: CallContext,
  ) => Promise<FileStatus | undefined>;
  /** Throws `inexpressible` for paths that a worker would take for other ones. */
  readonly assertExpressible: (worker: Worker, path: ByteString) => void;
}

type Headers = Readonly<Record<string, string>>;

interface S3Call {
  readonly method: 'PUT' | 'DELETE';
  readonly target: string;
  readonly path: ByteString;
  readonly headers?: Headers;
  readonly body?: UploadBody;
}

const EMPTY: Headers = { 'content-length': '0' };

export class WriteCalls implements WorkerWrites {
  readonly #parts: WriteCallsParts;

  constructor(parts: WriteCallsParts) {
    this.#parts = parts;
  }

  look(worker: Worker, { path }: WritePath, context: CallContext): Promise<FileStatus | undefined> {
    return this.#parts.look(worker, path, context);
  }

  async put(
    worker: Worker,
    { path }: WritePath,
    body: UploadBody,
    context: CallContext,
  ): Promise<WriteAnswer> {
    const target = await this.#objectTarget(worker, path, context);
    const headers = { 'content-length': String(body.lengthBytes) };
    const call: S3Call = { method: 'PUT', target, path, headers, body };
    const answer = await this.#s3(worker, call, context);
    return { md5: md5Of(answer.head.header('etag')) };
  }

  async copy(
    worker: Worker,
    from: WritePath,
    to: WritePath,
    context: CallContext,
  ): Promise<WriteAnswer> {
    this.#parts.assertExpressible(worker, from.path);
    const personality = await this.#parts.personalityOf(worker, context);
    if (personality === 'enterprise') {
      const query = { srcPath: from.ufsPath, dstPath: to.ufsPath, forced: 'true' };
      await this.#post(worker, 'copy', from, query, context);
      return { md5: undefined };
    }
    const target = await this.#objectTarget(worker, to.path, context);
    // Decoded once, unlike the target.
    const headers = { ...EMPTY, 'x-amz-copy-source': percentEncode(objectPath(from.path), true) };
    const { path } = to;
    const answer = await this.#s3(worker, { method: 'PUT', target, path, headers }, context);
    return { md5: md5OfCopy(answer.body) };
  }

  async makeDirectory(worker: Worker, at: WritePath, context: CallContext): Promise<void> {
    this.#parts.assertExpressible(worker, at.path);
    if ((await this.#parts.personalityOf(worker, context)) === 'enterprise') {
      await this.#post(worker, 'mkdir', at, { ufsFullPath: at.ufsPath }, context);
      return;
    }
    const { path } = at;
    const { key } = bucketAndKey(path);
    const target = `${s3Target(path, true)}${key === '' ? '' : '/'}`;
    const answer = await this.#ask(
      worker,
      { method: 'PUT', target, path, headers: EMPTY },
      context,
    );
    // A bucket is made behind a 500.
    if (key === '' && answer.head.status === 500) return;
    assertDone(answer, worker, path);
  }

  async remove(worker: Worker, at: WritePath, context: CallContext): Promise<void> {
    this.#parts.assertExpressible(worker, at.path);
    const personality = await this.#parts.personalityOf(worker, context);
    if (personality === 'enterprise') {
      const query = { ufsFullPath: at.ufsPath, recursive: 'false' };
      try {
        await this.#post(worker, 'rm', at, query, context);
        return;
      } catch (error) {
        // An upload that was cut may be there all the same: it counts as missing.
        const isMissing = error instanceof ClusterError && error.code === 'not-found';
        if (!isMissing || bucketAndKey(at.path).key === '') throw error;
      }
      const target = s3Target(at.path, false);
      await this.#s3(worker, { method: 'DELETE', target, path: at.path }, context);
      return;
    }
    const { path } = at;
    // Right for a bucket too: that it is one, and not a file, only the status says.
    const target = s3Target(objectPath(path), true);
    await this.#s3(worker, { method: 'DELETE', target, path }, context);
  }

  async move(worker: Worker, from: WritePath, to: WritePath, context: CallContext): Promise<void> {
    this.#parts.assertExpressible(worker, from.path);
    this.#parts.assertExpressible(worker, to.path);
    if ((await this.#parts.personalityOf(worker, context)) === 'oss') {
      throw new ClusterError('unsupported', 'Workers of open source cannot move', {
        worker: worker.id,
      });
    }
    const query = { srcPath: from.ufsPath, dstPath: to.ufsPath };
    await this.#post(worker, 'mv', from, query, context);
  }

  async refresh(worker: Worker, { path }: WritePath, context: CallContext): Promise<void> {
    if ((await this.#parts.personalityOf(worker, context)) === 'enterprise') {
      throw new ClusterError(
        'unsupported',
        'Only workers of open source can be told to look again',
        {
          worker: worker.id,
        },
      );
    }
    const target = `${await this.#objectTarget(worker, path, context)}/`;
    await this.#s3(worker, { method: 'PUT', target, path, headers: EMPTY }, context);
  }

  async #objectTarget(worker: Worker, path: ByteString, context: CallContext): Promise<string> {
    this.#parts.assertExpressible(worker, path);
    const personality = await this.#parts.personalityOf(worker, context);
    if (personality === 'oss') return s3Target(objectPath(path), true);
    if (bucketAndKey(path).key !== '') return s3Target(path, false);
    throw new ClusterError('inexpressible', 'Enterprise has no files directly under the root', {
      worker: worker.id,
      path,
    });
  }

  async #s3(worker: Worker, call: S3Call, context: CallContext): Promise<SmallAnswer> {
    let answer = await this.#ask(worker, call, context);
    const isRootFile = bucketAndKey(call.path).key === '';
    if (answer.head.status === 404 && isRootFile && call.body === undefined) {
      // The bucket that stands for the root is not there yet.
      const path = UPLOADS_DIRECTORY;
      await this.#ask(worker, { method: 'PUT', target: path, path, headers: EMPTY }, context);
      answer = await this.#ask(worker, call, context);
    }
    assertDone(answer, worker, call.path);
    return answer;
  }

  #ask(worker: Worker, call: S3Call, context: CallContext): Promise<SmallAnswer> {
    const { method, target, path, headers = {}, body } = call;
    return this.#exchange(
      this.#parts.s3(worker),
      { method, target, path, headers, workerId: worker.id },
      body,
      context,
    );
  }

  /** An endpoint of an Enterprise worker's HTTP port; `at` names the worker's file id. */
  async #post(
    worker: Worker,
    endpoint: string,
    at: WritePath,
    query: Readonly<Record<string, string>>,
    context: CallContext,
  ): Promise<void> {
    const search = Object.entries(query).map(([name, value]) => `${name}=${percentEncode(value)}`);
    const target = `/v1/${endpoint}/${fileId(at.ufsPath)}?${search.join('&')}`;
    const request = { target, path: at.path, headers: EMPTY, workerId: worker.id };
    const connections = this.#parts.http(worker);
    const answer = await this.#exchange(
      connections,
      { method: 'POST', ...request },
      undefined,
      context,
    );
    assertDone(answer, worker, at.path);
  }

  /** Never on a connection that was used: what is not idempotent must not be sent twice. */
  async #exchange(
    connections: Connections,
    request: Omit<Parameters<Connections['exchange']>[0], 'body' | 'headersTimeoutMs'>,
    body: UploadBody | undefined,
    context: CallContext,
  ): Promise<SmallAnswer> {
    const headersTimeoutMs = body?.answerTimeoutMs ?? 0;
    try {
      return await connections.exchange(
        { ...request, body: body?.chunks, headersTimeoutMs },
        smallAnswer(maxErrorBytes),
        context,
        true,
      );
    } catch (error) {
      if (!(error instanceof ClosedWithoutAnswer)) throw error;
      throw new ClusterError('unavailable', 'The worker closed the connection', {
        worker: request.workerId,
        path: request.path,
        retryable: true,
        cause: error,
      });
    }
  }
}

/**
 * A file directly under the root lies in no bucket, but the path is resolved only after the bucket
 * was looked up, so any bucket leads to it.
 */
function objectPath(path: ByteString): ByteString {
  if (bucketAndKey(path).key !== '') return path;
  return `${UPLOADS_DIRECTORY}/..${path}` as ByteString;
}

function assertDone(answer: SmallAnswer, worker: Worker, path: ByteString): void {
  const { status } = answer.head;
  if (status >= 200 && status < 300) return;
  throw errorOfStatus(answer, { workerId: worker.id, path });
}

/** Undefined for a tag that is no MD5: of parts, of an encrypted object. */
function md5Of(etag: string | undefined): string | undefined {
  const [, md5] = /^"?([0-9a-f]{32})"?$/i.exec(etag ?? '') ?? [];
  return md5?.toLowerCase();
}

function md5OfCopy(body: Buffer): string | undefined {
  const root = parseXml(body.toString('latin1'));
  if (root.name !== 'CopyObjectResult') {
    throw new ClusterError('protocol', `A copy was answered with ${root.name}`, {
      retryable: true,
    });
  }
  return md5Of(childText(root, 'ETag'));
}
