/**
 * Names of uploads that are not finished: files in one hidden directory of each bucket. Not in the
 * directory of the file itself: other clients of the cluster would list them there, workers would
 * remember them for days, and a directory that looks empty could not be removed.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { UPLOADS_NAME as DIRECTORY_NAME } from '../../base/kept-names.ts';
import { ClusterError } from '../types.ts';

/** The one of the root. To the S3 port it is a bucket. */
export const UPLOADS_DIRECTORY = `/${DIRECTORY_NAME}` as ByteString;
/** Plain in every encoding, and short enough for every store. */
const TOKEN = /^[A-Za-z0-9_-]{1,128}$/;

/** The directory for the uploads of the bucket that the path lies in; of the root for root files. */
export function temporaryDirectoryFor(path: ByteString): ByteString {
  const slash = path.indexOf('/', 1);
  const bucket = slash < 0 ? '' : path.slice(0, slash);
  return `${bucket}/${DIRECTORY_NAME}` as ByteString;
}

export function temporaryPathFor(path: ByteString, token: string): ByteString {
  if (!TOKEN.test(token)) throw new RangeError(`Not a token for an upload: "${token}"`);
  return `${temporaryDirectoryFor(path)}/${token}` as ByteString;
}

/** Guards deletions: throws for every path that `temporaryPathFor` cannot have made. */
export function assertTemporary(path: ByteString): void {
  const parts = path.split('/').slice(1);
  const name = parts.pop() ?? '';
  const directory = parts.pop() ?? '';
  if (directory === DIRECTORY_NAME && parts.length <= 1 && TOKEN.test(name)) return;
  throw new ClusterError('unsupported', 'Not the name of an upload', { path });
}
