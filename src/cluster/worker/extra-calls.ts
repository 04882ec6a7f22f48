/** The calls of `WorkerExtras`, all of them on the HTTP port. */
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext, type Worker } from '../types.ts';
import type { Personality } from '../worker-client.ts';
import type {
  LoadAnswer,
  LoadOperation,
  LoadQuery,
  RemoveOptions,
  ToldMount,
  ToldOwner,
  WorkerExtras,
} from '../worker-extras.ts';
import type { WritePath } from '../worker-writes.ts';
import { isHost, isPort } from '../worker-identity.ts';
import type { Connections } from './connections.ts';
import { ClosedWithoutAnswer } from './exchange.ts';
import { fileId, ossHttpPath, percentEncode } from './names.ts';
import { smallAnswer, type SmallAnswer } from './readers.ts';
import { errorOfStatus, maxErrorBytes } from './status-errors.ts';

export interface ExtraCallsParts {
  readonly http: (worker: Worker) => Connections;
  readonly personalityOf: (worker: Worker, context: CallContext) => Promise<Personality>;
  readonly assertExpressible: (worker: Worker, path: ByteString) => void;
}

/** The limit of open source on a request's body, in every version seen. */
const OSS_BODY_BYTES_MAX = 10_240;
/** Some hundred bytes a mount; more mounts than that nobody has. */
const MOUNTS_BYTES_MAX = 4 * 1024 * 1024;
const ROOT = '/' as ByteString;
const NO_BODY = Buffer.alloc(0);
const octets = { 'content-type': 'application/octet-stream' };

interface Request {
  readonly method: 'GET' | 'POST';
  readonly target: string;
  readonly path: ByteString;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
}

export class ExtraCalls implements WorkerExtras {
  readonly #parts: ExtraCallsParts;

  constructor(parts: ExtraCallsParts) {
    this.#parts = parts;
  }

  async ownerOf(worker: Worker, ufsPath: ByteString, context: CallContext): Promise<ToldOwner> {
    await this.#mustBeEnterprise(worker, ufsPath, 'an owner to tell (/v1/node)', context);
    const target = `/v1/node?path=${percentEncode(ufsPath, true)}`;
    const answer = await this.#done(worker, { method: 'GET', target, path: ufsPath }, context);
    const owner = toldOwner(answer.body);
    if (owner !== undefined) return owner;
    const message = 'The owner that the worker tells (/v1/node) is not understood';
    throw new ClusterError('protocol', message, { worker: worker.id, path: ufsPath });
  }

  async mounts(worker: Worker, context: CallContext): Promise<ToldMount[]> {
    await this.#mustBeEnterprise(worker, ROOT, 'a table of mounts (/v1/ufsInfo)', context);
    const request = { method: 'GET', target: '/v1/ufsInfo', path: ROOT } as const;
    const answer = await this.#ask(worker, request, context, MOUNTS_BYTES_MAX);
    if (answer === undefined) throw closed(worker, ROOT);
    // It tells the keys of the under stores, too: nothing of it may get into a message.
    assertDone({ ...answer, body: NO_BODY }, worker, ROOT);
    const told = Object.entries(fieldsOf(answer.body)).map(([ufs, value]) => {
      const path = fieldOf(value, 'alluxio_path');
      return typeof path === 'string' && path.startsWith('/') ? { path, ufs } : undefined;
    });
    const mounts = told.filter((mount) => mount !== undefined);
    if (mounts.length === told.length && mounts.length > 0) return mounts;
    const message = 'The table of mounts that the worker tells (/v1/ufsInfo) is not understood';
    throw new ClusterError('protocol', message, { worker: worker.id, retryable: true });
  }

  async writePage(
    worker: Worker,
    page: { readonly ufsPath: ByteString; readonly pageIndex: number; readonly bytes: Uint8Array },
    context: CallContext,
  ): Promise<void> {
    const { ufsPath, pageIndex, bytes } = page;
    const isOss = (await this.#parts.personalityOf(worker, context)) === 'oss';
    if (isOss && bytes.length > OSS_BODY_BYTES_MAX) {
      const message =
        `Open-source workers take pages of at most ${OSS_BODY_BYTES_MAX} bytes over HTTP; ` +
        'reading the file fills their cache, and so does a load';
      throw unsupported(worker, ufsPath, message);
    }
    const search = isOss ? '' : `?ufsFullPath=${percentEncode(ufsPath)}`;
    const answer = await this.#done(
      worker,
      {
        method: 'POST',
        target: `/v1/file/${fileId(ufsPath)}/page/${pageIndex}${search}`,
        path: ufsPath,
        headers: { ...octets, 'content-length': String(bytes.length) },
        body: once(bytes),
      },
      context,
    );
    // Open source answers 200 to what it did not do.
    const { success, message } = fieldsOf(answer.body);
    if (success === false) {
      throw new ClusterError('unavailable', `The worker kept no page: ${String(message)}`, {
        worker: worker.id,
        path: ufsPath,
        retryable: true,
      });
    }
  }

  async writeChunk(
    worker: Worker,
    at: WritePath,
    bytes: Uint8Array,
    context: CallContext,
  ): Promise<void> {
    this.#parts.assertExpressible(worker, at.path);
    await this.#mustBeEnterprise(worker, at.path, 'the chunk endpoint (/v1/chunk)', context);
    const target = `/v1/chunk/${fileId(at.ufsPath)}?ufsFullPath=${percentEncode(at.ufsPath)}`;
    const length = { 'content-length': String(bytes.length) };
    const headers = { ...octets, ...length, 'transfer-type': 'chunked' };
    const body = once(bytes);
    const request = { method: 'POST', target, path: at.path, headers, body } as const;
    await this.#done(worker, request, context);
  }

  async removeWith(
    worker: Worker,
    at: WritePath,
    options: RemoveOptions,
    context: CallContext,
  ): Promise<void> {
    this.#parts.assertExpressible(worker, at.path);
    const what = 'removals with options (/v1/rm)';
    await this.#mustBeEnterprise(worker, at.path, what, context);
    const query = [`ufsFullPath=${percentEncode(at.ufsPath)}`];
    for (const [name, value] of Object.entries(options)) {
      // Clients of different ages spell them differently, and one that is not understood is ignored:
      // that must not happen to the word that keeps the bytes.
      const words = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const spellings = new Set([name, words, words.replaceAll('_', '-')]);
      for (const spelling of spellings) query.push(`${spelling}=${String(value)}`);
    }
    const target = `/v1/rm/${fileId(at.ufsPath)}?${query.join('&')}`;
    const headers = { 'content-length': '0' };
    const request = { method: 'POST', target, path: at.path, headers } as const;
    await this.#done(worker, request, context);
  }

  async load(
    worker: Worker,
    at: WritePath,
    operation: LoadOperation,
    query: LoadQuery,
    context: CallContext,
  ): Promise<LoadAnswer> {
    this.#parts.assertExpressible(worker, at.path);
    const isOss = (await this.#parts.personalityOf(worker, context)) === 'oss';
    const path = isOss ? ossHttpPath(at.ufsPath) : percentEncode(at.ufsPath, true);
    if (path === undefined) {
      const message =
        'Open-source workers cannot be told this name for a load job; a load by the client can take it';
      throw new ClusterError('inexpressible', message, { worker: worker.id, path: at.path });
    }
    const search = [`path=${path}`, `opType=${operation}`];
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) search.push(`${name}=${percentEncode(String(value))}`);
    }
    const target = `/v1/load?${search.join('&')}`;
    const answer = await this.#ask(worker, { method: 'GET', target, path: at.path }, context);
    if (answer === undefined || answer.head.status === 404) {
      throw unsupported(worker, at.path, NO_JOBS);
    }
    assertDone(answer, worker, at.path);
    const { success, jobId, jobState, message } = fieldsOf(answer.body);
    return {
      success: typeof success === 'boolean' ? success : undefined,
      jobId: typeof jobId === 'string' ? jobId : undefined,
      jobState: typeof jobState === 'string' ? jobState : stateIn(message),
      message: typeof message === 'string' ? message : '',
    };
  }

  async #mustBeEnterprise(
    worker: Worker,
    path: ByteString,
    feature: string,
    context: CallContext,
  ): Promise<void> {
    if ((await this.#parts.personalityOf(worker, context)) === 'enterprise') return;
    throw unsupported(worker, path, `Open-source workers do not have ${feature}: Enterprise does`);
  }

  async #done(worker: Worker, request: Request, context: CallContext): Promise<SmallAnswer> {
    const answer = await this.#ask(worker, request, context);
    if (answer === undefined) throw closed(worker, request.path);
    assertDone(answer, worker, request.path);
    return answer;
  }

  /** Undefined where the connection was closed instead. Never on one that was used before. */
  async #ask(
    worker: Worker,
    request: Request,
    context: CallContext,
    bytesMax = maxErrorBytes,
  ): Promise<SmallAnswer | undefined> {
    try {
      return await this.#parts
        .http(worker)
        .exchange({ ...request, workerId: worker.id }, smallAnswer(bytesMax), context, true);
    } catch (error) {
      if (error instanceof ClosedWithoutAnswer) return undefined;
      throw error;
    }
  }
}

const NO_JOBS =
  'The worker takes no load jobs: they need a running Alluxio master (open source) or coordinator ' +
  '(Enterprise), and only one job a path at a time. A load by the client needs neither';

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

function fieldsOf(body: Buffer): Record<string, unknown> {
  const text = body.toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Before 308, open source answered in plain text.
  }
  return { message: text };
}

/** Open source tells the state of a job within the text or JSON that it prints. */
function stateIn(message: unknown): string | undefined {
  if (typeof message !== 'string') return undefined;
  return /(?:"mJobState"\s*:\s*"|Job State:\s*)(\w+)/.exec(message)?.[1];
}

/** A flat object; before September 2025 it lay deep in the first of a list of block locations. */
function toldOwner(body: Buffer): ToldOwner | undefined {
  let told: unknown;
  try {
    told = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  if (Array.isArray(told)) {
    const way = ['mBlockInfo', 'mBlockInfo', 'mLocations', '0', 'mWorkerAddress'];
    told = way.reduce<unknown>((at, name) => fieldOf(at, name), told[0]);
  }
  const host = fieldOf(told, 'Host');
  const httpPort = fieldOf(told, 'HttpServerPort');
  return isHost(host) && isPort(httpPort) ? { host, httpPort } : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return (value as Readonly<Record<string, unknown>> | null | undefined)?.[name];
}

function assertDone(answer: SmallAnswer, worker: Worker, path: ByteString): void {
  const { status } = answer.head;
  if (status >= 200 && status < 300) return;
  throw errorOfStatus(answer, { workerId: worker.id, path });
}

function closed(worker: Worker, path: ByteString): ClusterError {
  const details = { worker: worker.id, path, retryable: true };
  return new ClusterError('unavailable', 'The worker closed the connection', details);
}

function unsupported(worker: Worker, path: ByteString, message: string): ClusterError {
  return new ClusterError('unsupported', message, { worker: worker.id, path });
}
