/**
 * The S3 port of a worker (29998), path style. Open source: one request a connection is all that
 * works, and a file that another worker owns is answered with a redirect. Enterprise: ordinary
 * keep-alive, and reads of other workers' files are proxied, here by reading through to the under
 * store (the pages then lie with the worker that was asked).
 */
import { parseAlluxioPath } from './alluxio-uri.ts';
import type { Answer, Handler, Request, Response } from './http1.ts';
import { decodeForm, encodeLocationPath, parseUri, UrlError } from './java-text.ts';
import type { Entry } from './metadata.ts';
import { UnlistableError } from './metadata.ts';
import type { DevPersonality } from '../messages.ts';
import type { NameSpace } from './name-space.ts';
import type { PageStore } from './page-store.ts';
import { UnderStoreMismatch } from './page-store.ts';
import type { Peers } from './peers.ts';
import type { Roots } from './roots.ts';
import { listBuckets, listObjects } from './s3-list.ts';
import type { ObjectTarget } from './s3-write.ts';
import { deleteObjects, deletePath, putBucket, putObject } from './s3-write.ts';
import { errorResponse, notImplemented, S3Error } from './s3-xml.ts';

export interface S3Dependencies {
  readonly names: NameSpace;
  readonly pages: PageStore;
  readonly peers: Peers;
  readonly personality: DevPersonality;
}

/** Sub-resources that the real worker does not know. */
const UNKNOWN_QUERIES = [
  'acl',
  'policy',
  'tagging',
  'location',
  'uploads',
  'uploadId',
  'partNumber',
];

export function s3Handler(dependencies: S3Dependencies): Handler {
  const isOss = dependencies.personality === 'oss';
  /** A file was sent: open source no longer writes heads on this connection. */
  let isSpent = false;
  return async (request) => {
    let answer = await guarded(request, dependencies);
    if (typeof answer === 'string') return answer;
    // A HEAD answer tells the length of a body that it has not.
    if (request.method === 'HEAD') answer = withoutBody(answer);
    if (!isOss) return withLength(answer, request);
    if (isSpent) {
      if (answer.after === 'close' || answer.body === undefined) return 'silence';
      return { body: answer.body, after: 'keep' };
    }
    isSpent = answer.after === 'keep';
    return answer;
  };
}

async function guarded(request: Request, dependencies: S3Dependencies): Promise<Answer> {
  try {
    return await answerOf(request, dependencies);
  } catch (error) {
    if (error instanceof S3Error) return errorResponse(error);
    if (error instanceof UnlistableError) {
      const resource = resourceOf(request.target);
      return errorResponse(new S3Error(500, 'InternalError', resource, error.message));
    }
    // Outside of the real worker's map of exceptions: plain text.
    const isExpected = error instanceof UrlError || error instanceof RangeError;
    const body = Buffer.from(isExpected ? error.message : String(error));
    const headers = [
      ['content-type', 'text/plain'],
      ['content-length', String(body.length)],
    ] as const;
    return { status: '500 Internal Server Error', headers, body, after: 'close' };
  }
}

function withoutBody(answer: Response): Response {
  const { body: _body, ...head } = answer;
  return { ...head, after: 'close' };
}

/** What a proper server would add to keep the connection in step. */
function withLength(answer: Response, request: Request): Response {
  const headers = [...(answer.headers ?? [])].filter(([name]) => name !== 'content-encoding');
  const hasLength = headers.some(([name]) => name.toLowerCase() === 'content-length');
  if (!hasLength && !answer.status?.startsWith('204')) headers.push(['content-length', '0']);
  const isClosed = request.headers.get('connection')?.toLowerCase() === 'close';
  return { ...answer, headers, after: isClosed ? 'close' : 'keep' };
}

function resourceOf(target: string): string {
  return target.split('?')[0]?.split('/')[1] ?? '';
}

async function answerOf(request: Request, dependencies: S3Dependencies): Promise<Answer> {
  const { names } = dependencies;
  const uri = parseUri(request.target);
  const query = parseQuery(uri.query);
  const path = dependencies.personality === 'oss' ? decodeForm(uri.path) : uri.path;
  if (UNKNOWN_QUERIES.some((name) => query.has(name))) throw notImplemented('internal error');
  const resource = path.replace(/^\//, '');
  if (resource.includes('\0')) {
    throw new UrlError(
      'Failed to encode XML: Invalid null character in text to output ' +
        '(through reference chain: alluxio.s3.S3Error["Resource"])',
    );
  }
  const slash = resource.indexOf('/');
  const bucket = slash < 0 ? resource : resource.slice(0, slash);
  const key = slash < 0 ? '' : resource.slice(slash + 1);
  if (bucket === '') {
    if (request.method === 'GET') return await listBuckets(names);
    throw notImplemented(bucket);
  }
  if (key === '') return await bucketAnswer(request, bucket, query, names);
  // The object is looked up by the whole text, so a `?` in a key works as everywhere in Alluxio.
  const parsed = parseAlluxioPath(`/${resource}`);
  if (parsed === undefined) throw noSuchKey(resource, `/${resource}`, names.roots);
  const target: ObjectTarget = { resource, key, path: parsed };
  switch (request.method) {
    case 'GET':
      return await getObject(request, target, dependencies);
    case 'HEAD':
      await checkBucket(bucket, resource, names);
      return await headObject(target, names);
    case 'PUT':
      await checkBucket(bucket, resource, names);
      return await putObject(request, target, names);
    case 'DELETE':
      await checkBucket(bucket, resource, names);
      return await deletePath(parsed, names);
    default:
      throw notImplemented(bucket);
  }
}

async function bucketAnswer(
  request: Request,
  bucket: string,
  query: ReadonlyMap<string, string>,
  names: NameSpace,
): Promise<Answer> {
  // A colon in a bucket's name stands for a slash, in requests for the bucket itself.
  const bucketPath = `/${bucket.replaceAll(':', '/')}`;
  if (request.method === 'PUT') return await putBucket(bucket, names);
  const isPost = request.method === 'POST' && query.has('delete');
  if (!isPost && !['GET', 'HEAD', 'DELETE'].includes(request.method)) throw notImplemented(bucket);
  await checkBucket(bucketPath.slice(1), bucket, names);
  if (isPost) return await deleteObjects(request, bucketPath, names);
  if (request.method === 'HEAD') return { status: '200 OK', after: 'close' };
  if (request.method === 'GET') return await listObjects(names, bucket, bucketPath, query);
  const path = parseAlluxioPath(bucketPath);
  return path === undefined ? 'close' : await deletePath(path, names);
}

async function checkBucket(bucket: string, resource: string, names: NameSpace): Promise<void> {
  const path = parseAlluxioPath(`/${bucket}`);
  const entry = path && (await names.status(path));
  if (entry?.type === 'directory') return;
  const message =
    entry === undefined
      ? `Path "${names.roots.uriOf(path?.text ?? `/${bucket}`)}" does not exist.`
      : `Bucket "/${bucket}" does not exist.`;
  throw new S3Error(404, 'NoSuchBucket', resource, message);
}

function noSuchKey(resource: string, text: string, roots: Roots): S3Error {
  const message = `Path "${roots.uriOf(text)}" does not exist.`;
  return new S3Error(404, 'NoSuchKey', resource, message);
}

async function headObject(target: ObjectTarget, names: NameSpace): Promise<Answer> {
  const entry = await names.status(target.path);
  if (entry === undefined || (entry.type === 'directory' && !target.key.endsWith('/'))) {
    return { status: '404 Not Found', headers: [['content-length', '0']], after: 'close' };
  }
  const headers: [string, string][] = [
    ['last-modified', new Date(entry.mtimeMs).toUTCString()],
    ['Content-Length', String(entry.lengthBytes)],
    ...etagOf(entry),
    ['Content-Type', 'application/octet-stream'],
  ];
  return { status: '200 OK', headers, after: 'close' };
}

function etagOf(entry: Entry): [string, string][] {
  if (entry.type === 'directory') return [];
  return [['ETAG', `(len:${entry.lengthBytes}, modtime:${entry.mtimeMs})`]];
}

async function getObject(
  request: Request,
  target: ObjectTarget,
  dependencies: S3Dependencies,
): Promise<Answer> {
  const { names, pages, peers } = dependencies;
  const entry = await names.status(target.path);
  if (entry === undefined) throw noSuchKey(target.resource, target.path.text, names.roots);
  const range = parseRange(request.headers.get('range'), entry.lengthBytes, target.resource);
  const length = entry.lengthBytes;
  if (length > 0 && dependencies.personality === 'oss') {
    const owner = peers.otherOwnerOf(names.roots.uriOf(target.path.text));
    if (owner !== undefined) {
      const path = encodeLocationPath(`/${target.resource}`);
      return {
        status: '307 Temporary Redirect',
        headers: [['location', `http://${owner.host}:${owner.s3Port}${path}`]],
        after: 'close',
      };
    }
  }
  const count = range === undefined ? length : range.count;
  const shownEnd = count === 0 ? '0-0' : `${range?.start}-${(range?.start ?? 0) + count - 1}`;
  const headers: [string, string][] = [
    ['last-modified', new Date(entry.mtimeMs).toUTCString()],
    ['Content-Length', String(count)],
    ...(range === undefined
      ? []
      : [
          ['accept-ranges', 'bytes'] as [string, string],
          ['Content-Range', `bytes ${shownEnd}/${length}`] as [string, string],
        ]),
    ...etagOf(entry),
    ['Content-Type', 'application/octet-stream'],
    ['content-encoding', 'application/octet-stream'],
  ];
  const status = range === undefined ? '200 OK' : '206 Partial Content';
  if (length === 0) return { status, headers, after: 'close' };
  const file = names.pagedFile(target.path, entry);
  const fill = dependencies.personality === 'oss' ? 'prefix' : 'whole';
  return {
    status,
    headers,
    body: content(pages, file, range?.start ?? 0, count, fill),
    after: 'keep',
  };
}

/** When the under store has less than the metadata say, the body just never comes. */
async function* content(
  pages: PageStore,
  file: Parameters<PageStore['read']>[0],
  offset: number,
  count: number,
  fill: 'whole' | 'prefix',
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* pages.read(file, offset, count, fill);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!(error instanceof UnderStoreMismatch) && code !== 'ENOENT') throw error;
  }
}

/** Undefined: the whole file, which is also the answer to a range that makes no sense. */
function parseRange(
  header: string | undefined,
  length: number,
  resource: string,
): { start: number; count: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', second = ''] = match;
  for (const text of [first, second]) {
    // Beyond a Java long; 18 digits always fit.
    if (text.length > 18) {
      throw new S3Error(500, 'InternalError', resource, `For input string: "${text}"`);
    }
  }
  if (first === '' && Number(second) === 0) return undefined;
  let start = first === '' ? Math.max(0, length - Number(second)) : Number(first);
  let end = first === '' || second === '' ? length : Number(second) + 1;
  if (end <= start && second !== '' && first !== '') return undefined;
  start = Math.min(start, length);
  end = Math.min(end, length);
  return { start, count: end - start };
}

function parseQuery(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const key = equals < 0 ? part : part.slice(0, equals);
    found.set(decodeForm(key), equals < 0 ? '' : decodeForm(part.slice(equals + 1)));
  }
  return found;
}
