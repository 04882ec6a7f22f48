import type { ByteString } from '../../../base/byte-string.ts';
import type { DecodeBody, RequestBase } from './base.ts';

/**
 * LOOKUP: name to inode; `header.nodeId` is the directory. Sent when the kernel holds no valid entry
 * for the name, and to revalidate one whose validity has run out ("." and ".." only with
 * `InitFlag.EXPORT_SUPPORT`).
 *
 * Body: the name and a NUL.
 *
 * Reply: entry, raises the lookup count of its node by one; or a negative entry.
 * Errno: ENOENT, EACCES, ENAMETOOLONG, ENOTDIR, EIO, ESTALE (directory gone).
 */
export interface LookupRequest extends RequestBase {
  readonly op: 'lookup';
  readonly name: ByteString;
}

export const decodeLookup: DecodeBody<LookupRequest> = (header, body) => ({
  op: 'lookup',
  header,
  name: body.name(),
});
