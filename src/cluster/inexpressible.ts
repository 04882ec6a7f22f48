/** Names that no port of any worker carries without changing them. */
import type { ByteString } from '../base/byte-string.ts';
import { textOfByteString } from '../base/byte-string.ts';
import type { InexpressibleReason } from './cluster-events.ts';

/** Why a name or path is one of those that workers lose or change, else undefined. */
export function lostName(name: ByteString): InexpressibleReason | undefined {
  if (name.includes('?')) return 'question-mark';
  if (name.includes('\\')) return 'backslash';
  if (name.includes('\0')) return 'other';
  return textOfByteString(name) === undefined ? 'invalid-utf8' : undefined;
}

/** A file directly under the root belongs to no bucket, so the S3 port cannot name it. */
export function isUnderRoot(path: ByteString): boolean {
  return !path.includes('/', 1);
}

/** Why the status or the bytes of `path` could not be asked for. */
export function reasonForFile(path: ByteString): InexpressibleReason {
  return lostName(path) ?? (isUnderRoot(path) ? 'root-file' : 'other');
}

/** Why the directory could not be listed: directly under the root is where it may well be. */
export function reasonForListing(path: ByteString): InexpressibleReason {
  return lostName(path) ?? 'other';
}
