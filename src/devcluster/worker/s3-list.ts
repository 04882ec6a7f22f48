/** S3 listings: of all buckets, and of the keys of one, version 1 and 2. */
import { createHash } from 'node:crypto';
import { parseAlluxioPath } from './alluxio-uri.ts';
import type { Response } from './http1.ts';
import { encodeForm } from './java-text.ts';
import type { Entry } from './metadata.ts';
import type { NameSpace } from './name-space.ts';
import { element, S3Error, xmlResponse } from './s3-xml.ts';

const KEYS_MAX = 1000;

interface Listed {
  readonly key: string;
  readonly entry: Entry;
}

export async function listBuckets(names: NameSpace): Promise<Response> {
  const entries = (await names.list({ path: '/', text: '/' })) ?? [];
  const buckets = entries
    .filter((entry) => entry.type === 'directory')
    .map(
      (entry) =>
        `<Bucket>${element('Name', entry.name)}` +
        '<CreationDate>1970-01-01T00:00:00.000Z</CreationDate></Bucket>',
    );
  return xmlResponse(
    '200 OK',
    `<ListAllMyBucketsResult><Buckets>${buckets.join('')}</Buckets></ListAllMyBucketsResult>`,
  );
}

/** `bucketPath` exists and is a directory. */
export async function listObjects(
  names: NameSpace,
  bucket: string,
  bucketPath: string,
  query: ReadonlyMap<string, string>,
): Promise<Response> {
  const isVersion2 = query.get('list-type') === '2';
  const delimiter = query.get('delimiter') || undefined;
  if (delimiter !== undefined && delimiter !== '/') {
    const message = 'Alluxio S3 API only support / as delimiter.';
    throw new S3Error(412, 'PreconditionFailed', bucket, message);
  }
  const keysMax = keysMaxOf(query.get('max-keys'), bucket);
  const prefix = query.get('prefix') ?? '';
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const marker =
    (token === undefined ? undefined : markerOfToken(token, bucket)) ??
    (isVersion2 ? startAfter : query.get('marker')) ??
    '';

  const dir = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const all: Listed[] = [];
  await collect(names, `${bucketPath}/${dir}`, bucketPath, delimiter !== '/', all);
  const shown = all
    .filter(({ key }) => key.startsWith(prefix))
    // Java compares UTF-16 units, and so does JavaScript.
    .sort((a, b) => (a.key < b.key ? -1 : 1));

  const contents: string[] = [];
  const prefixes: string[] = [];
  let count = 0;
  let last = '';
  let isTruncated = false;
  for (const { key, entry } of shown) {
    const group = delimiter === '/' ? groupOf(key, prefix) : undefined;
    const name = group ?? key;
    if (name <= marker || (group !== undefined && group === last)) continue;
    if (count === keysMax) {
      isTruncated = keysMax > 0;
      break;
    }
    count += 1;
    last = name;
    const printed = query.get('encoding-type') === 'url' ? encodeForm(name) : name;
    if (group !== undefined) {
      prefixes.push(`<CommonPrefixes>${element('Prefix', printed)}</CommonPrefixes>`);
    } else {
      contents.push(
        `<Contents>${element('Key', printed)}<Size>${entry.lengthBytes}</Size>` +
          `<LastModified>${new Date(entry.mtimeMs).toISOString()}</LastModified></Contents>`,
      );
    }
  }

  const given = (name: string, value: string | undefined): string =>
    value === undefined ? '' : element(name, value);
  const xml =
    `<ListBucketResult><version2>${isVersion2}</version2><MaxKeys>${keysMax}</MaxKeys>` +
    given('ContinuationToken', token) +
    given('EncodingType', query.get('encoding-type')) +
    (isVersion2 ? given('StartAfter', startAfter) + `<KeyCount>${count}</KeyCount>` : '') +
    `<IsTruncated>${isTruncated}</IsTruncated>` +
    (isTruncated
      ? isVersion2
        ? element('NextContinuationToken', tokenOfMarker(last))
        : element('NextMarker', last)
      : '') +
    prefixes.join('') +
    element('Name', bucket) +
    contents.join('') +
    (isVersion2 ? '' : element('Marker', query.get('marker') ?? '')) +
    element('Prefix', prefix) +
    given('Delimiter', delimiter) +
    '</ListBucketResult>';
  return xmlResponse('200 OK', xml);
}

async function collect(
  names: NameSpace,
  dirPath: string,
  bucketPath: string,
  isRecursive: boolean,
  into: Listed[],
): Promise<void> {
  const path = parseAlluxioPath(dirPath);
  const entries = path === undefined ? undefined : await names.list(path);
  for (const entry of entries ?? []) {
    // The file itself, when a file was listed.
    if (path !== undefined && entry.path === path.path) continue;
    const key = entry.path.slice(bucketPath.length + 1);
    into.push({ key: entry.type === 'directory' ? `${key}/` : key, entry });
    if (isRecursive && entry.type === 'directory') {
      await collect(names, entry.path, bucketPath, true, into);
    }
  }
}

function groupOf(key: string, prefix: string): string | undefined {
  const slash = key.indexOf('/', prefix.length);
  return slash < 0 ? undefined : key.slice(0, slash + 1);
}

function keysMaxOf(text: string | undefined, bucket: string): number {
  if (text === undefined) return KEYS_MAX;
  if (!/^[+-]?\d{1,9}$/.test(text)) throw new RangeError(`For input string: "${text}"`);
  const keysMax = Number(text);
  if (keysMax < 0) {
    throw new S3Error(400, 'InvalidArgument', bucket, 'MaxKeys may not be negative');
  }
  return keysMax;
}

/** Hex of the last key or prefix, a dash, SHA-256 of that hex. */
function tokenOfMarker(marker: string): string {
  const hex = Buffer.from(marker, 'utf8').toString('hex');
  return `${hex}-${createHash('sha256').update(hex).digest('hex')}`;
}

function markerOfToken(token: string, bucket: string): string {
  const hex = token.slice(0, token.lastIndexOf('-'));
  const marker = Buffer.from(hex, 'hex').toString('utf8');
  if (tokenOfMarker(marker) !== token) {
    const message = 'The continuation token provided is incorrect';
    throw new S3Error(400, 'InvalidContinuationToken', bucket, message);
  }
  return marker;
}
