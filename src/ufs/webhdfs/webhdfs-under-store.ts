/** HDFS as under store, read over WebHDFS: no Hadoop library is needed, and no other protocol is spoken. */
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
import type { UnderStore, UnderStoreRead } from '../../cluster/under-store.ts';
import { notFound, protocol, WebHdfsCalls } from './webhdfs-calls.ts';

export interface WebHdfsOptions {
  /** `http://namenode:9870`; of the root's own host and port where it is left out. */
  readonly endpoint?: string | undefined;
  /** Who asks, where the cluster believes it (`user.name`); HADOOP_USER_NAME where it is left out. */
  readonly user?: string | undefined;
}

export interface WebHdfsUnderStoreOptions extends WebHdfsOptions {
  /** `hdfs://namenode:8020/dir`, `webhdfs://namenode:9870/dir` or `swebhdfs://…`. */
  readonly root: ByteString;
}

/** Of a name node since Hadoop 3, over HTTP and HTTPS. */
const HTTP_PORT = 9870;
const HTTPS_PORT = 9871;
/** 10^8 entries at 1000 each; a server that pages for ever ends here. */
const BATCHES_MAX = 100_000;

export function isWebHdfsScheme(scheme: string): boolean {
  return scheme === 'hdfs' || scheme === 'webhdfs' || scheme === 'swebhdfs';
}

export class WebHdfsUnderStore implements UnderStore {
  readonly #calls: WebHdfsCalls;
  #problem: string | undefined;

  constructor(options: WebHdfsUnderStoreOptions) {
    const { endpoint, directory } = placeOf(options.root, options.endpoint);
    const user = options.user ?? process.env['HADOOP_USER_NAME'];
    this.#calls = new WebHdfsCalls(endpoint, directory, user);
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  async isReachable(context: CallContext): Promise<boolean> {
    try {
      const { type } = await this.stat('/' as ByteString, context);
      this.#problem = type === 'directory' ? undefined : 'WebHDFS: the root is a file';
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
    }
    return this.#problem === undefined;
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    const answer = await this.#calls.json(path, { op: 'GETFILESTATUS' }, context);
    const status = statusOf(field(answer, 'FileStatus', path), path);
    // A symbolic link that HDFS itself does not follow: nothing that Alluxio would show.
    if (status === undefined) throw notFound(path);
    return { ...status, name: nameOf(path) };
  }

  async *list(
    path: ByteString,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    let startAfter: string | undefined;
    for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
      const from = startAfter === undefined ? {} : { startAfter };
      const parameters = { op: 'LISTSTATUS_BATCH', ...from };
      const listing = field(
        await this.#calls.json(path, parameters, context),
        'DirectoryListing',
        path,
      );
      const partial = field(field(listing, 'partialListing', path), 'FileStatuses', path);
      const found = field(partial, 'FileStatus', path);
      if (!Array.isArray(found)) throw protocol('a listing without entries', path);
      const entries: FileStatus[] = [];
      for (const entry of found as readonly unknown[]) {
        const status = statusOf(entry, path);
        // Of a file, the listing is the file itself, without a name.
        if (status?.name === '') {
          throw new ClusterError('not-a-directory', 'It is a file', { path });
        }
        if (status !== undefined && isName(status.name)) entries.push(status);
      }
      if (entries.length > 0) yield entries;
      if (field(listing, 'remainingEntries', path) === 0) return;
      const last = suffixOf(found.at(-1));
      if (last === undefined || last === startAfter) {
        throw protocol('a listing does not move on', path);
      }
      startAfter = last;
    }
    throw protocol('a listing does not end', path);
  }

  async read(
    request: UnderStoreRead,
    sink: ByteSink,
    context: CallContext,
  ): Promise<{ readonly lengthBytes: number; readonly version: FileVersion }> {
    const { path, offset } = request;
    const before = await this.#fileStatus(path, context);
    // An offset past the end is an error there.
    const lengthBytes = Math.max(0, Math.min(request.lengthBytes, before.lengthBytes - offset));
    let delivered = 0;
    if (lengthBytes > 0) {
      const parameters = { op: 'OPEN', offset: String(offset), length: String(lengthBytes) };
      const take = (chunk: Uint8Array): void => {
        sink(chunk, delivered);
        delivered += chunk.length;
      };
      await this.#calls.bytes(path, parameters, take, context);
      if (delivered !== lengthBytes) {
        throw protocol(`${delivered} of ${lengthBytes} bytes came`, path);
      }
    }
    const after = await this.#fileStatus(path, context);
    if (before.lengthBytes !== after.lengthBytes || before.mtimeMs !== after.mtimeMs) {
      throw new ClusterError('version-changed', 'The file changed while it was read', { path });
    }
    const { mtimeMs } = before;
    return { lengthBytes: delivered, version: { lengthBytes: before.lengthBytes, mtimeMs } };
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  async #fileStatus(path: ByteString, context: CallContext): Promise<FileStatus> {
    const status = await this.stat(path, context);
    if (status.type === 'file') return status;
    throw new ClusterError('is-a-directory', 'It is a directory', { path });
  }
}

function placeOf(
  root: ByteString,
  given: string | undefined,
): { endpoint: string; directory: ByteString } {
  const [, scheme = '', authority = '', directory = ''] =
    /^([^:/]+):\/\/([^/]+)(.*)$/s.exec(textOfByteString(root) ?? '') ?? [];
  const isTls = scheme.toLowerCase() === 'swebhdfs';
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? [];
  // The port of hdfs:// is that of another protocol.
  const isRpc = scheme.toLowerCase() === 'hdfs';
  const own = isRpc || port === undefined ? (isTls ? HTTPS_PORT : HTTP_PORT) : Number(port);
  const endpoint = given?.replace(/\/+$/, '') ?? `${isTls ? 'https' : 'http'}://${host}:${own}`;
  if (host === '' || !URL.canParse(endpoint)) {
    throw new ClusterError('invalid', 'Not a name node: it is like hdfs://host:8020/dir', {
      path: root,
    });
  }
  return { endpoint, directory: byteStringOfText(directory.replace(/\/+$/, '')) };
}

function field(value: unknown, name: string, path: ByteString): unknown {
  if (typeof value === 'object' && value !== null && name in value) {
    return (value as Readonly<Record<string, unknown>>)[name];
  }
  throw protocol(`an answer without ${name}`, path);
}

function suffixOf(entry: unknown): string | undefined {
  const name = (entry as { readonly pathSuffix?: unknown } | undefined)?.pathSuffix;
  return typeof name === 'string' ? name : undefined;
}

/** Undefined for what is neither file nor directory. */
function statusOf(entry: unknown, path: ByteString): FileStatus | undefined {
  const type = field(entry, 'type', path);
  if (type !== 'FILE' && type !== 'DIRECTORY') return undefined;
  const length = field(entry, 'length', path);
  const mtimeMs = field(entry, 'modificationTime', path);
  if (!Number.isSafeInteger(length) || !Number.isSafeInteger(mtimeMs)) {
    throw protocol('a length or time that is no number', path);
  }
  const { permission, owner, group } = entry as Readonly<Record<string, unknown>>;
  const isMode = typeof permission === 'string' && /^[0-7]{1,4}$/.test(permission);
  return {
    name: byteStringOfText(suffixOf(entry) ?? ''),
    type: type === 'FILE' ? 'file' : 'directory',
    lengthBytes: type === 'FILE' ? (length as number) : 0,
    mtimeMs: mtimeMs as number,
    ...(isMode ? { mode: Number.parseInt(permission, 8) } : {}),
    ...(typeof owner === 'string' ? { owner } : {}),
    ...(typeof group === 'string' ? { group } : {}),
  };
}

function isName(name: ByteString): boolean {
  return name.length <= NAME_BYTES_MAX && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}
