/** Path arithmetic, and the names that this project keeps for itself. */
import { isWithin, joinPath, nameOf, parentOf } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import { ATTRIBUTES_NAME, HIDDEN_NAME, isKeptName } from '../base/kept-names.ts';

export const ROOT = '/' as ByteString;

/**
 * Open-source workers have no address for files directly under the root, so what belongs to the root
 * lives below a directory there. Kept files lie there too: their own directory may be removed while
 * they are open.
 */
export const HIDDEN_DIRECTORY = `/${HIDDEN_NAME}` as ByteString;
export const KEPT_DIRECTORY = `${HIDDEN_DIRECTORY}/kept` as ByteString;

/** `path`, which is within `from`, as it is called after `from` became `to`. */
export function movedPath(path: ByteString, from: ByteString, to: ByteString): ByteString {
  return (to + path.slice(from.length)) as ByteString;
}

/** `relative` '' is the path itself. */
export function resolvePath(path: ByteString, relative: ByteString): ByteString {
  return relative === '' ? path : joinPath(path, relative);
}

export function attributesPathOf(directory: ByteString): ByteString {
  return directory === ROOT
    ? (`${HIDDEN_DIRECTORY}/attributes` as ByteString)
    : joinPath(directory, ATTRIBUTES_NAME);
}

/** Where the record of a path stands: a directory's own with its parent, the root's own with itself. */
export function recordPlaceOf(path: ByteString): {
  readonly directory: ByteString;
  readonly name: ByteString;
} {
  return { directory: parentOf(path), name: nameOf(path) };
}

export function isReservedName(directory: ByteString, name: ByteString): boolean {
  return isKeptName(directory === ROOT, name);
}

export function isReservedPath(path: ByteString): boolean {
  return isWithin(path, HIDDEN_DIRECTORY) || isKeptName(false, nameOf(path));
}
