/** What the core passes on is the inode itself, which changes on: here is what it was when it was told. */
import type { Attributes } from '../../src/vfs/index.ts';

export function copyOf(attributes: Attributes): Attributes {
  const { ino, kind, lengthBytes, mtimeMs, mode, posix, touchedMs, isUnlinked } = attributes;
  return { ino, kind, lengthBytes, mtimeMs, mode, posix, touchedMs, isUnlinked };
}
