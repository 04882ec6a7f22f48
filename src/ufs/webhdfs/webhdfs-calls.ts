/** Requests of WebHDFS, each within its deadline: a name node that answers or sends on to a data node. */
import { Agent, request, type Dispatcher } from 'undici';
import { textOfByteString, type ByteString } from '../../base/byte-string.ts';
import { ClusterError, type CallContext, type ClusterErrorCode } from '../../cluster/types.ts';
import { boundedCall } from '../bounded-call.ts';

type Answer = Dispatcher.ResponseData;

/** Name node to data node is one; a gateway (Knox, HttpFS) may add another. */
const REDIRECTS_MAX = 4;
/** A batch of a listing is 1000 entries unless configured; each is some 300 bytes and a name. */
const JSON_BYTES_MAX = 64 * 1024 * 1024;
const CONNECT_MS = 5_000;
const CONNECTIONS_MAX = 64;

/** By the Java class that the answer names: status codes are shared by most of them. */
const byException: ReadonlyMap<string, ClusterErrorCode> = new Map([
  ['FileNotFoundException', 'not-found'],
  ['PathIsNotDirectoryException', 'not-a-directory'],
  ['ParentNotDirectoryException', 'not-a-directory'],
  ['AccessControlException', 'permission'],
  ['SecurityException', 'permission'],
  ['AuthorizationException', 'permission'],
  ['UnsupportedOperationException', 'unsupported'],
]);

export class WebHdfsCalls {
  readonly #endpoint: string;
  readonly #root: ByteString;
  readonly #user: string | undefined;
  readonly #agent = new Agent({ connect: { timeout: CONNECT_MS }, connections: CONNECTIONS_MAX });

  /** `endpoint`: scheme, host and port; `root`: a directory there, '' for all of it. */
  constructor(endpoint: string, root: ByteString, user: string | undefined) {
    this.#endpoint = endpoint;
    this.#root = root;
    this.#user = user;
  }

  async json(
    path: ByteString,
    parameters: Readonly<Record<string, string>>,
    context: CallContext,
  ): Promise<unknown> {
    return this.#ask(path, parameters, context, async (answer) => {
      const text = await textOf(answer, path);
      try {
        return JSON.parse(text) as unknown;
      } catch {
        throw protocol('an answer that is not JSON', path);
      }
    });
  }

  /** In order; the caller counts. */
  async bytes(
    path: ByteString,
    parameters: Readonly<Record<string, string>>,
    onChunk: (chunk: Uint8Array) => void,
    context: CallContext,
  ): Promise<void> {
    await this.#ask(path, parameters, context, async ({ body }) => {
      for await (const chunk of body as AsyncIterable<Uint8Array>) onChunk(chunk);
      // A body that ends early fails on its own, as its length was told.
    });
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #ask<T>(
    path: ByteString,
    parameters: Readonly<Record<string, string>>,
    context: CallContext,
    take: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    let url = this.#urlOf(path, parameters);
    return boundedCall(path, context, async (signal) => {
      for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
        const answer = await this.#send(url, path, signal);
        const { statusCode, headers, body } = answer;
        const { location } = headers;
        if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
          await body.dump();
          url = new URL(location, url);
          if (!/^https?:$/.test(url.protocol)) throw protocol('a redirect to no address', path);
        } else if (statusCode === 200) {
          return await take(answer).catch((error: unknown) => {
            throw isBroken(error) ? unreachable(url, error, path) : error;
          });
        } else {
          throw errorOf(statusCode, await textOf(answer, path), path);
        }
      }
      throw protocol('redirects without end', path);
    });
  }

  async #send(url: URL, path: ByteString, signal: AbortSignal): Promise<Answer> {
    try {
      // Its own time limits would end what the caller's deadline allows.
      const limits = { headersTimeout: 0, bodyTimeout: 0 };
      return await request(url, { dispatcher: this.#agent, signal, ...limits });
    } catch (error) {
      throw unreachable(url, error, path);
    }
  }

  #urlOf(path: ByteString, parameters: Readonly<Record<string, string>>): URL {
    const text = textOfByteString(`${this.#root}${path === '/' ? '' : path}` as ByteString);
    // HDFS keeps names as UTF-8, and none with these parts.
    if (text === undefined || /\0|\/\.{0,2}(?:\/|$)/.test(text)) throw notFound(path);
    const encoded = text.split('/').map(encodeURIComponent).join('/');
    const url = new URL(`${this.#endpoint}/webhdfs/v1${encoded === '' ? '/' : encoded}`);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    if (this.#user !== undefined) url.searchParams.set('user.name', this.#user);
    return url;
  }
}

export function notFound(path: ByteString): ClusterError {
  return new ClusterError('not-found', 'There is no such file', { path });
}

export function protocol(what: string, path: ByteString): ClusterError {
  return new ClusterError('protocol', `WebHDFS: ${what}`, { path, retryable: true });
}

function unreachable(url: URL, error: unknown, path: ByteString): ClusterError {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `The name or data node ${url.host} cannot be reached: ${reason}`;
  return new ClusterError('unavailable', message, { path, retryable: true, cause: error });
}

/** Of the connection, and not of the one who takes the bytes. */
function isBroken(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^(?:UND_ERR_|E[A-Z]+$)/.test(code);
}

async function textOf({ body }: Answer, path: ByteString): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > JSON_BYTES_MAX) throw protocol('an answer that is too long', path);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function errorOf(status: number, body: string, path: ByteString): ClusterError {
  const { exception, message } = remoteException(body);
  const code = byException.get(exception) ?? (status === 401 ? 'permission' : 'unavailable');
  const what = exception === '' ? `status ${status}` : `${exception}: ${message}`;
  const details = { path, retryable: code === 'unavailable' };
  return new ClusterError(code, `WebHDFS: ${what}`, details);
}

function remoteException(body: string): { exception: string; message: string } {
  try {
    const parsed = JSON.parse(body) as {
      readonly RemoteException?: { readonly exception?: unknown; readonly message?: unknown };
    };
    const { exception, message } = parsed.RemoteException ?? {};
    return { exception: oneLine(exception), message: oneLine(message) };
  } catch {
    return { exception: '', message: '' };
  }
}

/** Java's messages go on with a stack trace. */
function oneLine(text: unknown): string {
  return typeof text === 'string' ? (text.split('\n', 1)[0] ?? '').slice(0, 300) : '';
}
