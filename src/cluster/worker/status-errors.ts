/** What HTTP status codes of a worker mean, where it answers errors with them. */
import { ClusterError } from '../types.ts';
import type { SmallAnswer } from './readers.ts';
import { parseS3Error } from './s3-answers.ts';

/** Errors are a line of text; what is longer is not looked at. */
export const maxErrorBytes = 64 * 1024;

interface About {
  readonly workerId: string;
  readonly path: string;
}

/** Older Enterprise workers say 500 with such a message for a path that does not exist. */
const missingMessage = /\bnot\s?found\b|does not exist|no such (?:file|path|key)/i;
/** The open-source worker trips over names that are not UTF-8 or not writable in XML. */
const namesMessage = /Malformed input|unmappable|Invalid white space character/i;
/** What Java repeats of the system's own words. */
const fullMessage = /No space left on device|Disk quota exceeded/i;
/** In the message where it trips over bytes that are not UTF-8: it repeats the path with these. */
const replacementCharacter = Buffer.from('\ufffd', 'utf8');

export function errorOfStatus(answer: SmallAnswer, about: About): ClusterError {
  const { status } = answer.head;
  const said = messageOf(answer.body);
  const details = { worker: about.workerId, path: about.path };
  const retry = { ...details, retryable: true };
  const text = `The worker answered ${status}${said === '' ? '' : `: ${said}`}`;
  if (status === 404) return new ClusterError('not-found', text, details);
  if (status === 401 || status === 403) return new ClusterError('permission', text, details);
  if (status === 409) {
    return new ClusterError(/not.?empty/i.test(said) ? 'not-empty' : 'exists', text, details);
  }
  if (status === 507) return new ClusterError('no-space', text, details);
  if (status === 412) return new ClusterError('version-changed', text, details);
  if (status === 405 || status === 501) return new ClusterError('unsupported', text, details);
  if (status >= 500) {
    if (status === 500 && missingMessage.test(said)) {
      return new ClusterError('not-found', text, details);
    }
    if (fullMessage.test(said)) return new ClusterError('no-space', text, details);
    if (namesMessage.test(said) || answer.body.includes(replacementCharacter))
      return new ClusterError('inexpressible', text, details);
    return new ClusterError('unavailable', text, retry);
  }
  if (status === 408 || status === 425 || status === 429) {
    return new ClusterError('unavailable', text, retry);
  }
  return new ClusterError('protocol', text, retry);
}

/** Of XML, JSON `{"message": …}` or plain text; one short printable line. */
function messageOf(body: Buffer): string {
  const { code, message } = parseS3Error(body);
  if (code !== '' || message !== '') return `${code} ${message}`.trim();
  const text = body.subarray(0, maxErrorBytes).toString('latin1');
  let line = text;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'message' in value) {
      line = String(value.message);
    }
  } catch {
    // Plain text, then.
  }
  const shown = line.slice(0, 300);
  return shown.replace(/[^\x20-\x7e]+/g, ' ').trim();
}
