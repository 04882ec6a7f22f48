/**
 * A name node and a data node of our own that answer as Hadoop's documentation of WebHDFS says:
 * status codes, JSON and the redirect of OPEN. NOT a real Hadoop: what only a real one does is not
 * shown by tests against it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Cleanup } from './temp-dir.ts';

export interface WebHdfsFile {
  bytes: Buffer;
  mtimeMs: number;
}

export interface WebHdfsServer {
  /** `host:port` of the name node. */
  readonly authority: string;
  /** By absolute path; directories are what paths begin with. */
  readonly files: Map<string, WebHdfsFile>;
  /** Of the name node: the operation and the user of each request. */
  readonly asked: string[];
  /** Called before the data node answers. */
  onOpen: () => void;
}

/** `dfs.ls.limit`, made small. */
const BATCH_ENTRIES = 100;
const DIRECTORY_MTIME_MS = 1_600_000_000_123;

export async function startWebHdfs(cleanup: Cleanup): Promise<WebHdfsServer> {
  const files = new Map<string, WebHdfsFile>();
  const asked: string[] = [];
  const state = { onOpen: (): void => undefined };

  const dataNode = await listen(cleanup, (url, answer) => {
    state.onOpen();
    const file = files.get(pathOf(url));
    const offset = Number(url.searchParams.get('offset'));
    const end = offset + Number(url.searchParams.get('length'));
    answer.writeHead(200, { 'content-type': 'application/octet-stream' });
    answer.end(file?.bytes.subarray(offset, end));
  });

  const nameNode = await listen(cleanup, (url, answer) => {
    const path = pathOf(url);
    const op = url.searchParams.get('op') ?? '';
    asked.push(`${op} ${url.searchParams.get('user.name') ?? '-'}`);
    const file = files.get(path);
    const below = path === '/' ? '/' : `${path}/`;
    const isDirectory = path === '/' || [...files.keys()].some((name) => name.startsWith(below));
    if (file === undefined && !isDirectory) {
      const message = `File does not exist: ${path}\n\tat org.apache.hadoop.hdfs.server`;
      return fail(answer, 404, 'FileNotFoundException', message);
    }
    if (path.endsWith('/secret')) {
      return fail(answer, 403, 'AccessControlException', 'Permission denied: user=somebody');
    }
    if (op === 'GETFILESTATUS') return json(answer, { FileStatus: statusOf('', file) });
    if (op === 'OPEN') {
      const offset = Number(url.searchParams.get('offset'));
      if (file === undefined) {
        return fail(answer, 404, 'FileNotFoundException', `Path is not a file: ${path}`);
      }
      if (offset > file.bytes.length) {
        return fail(answer, 403, 'IOException', `Offset=${offset} out of the range [0, ..]`);
      }
      answer.writeHead(307, { location: `http://${dataNode}${url.pathname}${url.search}` });
      return answer.end();
    }
    if (op !== 'LISTSTATUS_BATCH') return fail(answer, 400, 'IllegalArgumentException', op);
    const startAfter = url.searchParams.get('startAfter') ?? '';
    const names = new Set<string>();
    for (const name of files.keys()) {
      if (file === undefined && name.startsWith(below)) {
        names.add(name.slice(below.length).split('/')[0] ?? '');
      }
    }
    const left = [...names].sort().filter((name) => name > startAfter);
    const batch = left.slice(0, BATCH_ENTRIES);
    const entries = batch.map((name) => statusOf(name, files.get(below + name)));
    const partial = file === undefined ? entries : [statusOf('', file)];
    return json(answer, {
      DirectoryListing: {
        partialListing: { FileStatuses: { FileStatus: partial } },
        remainingEntries: left.length - batch.length,
      },
    });
  });
  return Object.assign(state, { authority: nameNode, files, asked });
}

function statusOf(pathSuffix: string, file: WebHdfsFile | undefined): object {
  const isFile = file !== undefined;
  return {
    accessTime: isFile ? file.mtimeMs : 0,
    blockSize: isFile ? 134_217_728 : 0,
    childrenNum: 0,
    fileId: 16_387,
    group: 'supergroup',
    length: isFile ? file.bytes.length : 0,
    modificationTime: isFile ? file.mtimeMs : DIRECTORY_MTIME_MS,
    owner: 'hdfs',
    pathSuffix,
    permission: isFile ? '644' : '755',
    replication: isFile ? 3 : 0,
    storagePolicy: 0,
    type: isFile ? 'FILE' : 'DIRECTORY',
  };
}

function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname.replace(/^\/webhdfs\/v1/, '')) || '/';
}

function json(answer: ServerResponse, body: object, status = 200): void {
  answer.writeHead(status, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(body));
}

function fail(answer: ServerResponse, status: number, exception: string, message: string): void {
  const javaClassName = `java.io.${exception}`;
  json(answer, { RemoteException: { exception, javaClassName, message } }, status);
}

async function listen(
  cleanup: Cleanup,
  handle: (url: URL, answer: ServerResponse) => void,
): Promise<string> {
  const server = createServer((request: IncomingMessage, answer) => {
    handle(new URL(request.url ?? '/', 'http://node'), answer);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  cleanup(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
