/** The writing half of the S3 port: PUT of files, directories and buckets, copy, DELETE. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rm, rmdir } from 'node:fs/promises';
import type { AlluxioPath } from './alluxio-uri.ts';
import { parentOf, parseAlluxioPath } from './alluxio-uri.ts';
import type { Answer, Request } from './http1.ts';
import { decodeForm } from './java-text.ts';
import type { NameSpace } from './name-space.ts';
import type { Roots } from './roots.ts';
import { element, notImplemented, S3Error, xmlResponse } from './s3-xml.ts';

/** Mode of files that a real worker makes in a local under store. */
const FILE_MODE = 0o770;
const COPY_CHUNKS = { highWaterMark: 1024 * 1024 };

export interface ObjectTarget {
  readonly resource: string;
  readonly key: string;
  readonly path: AlluxioPath;
}

export async function putBucket(bucket: string, names: NameSpace): Promise<Answer> {
  const path = parseAlluxioPath(`/${bucket}`);
  if (path !== undefined) {
    await mkdir(names.roots.filePathOf(path.path)).catch(ignored);
    await names.changed(path);
  }
  // The directory is there all the same.
  throw new S3Error(500, 'InternalError', bucket, '');
}

export async function putObject(
  request: Request,
  target: ObjectTarget,
  names: NameSpace,
): Promise<Answer> {
  const filePath = names.roots.filePathOf(target.path.path);
  const source = request.headers.get('x-amz-copy-source');
  if (source !== undefined) return await copyObject(request, source, target, filePath, names);
  if (target.key.endsWith('/')) {
    // Of an existing file it makes nothing, says so to nobody, and looks at the file again.
    await mkdir(filePath, { recursive: true }).catch(ignored);
    await names.changed(target.path);
    return { status: '200 OK', after: 'close' };
  }
  if (request.contentLength === undefined) {
    throw new S3Error(500, 'InternalError', target.resource, 'Cannot parse null string');
  }
  if (request.headers.has('x-amz-decoded-content-length')) throw notImplemented(target.resource);
  await makeParents(target, names.roots);
  await names.beginWrite(target.path);
  const digest = createHash('md5');
  const file = await open(filePath, 'w', FILE_MODE).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'EISDIR' ? ' (Is a directory)' : '';
    throw new S3Error(500, 'InternalError', target.resource, `${filePath}${reason}`);
  });
  let received = 0;
  try {
    request.continueBody();
    for await (const chunk of request.body) {
      digest.update(chunk);
      received += chunk.length;
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  // A cut upload: what came stays under the final name, and the path stays marked as being written.
  if (received < request.contentLength) return 'close';
  await names.changed(target.path);
  const md5 = digest.digest();
  const expected = request.headers.get('content-md5');
  if (expected !== undefined && expected !== md5.toString('base64')) {
    await rm(filePath, { force: true });
    await names.changed(target.path);
    const message = 'The Content-MD5 you specified did not match what we received.';
    throw new S3Error(400, 'BadDigest', target.resource, message);
  }
  return { status: '200 OK', headers: [['ETAG', md5.toString('hex')]], after: 'close' };
}

async function makeParents(target: ObjectTarget, roots: Roots): Promise<void> {
  const parent = roots.filePathOf(parentOf(target.path.path));
  await mkdir(parent, { recursive: true }).catch(() => {
    const path = roots.filePathOf(target.path.path);
    const message = `Unable to create parent directories for path ${path}`;
    throw new S3Error(500, 'InternalError', target.resource, message);
  });
}

/** The source is decoded once, unlike keys in targets. */
async function copyObject(
  request: Request,
  source: string,
  target: ObjectTarget,
  filePath: string,
  names: NameSpace,
): Promise<Answer> {
  const text = decodeForm(source);
  const from = parseAlluxioPath(text.startsWith('/') ? text : `/${text}`);
  if (from === undefined) throw new S3Error(400, 'InvalidRequest', target.resource, '');
  if (from.text === target.path.text) {
    throw new S3Error(400, 'InvalidRequest', target.resource, '');
  }
  const entry = await names.status(from);
  if (entry === undefined) {
    const message = `Path "${names.roots.uriOf(from.text)}" does not exist.`;
    throw new S3Error(404, 'NoSuchKey', target.resource, message);
  }
  if (entry.type === 'directory') {
    const message = `Cannot read from ${from.text} because it is a directory`;
    throw new S3Error(500, 'InternalError', target.resource, message);
  }
  await makeParents(target, names.roots);
  // Straight into the final name, which counts as missing meanwhile. It does not matter to the copy
  // whether its client is still there.
  await names.beginWrite(target.path);
  const digest = createHash('md5');
  let isCut = false;
  const file = await open(filePath, 'w', FILE_MODE).catch(async (error: unknown) => {
    await names.changed(target.path);
    const { message } = error as Error;
    throw new S3Error(500, 'InternalError', target.resource, message);
  });
  try {
    let left = request.copyBytesMax ?? Infinity;
    for await (const chunk of createReadStream(names.roots.filePathOf(from.path), COPY_CHUNKS)) {
      const part = (chunk as Buffer).subarray(0, left);
      digest.update(part);
      await file.writeFile(part);
      left -= part.length;
      isCut = left <= 0;
      if (isCut) break;
    }
  } finally {
    await file.close();
  }
  await names.changed(target.path);
  if (isCut) {
    throw new S3Error(500, 'InternalError', target.resource, 'Self-suppression not permitted');
  }
  const md5 = digest.digest('hex');
  const time = new Date().toISOString();
  return xmlResponse(
    '200 OK',
    `<CopyObjectResult>${element('LastModified', time)}${element('ETag', md5)}</CopyObjectResult>`,
  );
}

/** Missing keys and directories that are not empty are answered like a success. */
export async function deletePath(path: AlluxioPath, names: NameSpace): Promise<Answer> {
  await removePath(path, names);
  return { status: '204 No Content', after: 'close' };
}

/** `POST /bucket?delete`. */
export async function deleteObjects(
  request: Request,
  bucketPath: string,
  names: NameSpace,
): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request.body) chunks.push(chunk);
  for (const match of Buffer.concat(chunks)
    .toString('utf8')
    .matchAll(/<Key>([^<]*)<\/Key>/g)) {
    const key = (match[1] ?? '')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&apos;', "'")
      .replaceAll('&amp;', '&');
    const path = parseAlluxioPath(`${bucketPath}/${key}`);
    if (path !== undefined) await removePath(path, names);
  }
  return xmlResponse('200 OK', '<DeleteResult/>');
}

async function removePath(path: AlluxioPath, names: NameSpace): Promise<void> {
  const filePath = names.roots.filePathOf(path.path);
  await rm(filePath).catch(() => rmdir(filePath).catch(ignored));
  await names.changed(path);
}

function ignored(): void {
  // The real worker reports success as well.
}
