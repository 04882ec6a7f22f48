/** Java's and Netty's ways with URLs, numbers and JSON, as far as they show in answers. */

/** A failure whose message the S3 port sends as plain text with status 500. */
export class UrlError extends Error {}

/**
 * What `java.net.URI` accepts unescaped in a path; beyond ASCII everything goes. A target that holds
 * another character is refused.
 */
const PATH_LEGAL = /[A-Za-z0-9\-_.!~*'():@&=+$,;/\u00a1-\uffff]/;
const QUERY_LEGAL = /[A-Za-z0-9\-_.!~*'():@&=+$,;/?[\]\u00a1-\uffff]/;

export interface ParsedTarget {
  /** Decoded once. */
  readonly path: string;
  /** As sent. */
  readonly query: string;
}

/** `target` is one char a byte, which is also how the real worker reads it. */
export function parseUri(target: string): ParsedTarget {
  const withoutOrigin =
    /^https?:\/\/[^/]*/.exec(target)?.[0] ?? /^\/\/[^/]*/.exec(target)?.[0] ?? '';
  let i = withoutOrigin.length;
  const pathStart = i;
  i = scan(target, i, /[?#]/, PATH_LEGAL, 'path');
  const path = target.slice(pathStart, i);
  let query = '';
  if (target[i] === '?') {
    const queryStart = i + 1;
    i = scan(target, queryStart, /#/, QUERY_LEGAL, 'query');
    query = target.slice(queryStart, i);
  }
  return { path: decodeEscapes(path), query };
}

function scan(text: string, start: number, stop: RegExp, legal: RegExp, part: string): number {
  let i = start;
  while (i < text.length && !stop.test(text[i] ?? '')) {
    if (text[i] === '%') {
      if (!/^%[0-9A-Fa-f]{2}/.test(text.slice(i, i + 3))) {
        throw new UrlError(`Malformed escape pair at index ${i}: ${text}`);
      }
      i += 3;
    } else if (legal.test(text[i] ?? '')) {
      i += 1;
    } else {
      throw new UrlError(`Illegal character in ${part} at index ${i}: ${text}`);
    }
  }
  return i;
}

/** Runs of escapes are UTF-8; what is not valid becomes U+FFFD. */
function decodeEscapes(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

/** `URLDecoder.decode`: form decoding, so `+` is a space. */
export function decodeForm(text: string): string {
  const bad = /%(?![0-9A-Fa-f]{2})/.exec(text);
  if (bad !== null) {
    const rest = text.slice(bad.index + 1);
    if (rest.length < 2) {
      throw new UrlError('URLDecoder: Incomplete trailing escape (%) pattern');
    }
    const pair = rest.slice(0, 2);
    const at = /^[0-9A-Fa-f]/.test(pair) ? 1 : 0;
    throw new UrlError(
      'URLDecoder: Illegal hex characters in escape (%) pattern - ' +
        `Error at index ${at} in: "${pair}"`,
    );
  }
  return decodeEscapes(text.replaceAll('+', ' '));
}

/** `URLEncoder.encode`. */
export function encodeForm(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

/**
 * The path of a `Location`: encoded once, beyond ASCII not at all. Netty then writes one byte a
 * character, `?` for those that have no Latin-1 byte.
 */
export function encodeLocationPath(path: string): string {
  let out = '';
  for (const char of path) {
    const code = char.codePointAt(0) ?? 0;
    // Controls and spaces beyond ASCII are escaped all the same.
    const isQuoted = code < 0x80 ? !PATH_LEGAL.test(char) : code < 0xa1;
    if (isQuoted) {
      for (const byte of Buffer.from(char, 'utf8')) {
        out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      }
    } else if (code > 0xffff) {
      out += '??';
    } else {
      out += code > 0xff ? '?' : char;
    }
  }
  return out;
}

/** Gson escapes what could end a script element, besides what JSON asks for. */
export function gsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&='\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `FormatUtils.getSizeFromBytes`: each unit is kept up to five times the next. */
export function humanSize(bytes: number): string {
  if (bytes <= 5 * 1024) return `${bytes}B`;
  let value = bytes / 1024;
  for (const unit of ['KB', 'MB', 'GB', 'TB']) {
    if (value <= 5 * 1024) return `${value.toFixed(2)}${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(2)}PB`;
}
