/**
 * The HTTP port of an Enterprise worker as far as its public clients show it: proper decoding,
 * status codes with a JSON message, reads that go through to the under store. What those clients
 * do not show is a guess and kept plain: an empty 200 past the end of a file, 404 for what is
 * missing. Names go through Alluxio's path type here as well, so `?` and `\` do what they do in
 * open source.
 */
import { copyFile, mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import type { AlluxioPath } from './alluxio-uri.ts';
import { parentOf } from './alluxio-uri.ts';
import { entriesJson } from './entry-json.ts';
import type { Answer, Handler, Request, Response } from './http1.ts';
import { decodeForm, UrlError } from './java-text.ts';
import type { Entry } from './metadata.ts';
import { UnlistableError } from './metadata.ts';
import type { Loads } from './loads.ts';
import type { NameSpace } from './name-space.ts';
import type { PageStore } from './page-store.ts';
import type { Peers } from './peers.ts';

/** What an Enterprise worker is commonly configured to take in one body. */
const BODY_BYTES_MAX = 1024 * 1024 * 1024;
const HEAD_TAIL_BYTES = 1024;

export interface EnterpriseHttpDependencies {
  readonly names: NameSpace;
  readonly pages: PageStore;
  readonly peers: Peers;
  readonly loads: Loads;
}

type Query = ReadonlyMap<string, string>;

class HttpError extends Error {
  readonly status: string;

  constructor(status: string, message: string) {
    super(message);
    this.status = status;
  }
}

export function enterpriseHttpHandler(dependencies: EnterpriseHttpDependencies): Handler {
  return async (request) => {
    let answer: Answer;
    try {
      answer = await answerOf(request, dependencies);
    } catch (error) {
      answer = failure(error);
    }
    if (typeof answer === 'string') return answer;
    if (request.method === 'HEAD') {
      const { body: _body, ...head } = answer;
      answer = head;
    }
    const isClosed = request.headers.get('connection')?.toLowerCase() === 'close';
    return isClosed ? { ...answer, after: 'close' } : answer;
  };
}

function failure(error: unknown): Response {
  if (error instanceof HttpError) return messageAnswer(error.status, error.message);
  if (error instanceof UrlError) return messageAnswer('400 Bad Request', error.message);
  if (error instanceof UnlistableError)
    return messageAnswer('500 Internal Server Error', error.message);
  const { code } = error as NodeJS.ErrnoException;
  const text = error instanceof Error ? error.message : String(error);
  if (code === 'ENOENT') return messageAnswer('404 Not Found', text);
  if (code === 'EEXIST' || code === 'ENOTEMPTY') return messageAnswer('409 Conflict', text);
  if (code === 'EACCES' || code === 'EPERM') return messageAnswer('403 Forbidden', text);
  return messageAnswer('500 Internal Server Error', text);
}

function messageAnswer(status: string, text: string): Response {
  return json({ message: text }, status);
}

function json(answer: unknown, status?: string): Response {
  return bytes('application/json', Buffer.from(JSON.stringify(answer)), status);
}

function bytes(type: string, body: Buffer, status = '200 OK'): Response {
  return {
    status,
    headers: [
      ['content-type', type],
      ['content-length', String(body.length)],
    ],
    body,
    after: 'keep',
  };
}

async function answerOf(
  request: Request,
  dependencies: EnterpriseHttpDependencies,
): Promise<Answer> {
  const question = request.target.indexOf('?');
  const path = question < 0 ? request.target : request.target.slice(0, question);
  const query = parseQuery(question < 0 ? '' : request.target.slice(question + 1));
  const segments = path.split('/').slice(1);
  const call: Call = { request, query, segments, ...dependencies };
  const found = ENDPOINTS[`${request.method === 'HEAD' ? 'GET' : request.method} ${segments[1]}`];
  if (found === undefined) throw new HttpError('404 Not Found', `No endpoint ${path}`);
  return await found(call);
}

interface Call extends EnterpriseHttpDependencies {
  readonly request: Request;
  readonly query: Query;
  readonly segments: readonly string[];
}

const ENDPOINTS: Readonly<Record<string, (call: Call) => Promise<Answer> | Answer>> = {
  'GET health': () => bytes('text/plain', Buffer.from('worker is active')),
  'GET info': async (call) => {
    const { entry } = await existing(call, 'path');
    return bytes('application/json', entriesJson([entry], 'enterprise'));
  },
  'GET files': async (call) => {
    const entries = await call.names.list(pathOf(call, 'path'));
    if (entries === undefined) throw missing(call, 'path');
    return bytes('application/json', entriesJson(entries, 'enterprise'));
  },
  'GET file': async (call) => {
    const { path, entry } = await existing(call, 'ufsFullPath');
    const index = numberOf(call.segments[4], 'page index');
    const offset = numberOf(call.query.get('offset') ?? '0', 'offset');
    const length = numberOf(call.query.get('length') ?? String(Infinity), 'length');
    const start = index * call.pages.pageSizeBytes + offset;
    return range(call, path, entry, start, Math.min(length, call.pages.pageSizeBytes - offset));
  },
  'POST file': async (call) => {
    const index = numberOf(call.segments[4], 'page index');
    call.pages.put(call.segments[2] ?? '', index, await bodyOf(call.request));
    return messageAnswer('200 OK', 'Page written successfully');
  },
  'GET range': async (call) => {
    const { path, entry } = await existing(call, 'ufsFullPath');
    const offset = numberOf(call.query.get('offset') ?? '0', 'offset');
    const length = numberOf(call.query.get('length') ?? String(Infinity), 'length');
    return range(call, path, entry, offset, length);
  },
  'GET chunk': async (call) => {
    const { path, entry } = await existing(call, 'ufsFullPath');
    return range(call, path, entry, 0, entry.lengthBytes);
  },
  'POST chunk': async (call) => {
    const path = pathOf(call, 'ufsFullPath');
    const body = await bodyOf(call.request);
    await writeWhole(call, path, body);
    return messageAnswer('200 OK', 'Written');
  },
  'GET head': async (call) => {
    const { path, entry } = await existing(call, 'ufsFullPath');
    return range(call, path, entry, 0, countOf(call));
  },
  'GET tail': async (call) => {
    const { path, entry } = await existing(call, 'ufsFullPath');
    const count = countOf(call);
    return range(call, path, entry, Math.max(0, entry.lengthBytes - count), count);
  },
  'GET load': (call) => {
    const flag = (name: string): boolean => /^true$/i.test(call.query.get(name) ?? '');
    // Better refused than loaded without it.
    if (call.query.has('fileFilterRegx')) throw new HttpError('400 Bad Request', 'No filters here');
    const path = pathOf(call, 'path');
    const load = { path, isMetadataOnly: flag('loadMetadataOnly') };
    switch (call.query.get('opType')?.toLowerCase()) {
      case 'submit':
        return json(call.loads.submit(load));
      case 'progress':
        return json(call.loads.progress(load));
      case 'stop':
        return json(call.loads.stop(load));
      default:
        throw new HttpError('400 Bad Request', 'Parameter opType is bad');
    }
  },
  'GET node': (call) => {
    const path = pathOf(call, 'path');
    const owner = call.peers.ownerOf(call.names.roots.uriOf(path.text));
    if (owner === undefined) throw new HttpError('503 Service Unavailable', 'No worker is known');
    return json({ Host: owner.host, HttpServerPort: owner.httpPort });
  },
  // The secrets are made up, to be searched for in logs: no client may ever print this answer.
  'GET ufsInfo': (call) => {
    const mounts = call.names.roots.all.map(({ path, uri }) => [
      uri,
      {
        alluxio_path: path,
        access_key: 'devcluster-access-key',
        secret_key: 'devcluster-secret-key',
        endpoint: '',
      },
    ]);
    return json(Object.fromEntries(mounts));
  },
  'POST mkdir': async (call) => {
    const path = pathOf(call, 'ufsFullPath');
    await mkdir(call.names.roots.filePathOf(path.path), { recursive: true });
    return await changed(call, path);
  },
  'POST touch': async (call) => {
    const path = pathOf(call, 'ufsFullPath');
    const file = await open(call.names.roots.filePathOf(path.path), 'a');
    await file.close();
    return await changed(call, path);
  },
  'POST mv': async (call) => {
    const from = pathOf(call, 'srcPath');
    const to = pathOf(call, 'dstPath');
    const { roots } = call.names;
    await rename(roots.filePathOf(from.path), roots.filePathOf(to.path));
    return await changed(call, from, to);
  },
  'POST rm': async (call) => {
    const { path, entry } = await existing(call, 'ufsFullPath');
    const filePath = call.names.roots.filePathOf(path.path);
    const isRecursive = /^true$/i.test(call.query.get('recursive') ?? '');
    // Forgotten, and looked up anew in the under store.
    const isForgotten = /^true$/i.test(call.query.get('removeAlluxioOnly') ?? '');
    if (isForgotten) return await changed(call, path);
    // What the under store holds decides, not a listing that may be old.
    if (entry.type === 'directory' && !isRecursive) await rmdir(filePath);
    else await rm(filePath, { recursive: entry.type === 'directory' });
    return await changed(call, path);
  },
  'POST copy': async (call) => {
    const from = pathOf(call, 'srcPath');
    const to = pathOf(call, 'dstPath');
    const { roots } = call.names;
    await copyFile(roots.filePathOf(from.path), roots.filePathOf(to.path));
    return await changed(call, to);
  },
};

async function changed(call: Call, ...paths: readonly AlluxioPath[]): Promise<Answer> {
  for (const path of paths) await call.names.changed(path);
  return messageAnswer('200 OK', 'Done');
}

function range(call: Call, path: AlluxioPath, entry: Entry, offset: number, length: number) {
  if (entry.type === 'directory') {
    throw new HttpError('400 Bad Request', `Path "${path.text}" is a directory`);
  }
  const start = Math.min(offset, entry.lengthBytes);
  const count = Math.max(0, Math.min(length, entry.lengthBytes - start));
  const headers = [
    ['content-type', 'application/octet-stream'],
    ['content-length', String(count)],
  ] as const;
  const file = call.names.pagedFile(path, entry);
  const body = count === 0 ? Buffer.alloc(0) : call.pages.read(file, start, count, 'whole');
  return { status: '200 OK', headers, body, after: 'keep' } as const;
}

async function writeWhole(call: Call, path: AlluxioPath, body: Buffer): Promise<void> {
  const filePath = call.names.roots.filePathOf(path.path);
  await mkdir(call.names.roots.filePathOf(parentOf(path.path)), { recursive: true });
  const file = await open(filePath, 'w');
  try {
    await file.writeFile(body);
  } finally {
    await file.close();
  }
  await call.names.changed(path);
}

async function existing(
  call: Call,
  parameter: string,
): Promise<{ path: AlluxioPath; entry: Entry }> {
  const path = pathOf(call, parameter);
  const entry = await call.names.status(path);
  if (entry === undefined) throw missing(call, parameter);
  return { path, entry };
}

function missing(call: Call, parameter: string): HttpError {
  return new HttpError('404 Not Found', `Path "${call.query.get(parameter)}" does not exist`);
}

function pathOf(call: Call, parameter: string): AlluxioPath {
  const value = call.query.get(parameter);
  const path = value === undefined ? undefined : call.names.roots.pathOfParameter(value);
  if (path === undefined) throw new HttpError('400 Bad Request', `Parameter ${parameter} is bad`);
  return path;
}

function countOf(call: Call): number {
  return numberOf(call.query.get('numOfBytes') ?? String(HEAD_TAIL_BYTES), 'numOfBytes');
}

function numberOf(text: string | undefined, what: string): number {
  const value = text === 'Infinity' ? Infinity : Number(text);
  if (text === undefined || !/^(\d{1,16}|Infinity)$/.test(text) || value < 0) {
    throw new HttpError('400 Bad Request', `Bad ${what}: ${text}`);
  }
  return value;
}

async function bodyOf(request: Request): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  request.continueBody();
  for await (const chunk of request.body) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new HttpError('413 Payload Too Large', 'Body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseQuery(query: string): Query {
  const found = new Map<string, string>();
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    if (equals <= 0) continue;
    found.set(decodeForm(part.slice(0, equals)), decodeForm(part.slice(equals + 1)));
  }
  return found;
}
