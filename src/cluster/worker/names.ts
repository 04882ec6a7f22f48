/**
 * Which names each port of a worker can carry, and how they are written there. A name that a port
 * would take for another one must never be sent to it: on open source that is not an error but
 * another file.
 */
import { createHash } from 'node:crypto';
import { bytesOfByteString, type ByteString } from '../../base/byte-string.ts';

/**
 * What the open-source HTTP port carries as it is: printable ASCII, for it decodes nothing but three
 * escapes. `&` and `=` end the value, `?` becomes a query of the file's URI, `\` becomes `/`.
 */
const rawHttpPath = /^[!-%'-<>@-[\]-~]*$/;
/** A name with this text in it would be decoded to another name. */
const decodedEscape = /%(?:2f|3a|3f)/i;
/** Names that every server reads alike, whatever it decodes. */
const plainPath = /^[A-Za-z0-9._~/-]*$/;
const unreserved = /[^A-Za-z0-9._~-]/g;
const unreservedOrSlash = /[^A-Za-z0-9._~/-]/g;

export function isPlain(path: ByteString): boolean {
  return plainPath.test(path);
}

/** The value for `path=` on an open-source worker, or undefined where it cannot be written. */
export function ossHttpPath(path: ByteString): string | undefined {
  return rawHttpPath.test(path) && !decodedEscape.test(path) ? path : undefined;
}

/** Every byte but the unreserved ones as %XX; a ByteString has one char a byte. */
export function percentEncode(bytes: string, keepSlash = false): string {
  return bytes.replace(keepSlash ? unreservedOrSlash : unreserved, percentOf);
}

function percentOf(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** First directory and the rest, without slashes at the seam; the key is '' for `/name`. */
export function bucketAndKey(path: ByteString): { bucket: string; key: string } {
  const slash = path.indexOf('/', 1);
  if (slash < 0) return { bucket: path.slice(1), key: '' };
  return { bucket: path.slice(1, slash), key: path.slice(slash + 1) };
}

/** The open-source worker decodes the target of a request twice, Enterprise once. */
export function s3Target(path: ByteString, decodedTwice: boolean): string {
  const once = percentEncode(path, true);
  return decodedTwice ? percentEncode(once, true) : once;
}

/** The id of a file in page and range URLs: SHA-256 of its UFS path. */
export function fileId(ufsPath: ByteString): string {
  return createHash('sha256').update(bytesOfByteString(ufsPath)).digest('hex');
}
