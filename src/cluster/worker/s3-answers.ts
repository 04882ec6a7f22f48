/** What the S3 port answers, beyond HTTP: listings, errors, redirects, and the two odd headers. */
import { NAME_BYTES_MAX, type ByteString } from '../../base/byte-string.ts';
import { ClusterError, type FileStatus } from '../types.ts';
import { childText, parseXml, type XmlElement } from './xml.ts';

export interface S3Page {
  readonly entries: FileStatus[];
  /** Names that cannot be shown. */
  readonly dropped: string[];
  /** Undefined on the last page. */
  readonly continuation: string | undefined;
}

/** `prefix` is what was asked for, 'dir/' or ''; every name of the answer must begin with it. */
export function parseS3List(body: Uint8Array, prefix: ByteString): S3Page {
  const root = parseXml(
    Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'),
  );
  if (root.name !== 'ListBucketResult') throw malformed(`it is a ${root.name}`);
  const decode = childText(root, 'EncodingType') === 'url' ? formDecode : identity;
  const entries: FileStatus[] = [];
  const dropped: string[] = [];
  for (const child of root.children) {
    const isDirectory = child.name === 'CommonPrefixes';
    if (!isDirectory && child.name !== 'Contents') continue;
    const written = childText(child, isDirectory ? 'Prefix' : 'Key');
    if (written === undefined) throw malformed('an entry has no key');
    const key = decode(written);
    if (!key.startsWith(prefix)) throw malformed('a key does not begin with the prefix asked for');
    // A key that is the prefix itself is the directory's own marker.
    const name = key.slice(prefix.length, isDirectory && key.endsWith('/') ? -1 : undefined);
    if (name === '') continue;
    if (!isName(name)) dropped.push(key);
    else entries.push(isDirectory ? directory(name) : file(name, child));
  }
  const truncated = childText(root, 'IsTruncated') === 'true';
  const continuation = truncated ? childText(root, 'NextContinuationToken') : undefined;
  if (truncated && (continuation === undefined || continuation === '')) {
    throw malformed('it is truncated without a continuation token');
  }
  return { entries, dropped, continuation };
}

/** The port tells no time of a directory; 0 is what the caller then sees. */
function directory(name: string): FileStatus {
  return { name: name as ByteString, type: 'directory', lengthBytes: 0, mtimeMs: 0 };
}

function file(name: string, element: XmlElement): FileStatus {
  const size = childText(element, 'Size') ?? '';
  const modified = Date.parse(childText(element, 'LastModified') ?? '');
  const lengthBytes = Number(size);
  if (!/^\d{1,16}$/.test(size) || !Number.isSafeInteger(lengthBytes)) {
    throw malformed('a size is not a number');
  }
  if (!Number.isSafeInteger(modified)) throw malformed('a time is not a time');
  return { name: name as ByteString, type: 'file', lengthBytes, mtimeMs: modified };
}

function isName(name: string): boolean {
  return (
    name !== '.' &&
    name !== '..' &&
    name.length <= NAME_BYTES_MAX &&
    !name.includes('/') &&
    !name.includes('\0') &&
    !name.includes('\\')
  );
}

function identity(text: string): string {
  return text;
}

/** `+` is a space and %XX a byte; anything else stays. */
function formDecode(text: string): string {
  return text.replace(/\+|%([0-9A-Fa-f]{2})?/g, (whole, hex: string | undefined) => {
    if (whole === '+') return ' ';
    if (hex === undefined) throw malformed('an escape is broken');
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
}

export interface S3Error {
  readonly code: string;
  readonly message: string;
}

/** Never throws: an error answer that is not XML is still an error answer. */
export function parseS3Error(body: Uint8Array): S3Error {
  try {
    const root = parseXml(Buffer.from(body).toString('latin1'));
    if (root.name === 'Error') {
      return {
        code: printable(childText(root, 'Code') ?? ''),
        message: printable(childText(root, 'Message') ?? ''),
      };
    }
  } catch {
    // Falls through: the status alone has to do.
  }
  return { code: '', message: '' };
}

/** For messages and logs: bounded, one line. */
function printable(text: string): string {
  return text.slice(0, 300).replace(/[^\x20-\x7e]/g, '?');
}

const locationPattern =
  /^http:\/\/(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}))(?::(\d{1,5}))?(?:[/?]|$)/;

/** Host and port of a redirect; the key in it is encoded wrongly and is not looked at. */
export function parseLocation(location: string | undefined): { host: string; port: number } {
  const [, host, digits] = locationPattern.exec(location ?? '') ?? [];
  if (host === undefined) throw malformed('a redirect without a usable Location');
  const port = digits === undefined ? 80 : Number(digits);
  if (port < 1 || port > 65_535) throw malformed('a redirect to a port that does not exist');
  return { host: host.startsWith('[') ? host.slice(1, -1) : host, port };
}

export interface ContentRange {
  readonly first: number;
  readonly last: number;
  readonly fileLengthBytes: number;
}

export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const [, first, last, total] =
    /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(value ?? '') ?? [];
  if (first === undefined || last === undefined || total === undefined) return undefined;
  const range = { first: Number(first), last: Number(last), fileLengthBytes: Number(total) };
  return Object.values(range).every((number) => Number.isSafeInteger(number)) ? range : undefined;
}

/** Undefined where the header is missing; throws where it is not one whole number. */
export function parseContentLength(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const length = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(length)) {
    throw malformed('Content-Length is not a number');
  }
  return length;
}

/** Open source over a local under store: `(len:L, modtime:MS)`, the exact version. */
export function parseVersionTag(
  etag: string | undefined,
): { lengthBytes: number; mtimeMs: number } | undefined {
  const [, length, mtime] = /^"?\(len:(\d{1,16}), ?modtime:(\d{1,16})\)"?$/.exec(etag ?? '') ?? [];
  if (length === undefined || mtime === undefined) return undefined;
  return { lengthBytes: Number(length), mtimeMs: Number(mtime) };
}

function malformed(why: string): ClusterError {
  return new ClusterError('protocol', `The S3 answer is malformed: ${why}`, { retryable: true });
}
