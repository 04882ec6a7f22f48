/** What may be a name in a listing. */
import { NAME_BYTES_MAX } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';

/** Whether the kernel takes it as a name; it fails a whole listing for one that it does not. */
export function isName(name: ByteString): boolean {
  if (name === '' || name === '.' || name === '..') return false;
  return name.length <= NAME_BYTES_MAX && !name.includes('/') && !name.includes('\0');
}
