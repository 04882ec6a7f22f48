/**
 * A Linux name or path is a string of bytes, not of characters. A `ByteString` holds such bytes in
 * a JavaScript string, one char (0x00 to 0xff) a byte: it compares, concatenates and hashes like
 * any string, V8 stores it in one byte a char, and invalid UTF-8 survives unchanged.
 *
 * INVARIANT: every char code is below 0x100.
 */
declare const byteStringBrand: unique symbol;
export type ByteString = string & { readonly [byteStringBrand]: true };

/** Linux NAME_MAX: the longest name of one file, in bytes. */
export const NAME_BYTES_MAX = 255;

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as they came from the kernel, a file system or a socket. */
export function byteStringOfBytes(bytes: Uint8Array): ByteString {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.toString('latin1') as ByteString;
}

// Plain ASCII is the common case and is its own text.
// oxlint-disable-next-line no-control-regex
const ascii = /^[\x00-\x7f]*$/;

/** The UTF-8 bytes of an ordinary JavaScript string (JSON, XML, command line). */
export function byteStringOfText(text: string): ByteString {
  if (ascii.test(text)) return text as ByteString;
  return Buffer.from(text, 'utf8').toString('latin1') as ByteString;
}

export function bytesOfByteString(name: ByteString): Buffer {
  return Buffer.from(name, 'latin1');
}

/** The text, or undefined where the bytes are not valid UTF-8. */
export function textOfByteString(name: ByteString): string | undefined {
  if (ascii.test(name)) return name;
  try {
    return utf8Decoder.decode(bytesOfByteString(name));
  } catch {
    return undefined;
  }
}

/** For logs and messages only: always printable, lossy for invalid UTF-8. */
export function displayByteString(name: ByteString): string {
  return JSON.stringify(bytesOfByteString(name).toString('utf8')).slice(1, -1);
}

/** `parent` is '/' or has no trailing slash. */
export function joinPath(parent: ByteString, name: ByteString): ByteString {
  return (parent === '/' ? `/${name}` : `${parent}/${name}`) as ByteString;
}

/** Of an absolute path; the root's is the root. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(1, path.lastIndexOf('/'))) as ByteString;
}

/** Its last part; '' for the root. */
export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

/** Strictly below. */
export function isBelow(path: ByteString, directory: ByteString): boolean {
  if (directory === '/') return path !== '/';
  return (
    path.length > directory.length &&
    path.charCodeAt(directory.length) === 0x2f &&
    path.startsWith(directory)
  );
}

export function isWithin(path: ByteString, directory: ByteString): boolean {
  return path === directory || isBelow(path, directory);
}
