/** What an S3 server, or the way to it, says is wrong, in the words of the cluster layer. */
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type ClusterErrorCode } from '../../cluster/types.ts';

/** By the code that S3 servers write into their answers. */
const byName: ReadonlyMap<string, ClusterErrorCode> = new Map([
  ['NoSuchKey', 'not-found'],
  ['NotFound', 'not-found'],
  // Like a name that is too long for a disk: it cannot be there.
  ['KeyTooLongError', 'not-found'],
  ['PreconditionFailed', 'version-changed'],
  ['ExistingObjectIsDirectory', 'is-a-directory'],
  ['ExistingObjectIsFile', 'not-a-directory'],
  ['ObjectParentIsFile', 'not-a-directory'],
  ['NotImplemented', 'unsupported'],
  ['EntityTooLarge', 'no-space'],
  ['QuotaExceeded', 'no-space'],
  ['XMinioStorageFull', 'no-space'],
  ['InsufficientStorage', 'no-space'],
  ['ExpiredToken', 'permission'],
  ['InvalidToken', 'permission'],
  ['CredentialsProviderError', 'permission'],
  ['InvalidAccessKeyId', 'permission'],
  // The same, in the words of versitygw.
  ['XAdminUserNotFound', 'permission'],
]);

/** Not 404: what else is not found there, such as a user, says nothing about the key. */
const byStatus: ReadonlyMap<number, ClusterErrorCode> = new Map([
  [401, 'permission'],
  [403, 'permission'],
  [412, 'version-changed'],
  [501, 'unsupported'],
  [507, 'no-space'],
]);

/** What to do about it, where there is something to do. */
const advice: ReadonlyMap<string, string> = new Map([
  ['CredentialsProviderError', 'give credentials for it, or read it anonymously if it is public'],
  ['InvalidAccessKeyId', 'check the access key'],
  ['XAdminUserNotFound', 'check the access key'],
  ['SignatureDoesNotMatch', 'check the secret key, the region and the endpoint'],
  ['AuthorizationHeaderMalformed', 'check the region'],
  ['PermanentRedirect', 'the bucket is in another region: give that region or its endpoint'],
  ['NoSuchBucket', 'check the name of the bucket, the endpoint and whether it wants path style'],
]);

/**
 * The cause keeps name and message only: an answer about signatures repeats keys and all that was
 * signed, and causes are logged.
 */
export function errorOfS3(error: unknown, path: ByteString): ClusterError {
  if (error instanceof ClusterError) return error;
  const { name, message, status } = partsOf(error);
  const code = byName.get(name) ?? byStatus.get(status);
  const what = message === '' || message === 'UnknownError' ? `status ${status}` : message;
  const hint = advice.get(name);
  return new ClusterError(
    code ?? 'unavailable',
    `The S3 server: ${name}: ${what}${hint === undefined ? '' : ` (${hint})`}`,
    {
      path,
      // Not reached, overloaded, at fault itself: another time it may work.
      retryable: code === undefined && (status === 0 || status >= 500 || status === 429),
      cause: new Error(`${name}: ${message}`),
    },
  );
}

export function isNoSuchBucket(error: unknown): boolean {
  return partsOf(error).name === 'NoSuchBucket';
}

export function statusOf(error: unknown): number {
  return partsOf(error).status;
}

function partsOf(error: unknown): { name: string; message: string; status: number } {
  if (!(error instanceof Error)) return { name: 'unknown', message: '', status: 0 };
  const fields = error as Error & {
    readonly code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const status = fields.$metadata?.httpStatusCode ?? 0;
  // Node's errors have their name in `code`; those about several addresses have no message.
  const name = error.name === 'Error' || error.name === 'AggregateError' ? fields.code : error.name;
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: oneLine(error.message),
    status,
  };
}

function oneLine(text: string): string {
  return text.slice(0, 300).replace(/\p{Cc}+/gu, ' ');
}
