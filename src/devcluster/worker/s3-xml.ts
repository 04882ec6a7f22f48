/** XML as Jackson prints it in the real worker's S3 answers. */
import { UnlistableError } from './metadata.ts';
import type { Response } from './http1.ts';

const STATUS = {
  400: '400 Bad Request',
  404: '404 Not Found',
  412: '412 Precondition Failed',
  500: '500 Internal Server Error',
  501: '501 Not Implemented',
} as const;

export class S3Error extends Error {
  readonly status: keyof typeof STATUS;
  readonly code: string;
  readonly resource: string;

  constructor(status: keyof typeof STATUS, code: string, resource: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.resource = resource;
  }
}

export function notImplemented(resource: string): S3Error {
  const message = 'Requested functionality is not implemented.';
  return new S3Error(501, 'NotImplemented', resource, message);
}

export function xmlResponse(status: string, xml: string): Response {
  const body = Buffer.from(xml, 'utf8');
  return {
    status,
    headers: [
      ['content-type', 'application/xml'],
      ['content-length', String(body.length)],
    ],
    body,
    after: 'close',
  };
}

export function errorResponse(error: S3Error): Response {
  const message =
    error.message === '' ? '<Message/>' : `<Message>${xmlText(error.message)}</Message>`;
  return xmlResponse(
    STATUS[error.status],
    `<Error><Resource>${xmlText(error.resource)}</Resource>${message}` +
      `<RequestId></RequestId><Code>${error.code}</Code></Error>`,
  );
}

export function element(name: string, text: string): string {
  return `<${name}>${xmlText(text)}</${name}>`;
}

/** Throws on what XML cannot hold: one such name makes a whole listing fail. */
export function xmlText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  const bad = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.exec(text);
  if (bad !== null) {
    const code = bad[0].charCodeAt(0).toString(16);
    throw new UnlistableError(`Invalid white space character (0x${code}) in text to output`);
  }
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      // oxlint-disable-next-line no-control-regex
      .replace(/[\r\x7f-\x9f]/g, (c) => `&#x${c.charCodeAt(0).toString(16)};`)
  );
}
