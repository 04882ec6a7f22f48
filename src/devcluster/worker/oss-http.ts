/**
 * The HTTP port of an open-source worker (28080). It answers 200 or it closes the connection; there
 * is no error status.
 */
import { entriesJson } from './entry-json.ts';
import type { Answer, Handler, Request, Response } from './http1.ts';
import type { NameSpace } from './name-space.ts';
import type { PageStore } from './page-store.ts';
import type { Roots } from './roots.ts';

/** The real worker's limit on a request body. */
const BODY_BYTES_MAX = 10_240;

export interface OssHttpDependencies {
  readonly names: NameSpace;
  readonly pages: PageStore;
}

export function ossHttpHandler(dependencies: OssHttpDependencies): Handler {
  return async (request) => {
    const answer = await answerOf(request, dependencies);
    if (typeof answer === 'string') return answer;
    return withConnectionHeader(answer, request);
  };
}

async function answerOf(request: Request, dependencies: OssHttpDependencies): Promise<Answer> {
  if ((request.contentLength ?? 0) > BODY_BYTES_MAX) {
    const headers = [['content-length', '0']] as const;
    return { status: '413 Request Entity Too Large', headers, after: 'keep' };
  }
  const { segments, query } = parseTarget(request.target);
  const isWrite = request.method === 'PUT' || request.method === 'POST';
  if (isWrite && segments[1] === 'file') return writePage(request, segments, dependencies.pages);
  if (request.method !== 'GET') return 'close';
  switch (segments[1]) {
    case 'health':
      return ok('text/plain', Buffer.from('worker is active'));
    case 'file':
      return readPage(segments, parameters(query), dependencies.pages);
    case 'info':
      return info(parameters(query), dependencies.names);
    case 'files':
      return files(parameters(query), dependencies.names);
    default:
      return 'close';
  }
}

function ok(contentType: string, body: Buffer): Response {
  return {
    status: '200 OK',
    headers: [
      ['content-type', contentType],
      ['content-length', String(body.length)],
    ],
    body,
    after: 'keep',
  };
}

function withConnectionHeader(answer: Response, request: Request): Response {
  const asked = request.headers.get('connection')?.toLowerCase();
  const headers = answer.headers ?? [];
  if (request.version === 'HTTP/1.0') {
    const isKept = asked === 'keep-alive';
    return {
      ...answer,
      version: 'HTTP/1.0',
      headers: [...headers, ['connection', isKept ? 'keep-alive' : 'close']],
      after: isKept ? 'keep' : 'close',
    };
  }
  if (asked !== 'close') return answer;
  return { ...answer, headers: [...headers, ['connection', 'close']], after: 'close' };
}

/**
 * The target is cut at its first `?`. Only the second segment of the path is looked at; a path of
 * one segment counts as the second when no query follows.
 */
function parseTarget(target: string): { segments: readonly string[]; query: string | undefined } {
  const origin = /^https?:\/\/[^/]*/.exec(target)?.[0].length ?? 0;
  const question = target.indexOf('?');
  const path = question < 0 ? target.slice(origin) : target.slice(origin, question);
  const segments = path.split('/').slice(1);
  const query = question < 0 ? undefined : target.slice(question + 1);
  if (segments.length === 1 && query === undefined) segments.unshift('');
  return { segments, query };
}

/** Undefined where the real parser throws: a part without `=` or without a value. */
function parameters(query: string | undefined): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  for (const part of query?.split('&') ?? []) {
    // More than one `=`: the rest of the value is lost.
    const [key = '', value = ''] = part.split('=');
    if (value === '') return undefined;
    found.set(key, value);
  }
  return found;
}

function pathOf(found: ReadonlyMap<string, string> | undefined, roots: Roots) {
  const value = found?.get('path');
  if (value === undefined) return undefined;
  // Only these three escapes are decoded; everything else stays as it is.
  const decoded = value.replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%3F', '?');
  return roots.pathOfParameter(decoded) ?? 'nowhere';
}

async function info(
  found: ReadonlyMap<string, string> | undefined,
  names: NameSpace,
): Promise<Answer> {
  const path = pathOf(found, names.roots);
  if (path === undefined || path === 'nowhere') return 'close';
  const entry = await names.status(path);
  if (entry === undefined) return 'close';
  return ok('application/json', entriesJson([entry], 'oss'));
}

async function files(
  found: ReadonlyMap<string, string> | undefined,
  names: NameSpace,
): Promise<Answer> {
  const path = pathOf(found, names.roots);
  if (path === undefined) return 'close';
  const entries = path === 'nowhere' ? undefined : await names.list(path);
  return ok('application/json', entriesJson(entries ?? [], 'oss'));
}

/** Only what is in the page cache; everything else is a closed connection. */
function readPage(
  segments: readonly string[],
  found: ReadonlyMap<string, string> | undefined,
  pages: PageStore,
): Answer {
  const index = javaLong(segments[4]);
  const fileId = segments[2] ?? '';
  if (found === undefined || segments[3] !== 'page' || index === undefined || index < 0) {
    return 'close';
  }
  let offset = 0;
  let length = pages.pageSizeBytes;
  if (found.has('offset')) {
    const askedOffset = javaLong(found.get('offset'));
    if (askedOffset === undefined || askedOffset < 0) return 'close';
    offset = askedOffset;
    length = pages.pageSizeBytes - offset;
    if (found.has('length')) {
      const askedLength = javaLong(found.get('length'));
      if (askedLength === undefined) return 'close';
      length = askedLength;
    }
  }
  const page = pages.get(fileId, index);
  if (page === undefined || length < 0 || offset > page.length) return 'close';
  return ok('text/plain', page.subarray(offset, offset + length));
}

function javaLong(text: string | undefined): number | undefined {
  if (text === undefined || !/^[+-]?\d{1,18}$/.test(text)) return undefined;
  return Number(text);
}

/** Into the page cache only, under whatever file id the client gives. */
async function writePage(
  request: Request,
  segments: readonly string[],
  pages: PageStore,
): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request.body) chunks.push(chunk);
  const index = javaLong(segments[4]);
  if (segments[3] !== 'page' || index === undefined) return 'close';
  const fileId = segments[2] ?? '';
  // A page that is there stays as it is; the answer is the same.
  if (pages.get(fileId, index) === undefined) pages.put(fileId, index, Buffer.concat(chunks));
  const answer = '{"success":true,"message":"Page written successfully"}';
  return ok('application/json', Buffer.from(answer));
}
