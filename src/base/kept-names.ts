/** Names that this project keeps for itself in every name space; no program makes or sees them. */
import { byteStringOfText, type ByteString } from './byte-string.ts';

/** Of a directory's attributes; damaged ones are kept aside under the same beginning. */
export const ATTRIBUTES_NAME = byteStringOfText('.alluxio-fuse-attributes');
/** Of the root only: what belongs to the root itself. */
export const HIDDEN_NAME = byteStringOfText('.alluxio-fuse');
/** Of uploads that are not finished, in each bucket. */
export const UPLOADS_NAME = byteStringOfText('.alluxio-fuse-uploads');

export function isKeptName(isInRoot: boolean, name: ByteString): boolean {
  if (name === UPLOADS_NAME || name.startsWith(ATTRIBUTES_NAME)) return true;
  return isInRoot && name === HIDDEN_NAME;
}
