/** The head of an HTTP/1.1 answer, if it is as plain as workers write it. */
import type { ResponseHead } from './exchange.ts';
import { parseContentLength } from './s3-answers.ts';

export interface PlainHead extends ResponseHead {
  /** Undefined where the body is framed in any other way than by one Content-Length. */
  readonly lengthBytes: number | undefined;
  /** The server closes after this answer. */
  readonly isLast: boolean;
}

const statusLine = /^HTTP\/1\.([01]) ([2-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const headerLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/** The text before the empty line, as latin1; undefined for whatever is not written by the book. */
export function parsePlainHead(text: string): PlainHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const status = statusLine.exec(first);
  if (status === null) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const header = headerLine.exec(line);
    if (header === null) return undefined;
    const name = (header[1] as string).toLowerCase();
    const value = (header[2] as string).trimEnd();
    const other = headers.get(name);
    headers.set(name, other === undefined ? value : `${other}, ${value}`);
  }
  const connection = headers.get('connection')?.toLowerCase();
  return {
    status: Number(status[2]),
    header: (name) => headers.get(name),
    lengthBytes: headers.has('transfer-encoding')
      ? undefined
      : parseContentLength(headers.get('content-length')),
    isLast: connection === undefined ? status[1] === '0' : connection !== 'keep-alive',
  };
}
